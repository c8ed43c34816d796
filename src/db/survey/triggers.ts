import type pg from 'pg';
import { changed, type Legacy } from './legacy.ts';

/**
 * What becomes of a trigger on a legacy table: `replaced` is the old keeper of balances, which
 * `down` brings back. One that names NEW.points or NEW.id of an offer is refused with the layout.
 */
export interface FoundTrigger {
  name: string;
  table: string;
  function: string;
  enabled: boolean;
  becomes: 'stays' | 'replaced';
  /** passes on whole rows of a table that has more columns afterwards */
  whole_rows: boolean;
  /** names columns of an offer, which are called otherwise afterwards, as text */
  columns_as_text: boolean;
  /** fires for each of the rows that `up` writes to the ledger */
  fires_for_opening: boolean;
}

// $1: all tables, $2: offers, $3: ledger. Bit 2 of tgtype: insert.
const FIND = `SELECT t.tgname AS name, format('%I.%I', n.nspname, c.relname) AS "table",
    t.tgfoid::regprocedure::text AS function, t.tgenabled IN ('O', 'A') AS enabled,
    CASE WHEN keeps_balance THEN 'replaced' ELSE 'stays' END AS becomes,
    t.tgrelid IN ($2, $3) AND p.prosrc ~* '\\m(new|old)\\s*\\.\\s*\\*' AS whole_rows,
    t.tgrelid = $2 AND (p.prosrc ~ '[''"](id|points)[''"]'
      OR encode(t.tgargs, 'escape') ~ '(^|\\\\000)(id|points)\\\\000') AS columns_as_text,
    t.tgrelid = $3 AND t.tgtype & 4 <> 0 AND t.tgenabled IN ('O', 'A') AND NOT keeps_balance
      AS fires_for_opening
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
  JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
  LATERAL (SELECT t.tgrelid = $3 AND p.prosrc ~* '\\mfact_balance_points\\M' AS keeps_balance) k
  WHERE NOT t.tgisinternal AND t.tgrelid = ANY ($1::oid[])
    AND p.pronamespace IS DISTINCT FROM to_regnamespace('lumis')
  ORDER BY 2, 1`;

/** The triggers on the legacy tables, without ours of an `up` that was interrupted. */
export async function findTriggers(client: pg.Client, legacy: Legacy): Promise<FoundTrigger[]> {
  const { rows } = await client.query<FoundTrigger>(FIND, [
    changed(legacy).map((table) => table.oid),
    legacy.offers.oid,
    legacy.ledger.oid,
  ]);
  return rows;
}
