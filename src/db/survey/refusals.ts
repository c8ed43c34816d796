import type pg from 'pg';
import type { Counts } from './balances.ts';
import type { Legacy } from './legacy.ts';
import type { RefusingCheck } from './obstacles.ts';

/** What `up` would refuse, and the way out. */
export interface Refusal {
  code: string;
  what: string;
  way_out: string;
}

/** The ledger lives in schema public, or is seen there. */
export async function findLackingSchema(client: pg.Client): Promise<Refusal[]> {
  const { rows } = await client.query(`SELECT to_regnamespace('public') IS NULL AS lacking`);
  const [what, way_out] = ['schema public does not exist', 'CREATE SCHEMA public;'];
  return rows[0].lacking ? [{ code: 'no_schema_public', what, way_out }] : [];
}

/** What is known to make `up` stop, beside missing rights and what the layout is refused for. */
export function findRefusals(
  { history }: Legacy,
  { balances }: Counts,
  checks: RefusingCheck[],
): Refusal[] {
  const refusals: Refusal[] = [];
  if (balances && balances.impossible.rows > 0) {
    const { rows, members } = balances.impossible;
    const named = members.length > 0 ? `of member ${members.join(', ')}` : 'of no member';
    refusals.push({
      code: 'impossible_numbers',
      what: `points that are no number (NaN) or infinite, in ${rows} rows ${named}`,
      way_out: 'Correct these rows; no sum can be made of them.',
    });
  }
  for (const { table, name, references, members, examples } of balances?.unknown ?? []) {
    if (members === 0) continue;
    const named = examples.join(', ') + (members > examples.length ? ', …' : '');
    refusals.push({
      code: 'unknown_members',
      what: `${references} does not know ${members} of the members who get a row in ${table}: ${named}`,
      way_out: `Add them to ${references}, or ALTER TABLE ${table} DROP CONSTRAINT ${name};`,
    });
  }
  for (const { table, name, definition } of checks) {
    refusals.push({
      code: 'check_refuses',
      what: `${table} does not take rows like those of the new system: ${definition}`,
      way_out:
        name === null
          ? `ALTER TABLE ${table} ... until it does.`
          : `ALTER TABLE ${table} DROP CONSTRAINT ${name}; or widen it.`,
    });
  }
  if (history && !history.is_view) {
    refusals.push({
      code: 'history_not_a_view',
      what: `${history.name} is not a view`,
      way_out: 'Rename it, or make it a view.',
    });
  }
  return refusals;
}
