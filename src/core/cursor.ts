import { Failure } from './failure.ts';
import { isStorableTime } from './time.ts';

/**
 * Where a list goes on: the sort values of the last row shown. Opaque to callers; bound to the
 * `list` it came from, so that a cursor of another list or sort order is refused.
 */
export function encodeCursor(list: string, position: readonly (string | number | null)[]): string {
  return Buffer.from(JSON.stringify([list, ...position])).toString('base64url');
}

const SHAPES = {
  time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  number: /^-?\d{1,18}$/,
  integer: /^-?\d{1,10}$/,
  word: /^[0-9A-Za-z]{1,64}$/,
} as const;
const INTEGER_MAX = 2_147_483_647;
export type CursorPart = keyof typeof SHAPES;

/**
 * The sort values in `cursor`, as text ready for a typed SQL parameter, or nulls when there is no
 * cursor. Throws `invalid_request` for a cursor that `encodeCursor(list, …)` did not make.
 */
export function decodeCursor(
  list: string,
  parts: readonly CursorPart[],
  cursor: string | undefined,
): (string | null)[] {
  if (cursor === undefined) return parts.map(() => null);
  const position = parse(cursor);
  const fits =
    position.length === parts.length + 1 &&
    position[0] === list &&
    parts.every((part, i) => isPlausible(part, String(position[i + 1])));
  if (!fits)
    throw new Failure('invalid_request', { fields: [{ field: 'query.cursor', detail: 'cursor' }] });
  return position.slice(1).map(String);
}

/** Shape and value: PostgreSQL would refuse 31 February with an error of its own. */
function isPlausible(part: CursorPart, value: string): boolean {
  if (!SHAPES[part].test(value)) return false;
  if (part === 'integer') return Math.abs(Number(value)) <= INTEGER_MAX;
  return part !== 'time' || isStorableTime(value);
}

function parse(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

/** A page of a list, as the wire has it. */
export interface Page<Row> {
  data: Row[];
  next_cursor: string | null;
}

/** Makes a page: `rows` holds one row more than `limit` when there is a next page. */
export function page<Row>(
  list: string,
  rows: Row[],
  limit: number,
  position: (row: Row) => (string | number | null)[],
): Page<Row> {
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { data, next_cursor: more ? encodeCursor(list, position(last)) : null };
}
