import type pg from 'pg';
import { refuseDistant } from '../loopback.ts';

const FILLED = [
  'rewards.merchants',
  'rewards.redemption_offers',
  'rewards.user_redemptions',
  'rewards.redemption_audit_log',
  'public.fact_accumulations',
  'lumis.balances',
  'lumis.members',
  'lumis.events',
  'lumis.idempotency_keys',
  'lumis.merchant_keys',
  'lumis.branches',
  'lumis.devices',
];

/**
 * Throws unless the database is on this machine, ours to fill (a superuser's), migrated to the last
 * of `migrations`, laid out as a new one, and empty.
 */
export async function refuseUnfit(client: pg.Client, migrations: string[]): Promise<void> {
  await refuseDistant(client);
  const { rows } = await client.query(`SELECT current_database() AS name,
    current_setting('is_superuser')::boolean AS super,
    to_regclass('lumis.migrations') IS NOT NULL AS migrated,
    to_regclass('lumis.take_over') IS NOT NULL AS taken_over,
    to_regclass('bench.about') IS NOT NULL AS begun`);
  const { name, super: isSuper, migrated, taken_over, begun } = rows[0];
  const refuse = (why: string, way: string) => {
    throw new Error(`database ${name} ${why}; ${way}`);
  };
  const anew = `drop it and make it anew: DROP DATABASE "${name}" WITH (FORCE)`;
  if (!isSuper) refuse('is not opened as a superuser', 'rows are written beside the triggers');
  if (!migrated) refuse('is not migrated', 'run lumis migrate up on it');
  const applied = await client.query('SELECT name FROM lumis.migrations');
  const pending = migrations.filter((one) => !applied.rows.some((row) => row.name === one));
  if (pending.length > 0) refuse(`lacks ${pending.join(', ')}`, 'run lumis migrate up on it');
  if (taken_over) refuse('was taken over from a legacy system', 'fill a new one');
  if (begun) {
    const about = await client.query('SELECT FROM bench.about WHERE filled_at IS NOT NULL');
    refuse(about.rowCount ? 'is filled already' : 'was left half filled', anew);
  }
  for (const table of FILLED) {
    const { rowCount } = await client.query(`SELECT FROM ${table} LIMIT 1`);
    if (rowCount) refuse(`is not empty: there are rows in ${table}`, 'fill a new one');
  }
}
