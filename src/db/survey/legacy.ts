import type pg from 'pg';

/** A table or view of the legacy system, as the catalogue has it. */
export interface Relation {
  oid: number;
  /** quoted, with its schema */
  name: string;
  /** as functions and people call it */
  plain_name: string;
  owner: string;
  columns: string[];
  bytes: number;
  /** as of the last ANALYZE */
  rows_estimated: number;
  /** false when rights or row security keep rows from this role */
  readable: boolean;
}

/** The legacy system: three tables that are always there, and what may be. */
export interface Legacy {
  schema: 'public' | 'rewards';
  offers: Relation;
  purchases: Relation;
  ledger: Relation;
  balances: Relation | null;
  history: Relation | null;
  users: Relation | null;
}

// Of the users three columns are read, which may be granted by themselves; ids that are no whole
// numbers are no members'.
const FIND = `SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relname AS plain_name,
    pg_get_userbyid(c.relowner) AS owner, pg_table_size(c.oid)::float8 AS bytes,
    greatest(c.reltuples, 0)::float8 AS rows_estimated,
    has_schema_privilege(n.oid, 'USAGE') AND NOT row_security_active(c.oid)
      AND (has_table_privilege(c.oid, 'SELECT') OR c.relname = 'dim_users' AND NOT EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
          AND a.attname IN ('id', 'name', 'email')
          AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT'))) AS readable,
    ARRAY(SELECT a.attname::text FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (n.nspname = $1 AND c.relname IN ('dim_redemptions', 'fact_redemptions',
      'fact_accumulations', 'fact_balance_points', 'vw_hist_accum_redem')
    OR n.nspname = 'public' AND c.relname = 'dim_users' AND EXISTS (SELECT FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped
        AND a.atttypid = ANY ('{int2,int4,int8,numeric}'::regtype[])))
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

/** Finds the tables of a layout that has been recognised before. */
export async function findLegacy(client: pg.Client, schema: Legacy['schema']): Promise<Legacy> {
  const { rows } = await client.query<Relation>(FIND, [schema]);
  const find = (name: string) => rows.find((row) => row.plain_name === name) ?? null;
  const must = (name: string) => {
    const found = find(name);
    if (found === null) throw new Error(`${schema}.${name} is gone`);
    return found;
  };
  return {
    schema,
    offers: must('dim_redemptions'),
    purchases: must('fact_redemptions'),
    ledger: must('fact_accumulations'),
    balances: find('fact_balance_points'),
    history: find('vw_hist_accum_redem'),
    users: find('dim_users'),
  };
}

/** The relations that `up` changes; it only reads the users. */
export function changed(legacy: Legacy): Relation[] {
  const { offers, purchases, ledger, balances, history } = legacy;
  return [offers, purchases, ledger, balances, history].filter((found) => found !== null);
}
