import type pg from 'pg';
import type { Layout } from '../migrate.ts';
import type { BalanceCount, Range } from './counts.ts';
import { changed, type Legacy, type Relation } from './legacy.ts';

/** What `up` would refuse, and the way out. */
export interface Refusal {
  code: string;
  what: string;
  way_out: string;
}

/** What is known to make `up` stop, beside missing rights and what the layout is refused for. */
export async function findRefusals(
  client: pg.Client,
  legacy: Legacy | null,
  balances: BalanceCount | null,
): Promise<Refusal[]> {
  const { rows } = await client.query(`SELECT to_regnamespace('public') IS NULL AS lacking`);
  const refusals: Refusal[] = [];
  if (rows[0].lacking) {
    const [what, way_out] = ['schema public does not exist', 'CREATE SCHEMA public;'];
    refusals.push({ code: 'no_schema_public', what, way_out });
  }
  if (legacy === null || balances === null) return refusals;
  return [...refusals, ...onMembers(balances), ...(await onRows(client, legacy, balances))];
}

function onMembers({ impossible, unknown }: BalanceCount): Refusal[] {
  const refusals: Refusal[] = [];
  if (impossible.rows > 0) {
    const { rows, members } = impossible;
    const named = members.length > 0 ? `of member ${members.join(', ')}` : 'of no member';
    refusals.push({
      code: 'impossible_numbers',
      what: `points that are no number (NaN) or infinite, in ${rows} rows ${named}`,
      way_out: 'Correct these rows; no sum can be made of them.',
    });
  }
  for (const { table, name, references, members, examples } of unknown) {
    if (members === 0) continue;
    const named = examples.join(', ') + (members > examples.length ? ', …' : '');
    refusals.push({
      code: 'unknown_members',
      what: `${references} does not know ${members} members, so that ${table} takes no rows of theirs: ${named}`,
      way_out: `Add them to ${references}, or ALTER TABLE ${table} DROP CONSTRAINT ${name};`,
    });
  }
  return refusals;
}

const CHECKS = `SELECT quote_ident(k.conname) AS name, pg_get_constraintdef(k.oid) AS definition,
    pg_get_expr(k.conbin, k.conrelid) AS expression
  FROM pg_constraint k WHERE k.contype = 'c' AND k.conrelid = $1 ORDER BY 1`;

/** Whether types and constraints take the least and the largest row that `up` writes. */
async function onRows(
  client: pg.Client,
  { ledger, balances: stored }: Legacy,
  { opening, storing }: BalanceCount,
): Promise<Refusal[]> {
  const written = { id: 1, user_id: 1, date: SOME_TIME, latest_update: SOME_TIME };
  const entry = { ...written, accum_type: 'opening', kind: 'opening', dtype: 'points' };
  return [
    ...(await onTable(
      client,
      ledger,
      ends(opening.range, (quantity) => ({ ...entry, quantity })),
    )),
    ...(stored
      ? await onTable(
          client,
          stored,
          ends(storing, (balance) => ({ ...written, balance })),
        )
      : []),
  ];
}

const SOME_TIME = '2025-10-17T12:00:00Z';
const ends = (range: Range | null, row: (points: string) => object) =>
  range ? [row(range.lowest), row(range.highest)] : [];

async function onTable(
  client: pg.Client,
  { oid, name: table }: Relation,
  samples: object[],
): Promise<Refusal[]> {
  const refused = (definition: string, way_out: string): Refusal => ({
    code: 'row_refused',
    what: `${table} does not take the rows that \`up\` writes: ${definition}`,
    way_out,
  });
  const rows = `json_populate_recordset(NULL::${table}, $1)`;
  const given = [JSON.stringify(samples)];
  const typed = await tried(client, `SELECT r FROM ${rows} r`, given);
  if (typed.error) return [refused(typed.error, `ALTER TABLE ${table} ... until it does.`)];
  const refusals: Refusal[] = [];
  for (const { name, definition, expression } of (await client.query(CHECKS, [oid])).rows) {
    const broken = `SELECT FROM ${rows} WHERE NOT (${expression}) LIMIT 1`;
    const { rowCount } = await tried(client, broken, given);
    const way_out = `ALTER TABLE ${table} DROP CONSTRAINT ${name}; or widen it.`;
    if (rowCount > 0) refusals.push(refused(definition, way_out));
  }
  return refusals;
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

/** A right that this role lacks, and the statement that gives it. */
export interface MissingRight {
  role: string;
  /** what cannot be done without it */
  prevents: 'up' | 'plan';
  what: string;
  /** for whoever owns the thing, or a superuser */
  statement: string;
}

// $1: oids of what `up` changes, beside what an earlier one has made; $2: schemas that it fills
const UP = `WITH place AS (
    SELECT want.name, n.oid FROM unnest($2::text[]) AS want(name)
    LEFT JOIN pg_namespace n ON n.nspname = want.name
  ), owned AS (
    SELECT c.relowner, pg_get_userbyid(c.relowner) AS owner,
      string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY c.relname) AS names
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY ($1::oid[]) OR (n.nspname, c.relname) = ('lumis', 'take_over')
    GROUP BY c.relowner
  )
  SELECT 'make schema ' || string_agg(name, ' and ') AS what,
    format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user) AS statement
  FROM place WHERE oid IS NULL AND name <> 'public' AND NOT has_database_privilege(current_database(), 'CREATE')
  HAVING count(*) > 0
  UNION ALL
  SELECT 'make tables and views in schema ' || name,
    format('GRANT USAGE, CREATE ON SCHEMA %I TO %I;', name, current_user)
  FROM place WHERE oid IS NOT NULL
    AND NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE'))
  UNION ALL
  SELECT 'change ' || names,
    CASE WHEN NOT pg_has_role(relowner, 'MEMBER') THEN format('GRANT %I TO %I;', owner, current_user)
      WHEN current_setting('server_version_num')::int >= 160000
        THEN format('GRANT %I TO %I WITH INHERIT TRUE;', owner, current_user)
      ELSE format('ALTER ROLE %I INHERIT;', current_user) END
  FROM owned WHERE NOT pg_has_role(relowner, 'USAGE')`;

// $1: oids of what cannot be read
const READ = `SELECT format('read %I.%I', n.nspname, c.relname) AS what, concat_ws(' ',
    CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE')
      THEN format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, current_user) END,
    CASE WHEN NOT has_table_privilege(c.oid, 'SELECT')
      THEN format('GRANT SELECT ON %I.%I TO %I;', n.nspname, c.relname, current_user) END,
    CASE WHEN row_security_active(c.oid)
      THEN format('ALTER ROLE %I BYPASSRLS;', current_user) END) AS statement
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = ANY ($1::oid[]) ORDER BY 1`;

/** The rights that this role lacks: for `up`, and for counting what `up` will find. */
export async function findMissingRights(
  client: pg.Client,
  layout: Layout,
  legacy: Legacy | null,
): Promise<MissingRight[]> {
  if (layout === 'applied') return [];
  const { rows: who } = await client.query('SELECT current_user AS role');
  const { rows: needed } = await client.query(UP, [
    legacy ? changed(legacy).map((table) => table.oid) : [],
    layout === 'unfinished' ? [] : ['lumis', 'rewards', 'public'],
  ]);
  const read = legacy
    ? [legacy.offers, legacy.purchases, legacy.ledger, legacy.balances, legacy.users]
    : [];
  const unreadable = read.flatMap((table) => (table?.readable === false ? table.oid : []));
  const { rows: unread } = await client.query(READ, [unreadable]);
  const { role } = who[0];
  return [
    ...needed.map(({ what, statement }) => ({ role, prevents: 'up' as const, what, statement })),
    ...unread.map(({ what, statement }) => ({ role, prevents: 'plan' as const, what, statement })),
  ];
}
