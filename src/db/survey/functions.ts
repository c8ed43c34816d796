import type pg from 'pg';
import { changed, type Legacy } from './legacy.ts';

/** A function that leans on the legacy tables. */
export interface FoundFunction {
  name: string;
  /** what its body names, or what it was bound to when it was made */
  names: string[];
  /** its body updates, deletes or truncates ledger rows */
  changes_ledger: boolean;
  /** its body does what works on a table but not on the view that takes its old name */
  needs_table: boolean;
  /** takes or returns rows of the offers' table, whose columns change */
  offers_rows: boolean;
}

const TARGET = '(only\\s+)?("?[\\w$]+"?\\s*\\.\\s*)?"?';
const CHANGES_LEDGER = `\\m(update|delete\\s+from|truncate(\\s+table)?)\\s+${TARGET}fact_accumulations\\M`;
const NEEDS_TABLE =
  '\\m(truncate(\\s+table)?|(alter|drop)\\s+table(\\s+if\\s+exists)?|copy)\\s+' +
  `${TARGET}(dim_redemptions|fact_redemptions)\\M`;

// A body in the SQL standard's form has no text: the catalogue knows what it is bound to.
const FIND = `WITH relation AS (
    SELECT c.oid, c.relname::text AS plain, c.reltype, y.typarray FROM pg_class c
    JOIN pg_type y ON y.oid = c.reltype WHERE c.oid = ANY ($1::oid[])
  ), found AS (
    SELECT p.oid, p.prosrc,
      ARRAY(SELECT r.plain FROM relation r
        WHERE p.prosrc ~* ('\\m' || r.plain || '\\M') OR EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid)
        ORDER BY 1) AS names,
      EXISTS (SELECT FROM relation r WHERE r.oid = $2
        AND (p.prorettype IN (r.reltype, r.typarray) OR r.reltype = ANY (p.proargtypes)
          OR r.typarray = ANY (p.proargtypes))) AS offers_rows
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname NOT IN ('c', 'internal') AND p.pronamespace NOT IN (SELECT oid
      FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname IN ('information_schema', 'lumis'))
  )
  SELECT oid::regprocedure::text AS name, names, offers_rows,
    prosrc ~* $3 AS changes_ledger, prosrc ~* $4 AS needs_table
  FROM found WHERE names <> '{}' OR offers_rows ORDER BY 1`;

/** Functions and procedures by what their bodies say; what they build as text stays unseen. */
export async function findFunctions(client: pg.Client, legacy: Legacy): Promise<FoundFunction[]> {
  const { rows } = await client.query<FoundFunction>(FIND, [
    changed(legacy).map((table) => table.oid),
    legacy.offers.oid,
    CHANGES_LEDGER,
    NEEDS_TABLE,
  ]);
  return rows;
}
