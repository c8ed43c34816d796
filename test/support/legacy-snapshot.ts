/** What a legacy database holds, as comparable lines: everything a dump would tell, and the rows. */

import assert from 'node:assert/strict';
import type pg from 'pg';
import type { Layout, Legacy } from './legacy.ts';

export interface Snapshot {
  /** schemas, tables, columns, keys, functions, triggers, views, owners, grants, comments */
  schema: string[];
  /** `schema.name last_value is_called` */
  sequences: string[];
  /** `schema.table row`, of tables and materialised views; other views by what they show */
  rows: string[];
}

/** Schemas of somebody, not the server's; `%EXCEPT%` is what else is left out. */
const THEIRS = `theirs AS (SELECT n.oid, n.nspname, n.nspowner, n.nspacl FROM pg_namespace n
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', '%EXCEPT%')),
  relation AS (SELECT c.oid AS id, n.nspname || '.' || c.relname AS name, c.*
    FROM pg_class c
    JOIN theirs n ON n.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')),
  routine AS (SELECT p.oid AS id, p.oid::regprocedure::text AS name, p.* FROM pg_proc p
    JOIN theirs n ON n.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e'))`;

/** An empty list of rights and the default one are the same to whoever asks. */
const rights = (what: string, acl: string, kind: string, owner: string, from: string) => `
  SELECT format('grant %s %s to %s by %s%s', ${what}, x.privilege_type,
    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, x.grantor::regrole,
    CASE WHEN x.is_grantable THEN ' with grant option' END)
  FROM ${from}, aclexplode(coalesce(${acl}, acldefault(${kind}, ${owner}))) x`;

const SCHEMA = `WITH ${THEIRS}
  SELECT format('schema %s of %s', nspname, nspowner::regrole) AS line FROM theirs
  UNION ALL SELECT format('%s %s of %s %s %s %s %s', relkind, name, relowner::regrole, reloptions,
      relpersistence, relreplident, array[relrowsecurity, relforcerowsecurity, relispopulated])
    FROM relation WHERE relkind <> 'i'
  UNION ALL SELECT format('column %s.%s %s: %s', r.name, a.attname,
      row_number() OVER (PARTITION BY r.id ORDER BY a.attnum),
      concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        a.attgenerated, a.attstorage, a.attcollation::regcollation, a.attstattarget, a.attoptions,
        pg_get_expr(d.adbin, d.adrelid)))
    FROM pg_attribute a JOIN relation r ON r.id = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind IN ('r', 'p', 'v', 'm')
  UNION ALL SELECT format('index %s %s', pg_get_indexdef(i.indexrelid),
      array[i.indisvalid, i.indisclustered, i.indisreplident])
    FROM pg_index i JOIN relation r ON r.id = i.indexrelid
  UNION ALL SELECT format('constraint %s on %s %s %s', c.conname, c.conrelid::regclass,
      pg_get_constraintdef(c.oid), c.convalidated)
    FROM pg_constraint c JOIN theirs n ON n.oid = c.connamespace
  UNION ALL SELECT format('function of %s %s', proowner::regrole, pg_get_functiondef(id))
    FROM routine WHERE prokind IN ('f', 'p')
  UNION ALL SELECT format('trigger %s %s', t.tgenabled, pg_get_triggerdef(t.oid))
    FROM pg_trigger t JOIN relation r ON r.id = t.tgrelid WHERE NOT t.tgisinternal
  UNION ALL SELECT format('view %s AS %s', name, pg_get_viewdef(id)) FROM relation
    WHERE relkind IN ('v', 'm')
  UNION ALL SELECT format('rule %s', pg_get_ruledef(u.oid)) FROM pg_rewrite u
    JOIN relation r ON r.id = u.ev_class WHERE u.rulename <> '_RETURN'
  UNION ALL SELECT format('sequence %s %s owned by %s', s.seqrelid::regclass,
      array[s.seqtypid::regtype::text, s.seqstart::text, s.seqincrement::text, s.seqmax::text,
        s.seqmin::text, s.seqcache::text, s.seqcycle::text],
      (SELECT d.refobjid::regclass || '.' || a.attname FROM pg_depend d
       JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.objid = s.seqrelid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0))
    FROM pg_sequence s JOIN relation r ON r.id = s.seqrelid
  UNION ALL SELECT format('policy %s on %s', p.polname, p.polrelid::regclass) FROM pg_policy p
  UNION ALL SELECT format('statistics %s', pg_get_statisticsobjdef(oid)) FROM pg_statistic_ext
  UNION ALL SELECT format('comment on %s: %s', pg_describe_object(classoid, objoid, objsubid),
      description) FROM pg_description WHERE classoid = 'pg_class'::regclass
      AND objoid IN (SELECT id FROM relation)
  UNION ALL ${rights(`'schema ' || nspname`, 'nspacl', `'n'`, 'nspowner', 'theirs')}
  UNION ALL ${rights(
    'name',
    'relacl',
    `CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char"`,
    'relowner',
    `(SELECT * FROM relation WHERE relkind IN ('r', 'p', 'v', 'm', 'S')) r`,
  )}
  UNION ALL ${rights(
    `r.name || '.' || a.attname`,
    'a.attacl',
    `'c'`,
    'r.relowner',
    `pg_attribute a JOIN relation r ON r.id = a.attrelid AND a.attnum > 0`,
  )}
  UNION ALL ${rights('name', 'proacl', `'f'`, 'proowner', 'routine')}
  UNION ALL SELECT 'extension ' || extname FROM pg_extension
  ORDER BY 1`;

/**
 * Everything, but for schema `lumis_archive` unless it is asked for. Two of the same database are
 * alike, or something differs.
 */
export async function legacySnapshot(
  client: pg.Client,
  _layout?: Layout,
  { archive = false } = {},
): Promise<Snapshot> {
  const except = archive ? '' : 'lumis_archive';
  const { rows: schema } = await client.query(SCHEMA.replaceAll('%EXCEPT%', except));
  const { rows: sequences } = await client.query(
    `SELECT format('%I.%I', schemaname, sequencename) AS name FROM pg_sequences
     WHERE schemaname <> $1 ORDER BY 1`,
    [except],
  );
  const values: string[] = [];
  for (const { name } of sequences) {
    const { rows } = await client.query(`SELECT last_value, is_called FROM ${name}`);
    values.push(`${name} ${rows[0].last_value} ${rows[0].is_called}`);
  }
  return {
    schema: schema.map((row) => row.line),
    sequences: values,
    rows: await rowsOf(client, except),
  };
}

/** Every row of every table, view and materialised view, sorted; two alike are two lines. */
async function rowsOf(client: pg.Client, except: string): Promise<string[]> {
  const { rows: tables } = await client.query(
    `
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname !~ '^pg_'
      AND n.nspname NOT IN ('information_schema', $1)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1`,
    [except],
  );
  const lines: string[] = [];
  for (const { name } of tables) {
    const { rows } = await client.query(`SELECT t::text AS line FROM ${name} t ORDER BY 1`);
    lines.push(...rows.map((row) => `${name} ${row.line}`));
  }
  return lines;
}

/**
 * Lines that two runs of the same thing must share: what was generated is left out, that is uuids,
 * times of today and the roles of one database.
 */
export function neutral({ schema, sequences, rows }: Snapshot, { roles }: Legacy): Snapshot {
  const suffix = roles.bot.replace('legacy_bot', '');
  const line = (text: string) =>
    text
      .replaceAll(suffix, '')
      .replace(/""(oid|openings_top)"": \d+/g, '$1')
      .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d(:?\d\d)?/g, (time) =>
        Math.abs(Date.parse(time.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')) - Date.now()) <
        DAY_MS
          ? 'NOW'
          : time,
      );
  const lines = (list: string[]) => list.map(line).sort();
  return { schema: lines(schema), sequences: lines(sequences), rows: lines(rows) };
}

const DAY_MS = 86_400_000;

/** The lines of one list that the other lacks; one that is there twice must be there twice. */
export function missingIn(of: readonly string[], other: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of other) counts.set(line, (counts.get(line) ?? 0) + 1);
  return of.filter((line) => {
    const left = counts.get(line) ?? 0;
    counts.set(line, left - 1);
    return left <= 0;
  });
}

/** Fails with nothing but the lines that differ. */
export function assertSame(
  after: readonly string[],
  before: readonly string[],
  message?: string,
): void {
  const difference = { gone: missingIn(before, after), added: missingIn(after, before) };
  assert.deepEqual(difference, { gone: [], added: [] }, message && `${message}: lines differ`);
}

export function assertSameSnapshot(after: Snapshot, before: Snapshot, message = 'snapshot'): void {
  assertSame(after.schema, before.schema, `${message}, schema`);
  assertSame(after.sequences, before.sequences, `${message}, sequences`);
  assertSame(after.rows, before.rows, `${message}, rows`);
}

/** A number per member, without trailing zeros. */
export type PerMember = Record<string, string>;

async function perMember(client: pg.Client, text: string): Promise<PerMember> {
  const { rows } = await client.query(
    `SELECT user_id, trim_scale(points)::text AS points FROM (${text}) t
     WHERE user_id IS NOT NULL ORDER BY user_id`,
  );
  return Object.fromEntries(rows.map((row) => [row.user_id, row.points]));
}

/** What the legacy's own function computes: entries that are points less all purchases. */
export function oldFormula(client: pg.Client, layout: Layout): Promise<PerMember> {
  return perMember(
    client,
    `SELECT user_id, sum(points) AS points FROM (
       SELECT user_id, CASE WHEN dtype = 'points' THEN coalesce(quantity, 0) ELSE 0 END AS points
       FROM ${layout}.fact_accumulations
       UNION ALL SELECT user_id, -coalesce(quantity, 0) FROM ${layout}.fact_redemptions
     ) moved GROUP BY user_id`,
  );
}

/** What members have before the take-over: what is stored, or where nothing is, the formula. */
export async function shownBefore(client: pg.Client, layout: Layout): Promise<PerMember> {
  const stored = await perMember(
    client,
    `SELECT user_id, balance AS points FROM ${layout}.fact_balance_points
     WHERE balance IS NOT NULL`,
  );
  return { ...(await oldFormula(client, layout)), ...stored };
}

/** What members see after it. */
export function shownAfter(client: pg.Client): Promise<PerMember> {
  return perMember(client, 'SELECT user_id, balance AS points FROM lumis.balances');
}

/** Points that the ledger holds for each member. */
export function ledgerSums(client: pg.Client, layout: Layout): Promise<PerMember> {
  return perMember(
    client,
    `SELECT user_id, sum(quantity) AS points FROM ${layout}.fact_accumulations
     WHERE dtype = 'points' AND quantity IS NOT NULL GROUP BY user_id`,
  );
}

/** Rows and their sum per member of every legacy table that has members, as `table member n sum`. */
export async function countsAndSums(client: pg.Client, layout: Layout): Promise<string[]> {
  const tables = ['fact_accumulations', 'fact_redemptions', 'fact_balance_points'];
  const lines: string[] = [];
  for (const table of tables) {
    const amount = table === 'fact_balance_points' ? 'balance' : 'quantity';
    const { rows: there } = await client.query('SELECT to_regclass($1) AS found', [
      `${layout}.${table}`,
    ]);
    if (!there[0].found) continue;
    // opening rows explain a difference; they are no activity of the member
    const ours =
      table === 'fact_accumulations' ? `WHERE accum_type IS DISTINCT FROM 'opening'` : '';
    const { rows } = await client.query(`
      SELECT format('${table} %s %s %s', coalesce(user_id::text, 'nobody'), count(*),
        trim_scale(sum(${amount}))) AS line
      FROM ${layout}.${table} ${ours} GROUP BY user_id ORDER BY user_id`);
    lines.push(...rows.map((row) => row.line));
  }
  return lines;
}
