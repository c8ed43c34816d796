export const SORTS = ['cost_asc', 'cost_desc', 'newest'] as const;
export type Sort = (typeof SORTS)[number];

/** What the list of offers is narrowed to: exactly what stands in the URL. */
export interface Filter {
  q?: string;
  category?: string;
  merchant_id?: string;
  min_cost?: number;
  max_cost?: number;
  affordable?: boolean;
  /** absent: cheapest first, so that what is within reach comes first */
  sort?: Sort;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const COST_MAX = 2_147_483_647;

/** Reads a filter from a URL's query. What makes no sense is left out, not an error. */
export function readFilter(search: string): Filter {
  const query = new URLSearchParams(search);
  const filter: Filter = {};
  const q = query.get('q')?.trim().slice(0, 200);
  if (q) filter.q = q;
  const category = query.get('category')?.slice(0, 100);
  if (category) filter.category = category;
  const merchant = query.get('merchant_id') ?? '';
  if (UUID.test(merchant)) filter.merchant_id = merchant;
  const min = readCost(query.get('min_cost'));
  if (min !== undefined) filter.min_cost = min;
  const max = readCost(query.get('max_cost'));
  if (max !== undefined) filter.max_cost = max;
  if (query.get('affordable') === 'true') filter.affordable = true;
  const sort = SORTS.find((one) => one === query.get('sort'));
  if (sort && sort !== 'cost_asc') filter.sort = sort;
  return filter;
}

/** A whole number of points; undefined for anything else. "1,200" is 1200. */
export function readCost(text: string | null): number | undefined {
  const digits = (text ?? '').replace(/[\s,.]/g, '');
  if (!/^\d{1,10}$/.test(digits)) return undefined;
  return Math.min(Number(digits), COST_MAX);
}

/** The URL's query for a filter, with its `?`, or nothing. */
export function writeFilter(filter: Filter): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return text && `?${text}`;
}

/** What the API is asked. */
export function queryOf(filter: Filter) {
  return { sort: 'cost_asc' as const, ...filter };
}

/** How many things narrow the list; the order narrows nothing. */
export function countOf({ sort: _, ...rest }: Filter): number {
  return Object.keys(rest).length;
}

/** What is set outside of the sheet: the search, and "within my reach". */
export function pick({ q, affordable }: Filter): Filter {
  return { ...(q && { q }), ...(affordable && { affordable }) };
}
