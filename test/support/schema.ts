import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type pg from 'pg';
import { PROJECT_ROOT } from '../../src/project.ts';

/** The migration that makes all or takes a legacy system over. */
export const MIGRATION = '2025_10_17_redemption_system';
/** All of them, in their order. */
export const MIGRATIONS = readdirSync(join(PROJECT_ROOT, 'migrations'))
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.slice(0, -'.sql'.length))
  .sort();

/** Everything that a user has made in this database, as PostgreSQL itself describes it. */
export async function schemaOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(`
    WITH ours AS (SELECT oid, nspname FROM pg_namespace
      WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
    extension_member AS (SELECT objid FROM pg_depend WHERE deptype = 'e')
    SELECT 'schema ' || nspname AS line FROM ours
    UNION ALL SELECT format('%s %s.%s %s', c.relkind, n.nspname, c.relname, c.reloptions)
      FROM pg_class c JOIN ours n ON n.oid = c.relnamespace
      WHERE c.oid NOT IN (SELECT objid FROM extension_member)
    UNION ALL SELECT format('column %s.%s %s %s %s %s %s', n.nspname, c.relname, a.attname,
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        pg_get_expr(d.adbin, d.adrelid))
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ours n ON n.oid = c.relnamespace
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'
    UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid JOIN ours n ON n.oid = c.relnamespace
    UNION ALL SELECT format('constraint %s %s', c.conname, pg_get_constraintdef(c.oid))
      FROM pg_constraint c JOIN ours n ON n.oid = c.connamespace
    UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p
      JOIN ours n ON n.oid = p.pronamespace
      WHERE p.oid NOT IN (SELECT objid FROM extension_member)
    UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t
      WHERE NOT t.tgisinternal
    UNION ALL SELECT 'extension ' || extname FROM pg_extension
    ORDER BY 1`);
  return rows.map((row) => row.line);
}

/** Every row of every table in these schemas, as text. */
export async function dataOf(client: pg.Client, ...schemas: string[]): Promise<string[]> {
  const { rows: tables } = await client.query(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname = ANY ($1) AND tablename <> 'migrations' ORDER BY 1`,
    [schemas],
  );
  const lines: string[] = [];
  for (const { name } of tables) {
    const { rows } = await client.query(`SELECT t::text AS line FROM ${name} t ORDER BY 1`);
    lines.push(...rows.map((row) => `${name} ${row.line}`));
  }
  return lines;
}

/** Whether psql is here. In CI it must be: a check that cannot run there is a failure. */
export function hasPsql(t: TestContext): boolean {
  const found = spawnSync('psql', ['--version']).status === 0;
  if (!found && process.env.CI) throw new Error('psql is missing; in CI it must be installed');
  if (!found) t.diagnostic('NOT CHECKED: psql is not installed on this machine');
  return found;
}

/** Runs a migration file as an operator would: `psql -f`. */
export function psqlFile(url: string, file: string) {
  const path = join(PROJECT_ROOT, 'migrations', file);
  return spawnSync('psql', ['-X', url, '-f', path], { encoding: 'utf8' });
}
