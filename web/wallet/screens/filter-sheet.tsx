import { useId, useState } from 'react';
import { Sheet } from '../../shared/dialog.tsx';
import { categoryName, useFacets } from '../parts/facets.ts';
import { type Filter, pick, readCost, SORTS, type Sort } from '../state/filter.ts';
import { useWords } from '../words/index.ts';

/** Category, merchant, cost and order. Nothing changes until the button is pressed. */
export function FilterSheet({
  filter,
  onClose,
  onChange,
}: {
  filter: Filter;
  onClose(): void;
  onChange(next: Filter): void;
}) {
  const words = useWords();
  return (
    <Sheet isOpen title={words.filters.open} onClose={onClose}>
      <FilterForm filter={filter} onChange={onChange} />
    </Sheet>
  );
}

function FilterForm({ filter, onChange }: { filter: Filter; onChange(next: Filter): void }) {
  const words = useWords();
  const facets = useFacets(true);
  const id = useId();
  const [isWrong, setWrong] = useState(false);
  // what stands in the URL can be chosen even before, or without, the catalogue knowing it
  const { category, merchant_id } = filter;
  const categories = new Set([...(category ? [category] : []), ...facets.categories]);
  const merchants = new Map(facets.merchants.map((one) => [one.merchant_id, one.merchant_name]));
  if (merchant_id && !merchants.has(merchant_id)) {
    merchants.set(merchant_id, words.filters.thisMerchant);
  }
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? '');
    const min = readCost(text('min_cost'));
    const max = readCost(text('max_cost'));
    if (min !== undefined && max !== undefined && min > max) {
      setWrong(true);
      document.getElementById(`${id}min`)?.focus();
      return;
    }
    const sort = text('sort') as Sort;
    onChange({
      ...pick(filter),
      ...(text('category') && { category: text('category') }),
      ...(text('merchant_id') && { merchant_id: text('merchant_id') }),
      ...(min !== undefined && { min_cost: min }),
      ...(max !== undefined && { max_cost: max }),
      ...(sort !== 'cost_asc' && { sort }),
    });
  };
  return (
    <form class="stack" onSubmit={submit} noValidate>
      <Pick
        name="category"
        label={words.filters.category}
        value={category ?? ''}
        options={[
          ['', words.filters.any],
          ...[...categories].map((one): Option => [one, categoryName(one, words)]),
        ]}
      />
      <Pick
        name="merchant_id"
        label={words.filters.merchant}
        value={merchant_id ?? ''}
        options={[['', words.filters.anyMerchant], ...merchants]}
      />
      <CostFields id={id} filter={filter} isWrong={isWrong} onInput={() => setWrong(false)} />
      <Pick
        name="sort"
        label={words.filters.sort}
        value={filter.sort ?? 'cost_asc'}
        options={SORTS.map((one) => [one, words.filters[one]])}
      />
      <div class="sheet-actions">
        <button type="submit" class="button button-primary">
          {words.filters.apply}
        </button>
        <button type="button" class="button button-quiet" onClick={() => onChange({})}>
          {words.filters.clear}
        </button>
      </div>
    </form>
  );
}

type Option = [value: string, label: string];

/** A native list to choose one from. */
function Pick({
  name,
  label,
  value,
  options,
}: {
  name: string;
  label: string;
  value: string;
  options: Option[];
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name}>
        {options.map(([one, text]) => (
          <option key={one} value={one} selected={one === value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** From and to, in points. */
function CostFields({
  id,
  filter,
  isWrong,
  onInput,
}: {
  id: string;
  filter: Filter;
  isWrong: boolean;
  onInput(): void;
}) {
  const words = useWords();
  return (
    <fieldset>
      <legend class="strong">{words.filters.cost}</legend>
      <div class="cost-fields">
        {(['min', 'max'] as const).map((end) => (
          <div key={end} class="field">
            <label for={id + end}>{words.filters[end]}</label>
            <input
              id={id + end}
              name={`${end}_cost`}
              inputMode="numeric"
              autocomplete="off"
              maxLength={13}
              defaultValue={String(filter[`${end}_cost`] ?? '')}
              aria-invalid={isWrong}
              aria-describedby={isWrong ? `${id}wrong` : undefined}
              onInput={onInput}
            />
          </div>
        ))}
      </div>
      {isWrong && (
        <p class="field-error" id={`${id}wrong`} role="alert">
          {words.filters.costWrong}
        </p>
      )}
    </fieldset>
  );
}
