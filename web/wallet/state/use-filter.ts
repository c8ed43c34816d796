import { useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';
import { type Filter, readFilter, writeFilter } from './filter.ts';

/** The filter in the URL, and a way to change it; `replace` leaves no step in the history. */
export function useFilter(): [Filter, (next: Filter, options?: { replace: boolean }) => void] {
  const search = useSearch();
  const [, navigate] = useLocation();
  const filter = useMemo(() => readFilter(search), [search]);
  return [filter, (next, options) => navigate(`/${writeFilter(next)}`, options)];
}
