import { useEffect, useState } from 'react';
import { Icon } from '../../shared/icons.tsx';
import { countOf, type Filter, pick } from '../state/filter.ts';
import { useWords } from '../words/index.ts';
import { filterWords, useFacets } from './facets.ts';
import { useFormat } from './format.ts';
import { Later } from './later.tsx';

const TYPING_MS = 350;

export interface FiltersProps {
  filter: Filter;
  onChange(next: Filter, options?: { replace: boolean }): void;
}

/** Search, "within my reach", the sheet with the rest, and a chip for each thing that is on. */
export function Filters({ filter, onChange }: FiltersProps) {
  const words = useWords();
  const { number } = useFormat();
  const [isOpen, setOpen] = useState(false);
  const facets = useFacets(isOpen || filter.merchant_id !== undefined);
  const { affordable, q: _, ...inSheet } = filter;
  const count = countOf(inSheet);
  // search and reach are seen where they are set
  const on = filterWords(inSheet, words, facets, number);
  return (
    <search class="stack filters">
      <Search
        value={filter.q ?? ''}
        onChange={({ q: text }) => onChange(withText(filter, text), { replace: true })}
      />
      <div class="row filter-row">
        <button
          type="button"
          class="toggle"
          aria-pressed={affordable === true}
          onClick={() => {
            const { affordable: was, ...rest } = filter;
            onChange(was ? rest : { ...rest, affordable: true });
          }}
        >
          {affordable && <Icon name="tick" size={18} />}
          {words.filters.affordable}
        </button>
        <button type="button" class="toggle" aria-haspopup="dialog" onClick={() => setOpen(true)}>
          <Icon name="settings" size={18} />
          {words.filters.open}
          {count > 0 && <span class="count">{number(count)}</span>}
          {count > 0 && <span class="visually-hidden"> {words.filters.areOn}</span>}
        </button>
        {on.map(({ name, label, without }) => (
          <button
            key={name}
            type="button"
            class="toggle toggle-on"
            aria-label={words.filters.remove(label)}
            onClick={() => onChange({ ...without, ...pick(filter) })}
          >
            <bdi>{label}</bdi>
            <Icon name="cross" size={16} />
          </button>
        ))}
      </div>
      {isOpen && (
        <Later>
          {({ FilterSheet }) => (
            <FilterSheet
              filter={filter}
              onClose={() => setOpen(false)}
              onChange={(next) => {
                setOpen(false);
                onChange(next);
              }}
            />
          )}
        </Later>
      )}
    </search>
  );
}

function withText({ q: _, ...rest }: Filter, text: string): Filter {
  return text ? { q: text, ...rest } : rest;
}

function Search({ value, onChange }: { value: string; onChange(next: { q: string }): void }) {
  const words = useWords();
  const [text, setText] = useState(value);
  // the URL changed by itself: a way back, a cleared filter
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    const next = text.trim().slice(0, 200);
    if (next === value) return;
    const timer = setTimeout(() => onChange({ q: next }), TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <div class="search">
      <Icon name="search" size={20} class="search-icon" />
      <input
        type="search"
        aria-label={words.filters.search}
        placeholder={words.filters.search}
        maxLength={200}
        autocomplete="off"
        enterkeyhint="search"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {text && (
        <button
          type="button"
          class="icon-button"
          aria-label={words.filters.clearSearch}
          onClick={() => {
            setText('');
            onChange({ q: '' });
          }}
        >
          <Icon name="cross" size={18} />
        </button>
      )}
    </div>
  );
}
