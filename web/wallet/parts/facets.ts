import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { asMember, client } from '../state/client.ts';
import type { Filter } from '../state/filter.ts';
import { useSignedIn } from '../state/queries.ts';
import { useSession } from '../state/session.ts';
import type { Words } from '../words/index.ts';

const PAGE = 100;
const PAGES_MAX = 5;

/** What the catalogue can be narrowed to. */
export interface Facets {
  categories: string[];
  merchants: { merchant_id: string; merchant_name: string }[];
}

/** Categories and merchants of the first 500 offers, while they are wanted. */
export function useFacets(isWanted: boolean): Facets {
  const member = useSession().session?.user_id ?? '';
  const { data, hasNextPage, isFetching, fetchNextPage } = useInfiniteQuery({
    queryKey: [member, 'facets'],
    queryFn: ({ pageParam }) =>
      asMember(() => client.rewards.offers({ limit: PAGE, cursor: pageParam })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    enabled: useSignedIn() && isWanted,
    staleTime: 5 * 60_000,
  });
  const pages = data?.pages ?? [];
  const goesOn = isWanted && hasNextPage && !isFetching && pages.length < PAGES_MAX;
  useEffect(() => {
    if (goesOn) void fetchNextPage();
  }, [goesOn, fetchNextPage]);
  const offers = pages.flatMap((page) => page.data);
  const categories = new Set(offers.map((offer) => offer.offer_category));
  const merchants = new Map(offers.map((offer) => [offer.merchant_id, offer.merchant_name]));
  return {
    categories: [...categories].filter((one) => one !== null),
    merchants: [...merchants]
      .map(([merchant_id, merchant_name]) => ({ merchant_id, merchant_name }))
      .filter((one): one is Facets['merchants'][number] => !!one.merchant_id && !!one.merchant_name)
      .sort((a, b) => a.merchant_name.localeCompare(b.merchant_name)),
  };
}

/** A category in words: ours, or as the programme wrote it. "gift_cards" → "Gift cards". */
export function categoryName(category: string, words: Words): string {
  // a programme may call one "constructor"
  const known = Object.hasOwn(words.categories, category) && words.categories[category];
  if (known) return known;
  const text = category.replace(/_+/g, ' ').trim() || category;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Each part of a filter in words, with what the filter is without it. */
export function filterWords(
  filter: Filter,
  words: Words,
  facets: Facets,
  number: (n: number) => string,
): { name: keyof Filter; label: string; without: Filter }[] {
  const { q, category, merchant_id, min_cost, max_cost, affordable } = filter;
  const merchant = facets.merchants.find((one) => one.merchant_id === merchant_id);
  const labels: Partial<Record<keyof Filter, string | undefined>> = {
    q: q && words.filters.quoted(q),
    affordable: affordable ? words.filters.affordable : undefined,
    category: category && categoryName(category, words),
    merchant_id: merchant_id && (merchant?.merchant_name ?? words.filters.thisMerchant),
    min_cost: min_cost === undefined ? undefined : words.filters.from(number(min_cost)),
    max_cost: max_cost === undefined ? undefined : words.filters.to(number(max_cost)),
  };
  return (Object.keys(labels) as (keyof Filter)[]).flatMap((name) => {
    const label = labels[name];
    const { [name]: _, ...without } = filter;
    return label ? [{ name, label, without }] : [];
  });
}
