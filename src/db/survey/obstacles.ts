import type pg from 'pg';
import type { Legacy, Relation } from './legacy.ts';

/** A foreign key from a member's number, which rows that `up` writes must satisfy. */
export interface MemberKey {
  table: string;
  name: string;
  references: string;
  column: string;
}

/** A check constraint, or the type of a column, that refuses rows of ours. */
export interface RefusingCheck {
  table: string;
  /** of the constraint; null for a type */
  name: string | null;
  definition: string;
}

const KEYS = `SELECT format('%I.%I', n.nspname, c.relname) AS "table", quote_ident(k.conname) AS name,
    format('%I.%I', rn.nspname, r.relname) AS "references", quote_ident(ra.attname) AS column
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] AND a.attname = 'user_id'
  JOIN pg_attribute ra ON ra.attrelid = r.oid AND ra.attnum = k.confkey[1]
  WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND k.conrelid = ANY ($1::oid[])
    AND has_schema_privilege(rn.oid, 'USAGE') AND NOT row_security_active(r.oid)
    AND has_column_privilege(r.oid, ra.attnum, 'SELECT') ORDER BY 1, 2`;

/** The foreign keys by which ledger and balances know their members. */
export async function findMemberKeys(client: pg.Client, legacy: Legacy): Promise<MemberKey[]> {
  const tables = [legacy.ledger, legacy.balances].flatMap((table) => table?.oid ?? []);
  return (await client.query<MemberKey>(KEYS, [tables])).rows;
}

/** What rows of ours may hold, as far as it was counted. */
export interface Extremes {
  /** entries that `up` writes */
  opening: string[];
  /** balances that `up` stores */
  storing: string[];
  highest_price: number;
}

function entries({ opening, highest_price }: Extremes): object[] {
  return [
    ...opening.map((quantity) => ({ accum_type: 'opening', kind: 'opening', quantity })),
    { accum_type: 'redemption', kind: 'spend', quantity: -highest_price },
    { accum_type: 'redemption', kind: 'refund', quantity: highest_price },
    { accum_type: 'adjustment', kind: 'grant', quantity: 1 },
    { accum_type: 'legacy_balance', kind: 'adjustment', quantity: -1 },
  ].map((entry) => ({
    ...entry,
    ...(entry.accum_type === 'redemption' ? { redemption_id: SOME_ID } : {}),
    id: 1,
    user_id: 1,
    dtype: 'points',
    date: SOME_TIME,
  }));
}

const SOME_ID = '00000000-0000-4000-8000-000000000000';
const SOME_TIME = '2025-10-17T12:00:00Z';

const CHECKS = `SELECT quote_ident(k.conname) AS name, pg_get_constraintdef(k.oid) AS definition,
    pg_get_expr(k.conbin, k.conrelid) AS expression
  FROM pg_constraint k WHERE k.contype = 'c' AND k.conrelid = $1 ORDER BY 1`;

/** Tries rows like those that `up` and the new system write on the tables' types and constraints. */
export async function findRefusingChecks(
  client: pg.Client,
  { ledger, balances }: Legacy,
  extremes: Extremes,
): Promise<RefusingCheck[]> {
  const stored = extremes.storing.map((balance) => ({
    user_id: 1,
    balance,
    latest_update: SOME_TIME,
  }));
  return [
    ...(await refusing(client, ledger, entries(extremes))),
    ...(balances ? await refusing(client, balances, stored) : []),
  ];
}

async function refusing(
  client: pg.Client,
  { oid, name: table }: Relation,
  samples: object[],
): Promise<RefusingCheck[]> {
  const rows = `json_populate_recordset(NULL::${table}, $1)`;
  const given = [JSON.stringify(samples)];
  const found: RefusingCheck[] = [];
  const typed = await tried(client, `SELECT r FROM ${rows} r`, given);
  if (typed.error) return [{ table, name: null, definition: typed.error }];
  for (const { name, definition, expression } of (await client.query(CHECKS, [oid])).rows) {
    const { rowCount } = await tried(
      client,
      `SELECT FROM ${rows} WHERE NOT (${expression}) LIMIT 1`,
      given,
    );
    if (rowCount > 0) found.push({ table, name, definition });
  }
  return found;
}

/** What a constraint calls may fail, or not be this role's to call: then nothing is known. */
async function tried(
  client: pg.Client,
  sql: string,
  values: unknown[],
): Promise<{ rowCount: number; error: string | null }> {
  await client.query('SAVEPOINT tried');
  try {
    const { rowCount } = await client.query(sql, values);
    return { rowCount: rowCount ?? 0, error: null };
  } catch (error) {
    return { rowCount: 0, error: (error as Error).message };
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT tried');
  }
}
