/** What must be true after the take-over, and after the way back, of what traffic did meanwhile. */

import type pg from 'pg';
import { prefixOf, type Size } from './fill.ts';
import type { Traffic } from './traffic.ts';

export interface Check {
  name: string;
  ok: boolean;
  /** what was found */
  found: string;
}

/** What there was before anything began. */
export interface Before {
  ledger: number;
  fact_redemptions: number;
  earned_shown: number;
  redeemed_shown: number;
  catalogue: number;
  /** everything of the old system that is not rows, one line each */
  schema: string[];
}

const SHOWN_MAX = 5;

export async function lookBefore(client: pg.Client, size: Size): Promise<Before> {
  return { ...(await counts(client, size)), schema: await describeSchema(client) };
}

/** After `up`: balances of the new system, its ledger, and the old names. */
export async function checkTakenOver(
  client: pg.Client,
  size: Size,
  before: Before,
  traffic: Traffic,
): Promise<Check[]> {
  await noteDeltas(client, traffic);
  const p = prefixOf(size.layout);
  return [
    ...(await checkCounts(client, size, before, traffic)),
    await noRows(
      client,
      'every balance is the one before and what was acknowledged since, once',
      `SELECT e.user_id, e.expected, b.balance FROM (${EXPECTED}) e
       LEFT JOIN lumis.balances b USING (user_id)
       WHERE NOT e.doubtful AND coalesce(b.balance, 0) IS DISTINCT FROM e.expected`,
    ),
    await noRows(
      client,
      'the ledger sums to the balance for every member',
      `WITH ledger AS (SELECT user_id, sum(quantity) AS n FROM ${p}fact_accumulations
         WHERE dtype = 'points' AND user_id IS NOT NULL GROUP BY user_id)
       SELECT user_id, ledger.n, b.balance
       FROM ledger FULL JOIN lumis.balances b USING (user_id)
       WHERE coalesce(ledger.n, 0) IS DISTINCT FROM coalesce(b.balance, 0)`,
    ),
  ];
}

/** After `down`: the balances members saw, the old formula, and the schema as it was. */
export async function checkGivenBack(
  client: pg.Client,
  size: Size,
  before: Before,
  traffic: Traffic,
): Promise<Check[]> {
  await noteDeltas(client, traffic);
  const p = prefixOf(size.layout);
  const schema = await describeSchema(client);
  const gone = before.schema.filter((line) => !schema.includes(line));
  const left = schema.filter((line) => !before.schema.includes(line));
  const differing = [...gone.map((line) => `gone: ${line}`), ...left.map((line) => `new: ${line}`)];
  return [
    ...(await checkCounts(client, size, before, traffic)),
    await noRows(
      client,
      'every stored balance is the one before and what was acknowledged since, once',
      `SELECT e.user_id, e.expected, b.balance FROM (${EXPECTED}) e
       LEFT JOIN ${p}fact_balance_points b USING (user_id)
       WHERE NOT e.doubtful AND coalesce(b.balance, e.formula) IS DISTINCT FROM e.expected`,
    ),
    await noRows(
      client,
      'ledger less purchases gives what it gave, and what was acknowledged since',
      `WITH earned AS (SELECT user_id, sum(quantity) AS n FROM ${p}fact_accumulations
         WHERE dtype = 'points' GROUP BY user_id),
       spent AS (SELECT user_id, sum(quantity) AS n FROM ${p}fact_redemptions GROUP BY user_id)
       SELECT e.user_id, e.formula, earned.n AS earned, spent.n AS spent FROM (${EXPECTED}) e
       LEFT JOIN earned USING (user_id) LEFT JOIN spent USING (user_id)
       WHERE NOT e.doubtful AND coalesce(earned.n, 0) - coalesce(spent.n, 0) <> e.formula`,
    ),
    {
      name: 'tables, views, triggers, functions and grants are as they were',
      ok: differing.length === 0,
      found: differing.slice(0, SHOWN_MAX).join('; '),
    },
  ];
}

/** Nobody of the old system may have been refused, whatever was going on. */
export function checkErrors(traffic: Traffic): Check[] {
  const codes = [...traffic.complaints].map(([what, message]) => `${what}: ${message}`);
  return [
    {
      name: 'no statement of the old programs failed',
      ok: codes.length === 0,
      found: codes.join('; '),
    },
    {
      name: 'of every write it is known whether it was done',
      ok: traffic.doubtful.size === 0,
      found: traffic.doubtful.size === 0 ? '' : `${traffic.doubtful.size} members in doubt`,
    },
  ];
}

const EXPECTED = `
  SELECT m.user_id, coalesce(m.stored, m.formula) + coalesce(d.points, 0) AS expected,
    m.formula + coalesce(d.points, 0) AS formula, coalesce(d.doubtful, false) AS doubtful
  FROM bench.members m LEFT JOIN bench.deltas d USING (user_id)`;

async function noteDeltas(client: pg.Client, { deltas, doubtful }: Traffic): Promise<void> {
  const users = [...new Set([...deltas.keys(), ...doubtful])];
  await client.query(`CREATE TABLE IF NOT EXISTS bench.deltas (user_id integer PRIMARY KEY,
    points numeric, doubtful boolean); TRUNCATE bench.deltas`);
  await client.query(
    'INSERT INTO bench.deltas SELECT * FROM unnest($1::int[], $2::numeric[], $3::bool[])',
    [users, users.map((user) => deltas.get(user) ?? 0), users.map((user) => doubtful.has(user))],
  );
}

async function noRows(client: pg.Client, name: string, sql: string): Promise<Check> {
  const { rows } = await client.query(`SELECT count(*) OVER () AS of_all, * FROM (${sql}) wrong
    LIMIT ${SHOWN_MAX}`);
  const shown = rows.map(({ of_all, ...row }) => JSON.stringify(row)).join(' ');
  return { name, ok: rows.length === 0, found: rows[0] ? `${rows[0].of_all}: ${shown}` : '' };
}

type Counts = Omit<Before, 'schema'>;

/** Rows that the old programs put there or would see; not those that explain a balance. */
async function counts(client: pg.Client, { layout }: Size): Promise<Counts> {
  const p = prefixOf(layout);
  const { rows } = await client.query(`
    WITH shown AS (SELECT source_type, count(*) AS n FROM ${p}vw_hist_accum_redem GROUP BY 1)
    SELECT (SELECT count(*) FROM ${p}fact_accumulations
              WHERE accum_type IS NULL OR accum_type NOT IN ('opening', 'legacy_balance'))::float8
              AS ledger,
      (SELECT count(*) FROM ${p}fact_redemptions)::float8 AS fact_redemptions,
      (SELECT coalesce(sum(n), 0) FROM shown WHERE source_type = 'Acumulación')::float8
        AS earned_shown,
      (SELECT coalesce(sum(n), 0) FROM shown WHERE source_type = 'Redención')::float8
        AS redeemed_shown,
      (SELECT count(*) FROM ${p}dim_redemptions)::float8 AS catalogue`);
  return rows[0];
}

/** Rows under the old names: those before, and those acknowledged since. */
export async function checkCounts(
  client: pg.Client,
  size: Size,
  before: Before,
  { earned, bought, doubtful }: Traffic,
): Promise<Check[]> {
  const now = await counts(client, size);
  const added: Counts = {
    ledger: earned,
    fact_redemptions: bought,
    earned_shown: earned,
    redeemed_shown: bought,
    catalogue: 0,
  };
  return (Object.keys(added) as (keyof Counts)[]).map((name) => {
    const expected = before[name] + added[name];
    const found = now[name];
    return {
      name: `rows: ${name.replaceAll('_', ' ')}`,
      ok: found >= expected && found <= expected + doubtful.size,
      found: `${before[name]} + ${added[name]}, found ${found}`,
    };
  });
}

async function describeSchema(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(`
    WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'
           AND nspname NOT IN ('information_schema', 'bench', 'lumis_archive')),
         things AS (SELECT c.*, nspname FROM pg_class c JOIN ours ON ours.oid = relnamespace)
    SELECT concat_ws(' ', 'schema', nspname) AS line FROM ours
    UNION ALL SELECT concat_ws(' ', 'relation', nspname, relname, relkind::text,
      pg_get_userbyid(relowner), reloptions::text) FROM things
    UNION ALL SELECT concat_ws(' ', 'column', nspname, relname, attname,
      format_type(atttypid, atttypmod), attnotnull::text, pg_get_expr(adbin, adrelid))
      FROM things JOIN pg_attribute a ON attrelid = things.oid AND attnum > 0 AND NOT attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
      WHERE relkind IN ('r', 'v', 'm')
    UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(oid)) FROM things WHERE relkind = 'i'
    UNION ALL SELECT concat_ws(' ', 'view', relname, pg_get_viewdef(oid))
      FROM things WHERE relkind = 'v'
    UNION ALL SELECT concat_ws(' ', 'grant', relname, grantee::regrole::text, privilege_type)
      FROM things, aclexplode(coalesce(relacl, acldefault(
        (CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner)))
      WHERE relkind IN ('r', 'v', 'S')
    UNION ALL SELECT concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(k.oid))
      FROM pg_constraint k JOIN things ON things.oid = conrelid
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), tgenabled::text)
      FROM pg_trigger t JOIN things ON things.oid = tgrelid WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', 'function', md5(pg_get_functiondef(p.oid)),
      p.oid::regprocedure::text)
      FROM pg_proc p JOIN ours ON ours.oid = pronamespace
    ORDER BY 1`);
  return rows.map((row) => row.line);
}
