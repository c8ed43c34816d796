import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { PROJECT_ROOT } from '../project.ts';

const FOLDER = join(PROJECT_ROOT, 'migrations');
/** A lock that neighbours hold is waited for this often, five seconds each. */
const LOCK_TRIES_MAX = 12;

/** A migration cannot go on: what stands in the way, and the way out. Nothing was changed. */
export class MigrationRefused extends Error {
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  constructor(error: { message: string; detail?: string; hint?: string }) {
    super(error.message, { cause: error });
    this.name = 'MigrationRefused';
    this.detail = error.detail;
    this.hint = error.hint;
  }
}

export interface MigrationState {
  name: string;
  /** null while pending */
  applied_at: string | null;
  applied_by: string | null;
}

type Notice = (text: string) => void;

/** Every migration of this version, in order, and whether the database has it. */
export async function migrationStates(url: string): Promise<MigrationState[]> {
  return withClient(url, undefined, statesOf);
}

/**
 * Applies what is pending, each file as one transaction. Returns the names applied. Throws
 * MigrationRefused when the database is not one that this version may change.
 */
export async function migrateUp(url: string, notice?: Notice): Promise<string[]> {
  return withClient(url, notice, async (client) => {
    const pending = (await statesOf(client)).filter((state) => state.applied_at === null);
    for (const { name } of pending) await apply(client, join(FOLDER, `${name}.sql`), notice);
    return pending.map((state) => state.name);
  });
}

/**
 * What `up` would apply, found by doing it and undoing it again: what would be refused is refused
 * here. Returns the names; changes nothing.
 */
export async function migratePlan(url: string): Promise<string[]> {
  return withClient(url, undefined, async (client) => {
    const pending = (await statesOf(client)).filter((state) => state.applied_at === null);
    await client.query('BEGIN');
    // no second try: within this transaction it could only fail again
    for (const { name } of pending) await apply(client, join(FOLDER, `${name}.sql`), undefined, 1);
    await client.query('ROLLBACK');
    return pending.map((state) => state.name);
  });
}

/**
 * Takes migrations back, latest first, down to but not including `to`; without it all of them.
 * Returns the names taken back.
 */
export async function migrateDown(url: string, to?: string, notice?: Notice): Promise<string[]> {
  return withClient(url, notice, async (client) => {
    const states = await statesOf(client);
    if (to !== undefined && !states.some((state) => state.name === to)) {
      throw new MigrationRefused({ message: `there is no migration ${to}` });
    }
    const stop = to === undefined ? -1 : states.findIndex((state) => state.name === to);
    const applied = states.slice(stop + 1).filter((state) => state.applied_at !== null);
    for (const { name } of applied.reverse()) {
      await apply(client, join(FOLDER, 'down', `${name}.sql`), notice);
    }
    return applied.map((state) => state.name);
  });
}

async function statesOf(client: pg.Client): Promise<MigrationState[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.sql')).sort();
  const { rows: known } = await client.query(`SELECT to_regclass('lumis.migrations') AS found`);
  const { rows } = known[0].found
    ? await client.query('SELECT name, applied_at::text, applied_by FROM lumis.migrations')
    : { rows: [] };
  const states = files.map((file) => {
    const name = file.slice(0, -'.sql'.length);
    return rows.find((row) => row.name === name) ?? { name, applied_at: null, applied_by: null };
  });
  const unknown = rows.filter((row) => !states.some((state) => state.name === row.name));
  if (unknown.length > 0) {
    throw new MigrationRefused({
      message: `the database has migrations of a newer version: ${unknown.map((r) => r.name)}`,
      hint: 'Run that version, or take its migrations back with it.',
    });
  }
  return states;
}

/** Runs a file as psql does, without the lines that are for psql. */
async function apply(
  client: pg.Client,
  file: string,
  notice?: Notice,
  triesMax = LOCK_TRIES_MAX,
): Promise<void> {
  const sql = (await readFile(file, 'utf8')).replace(/^\\.*$/gm, '');
  for (let tries = 1; ; tries += 1) {
    try {
      await client.query(sql);
      return;
    } catch (error) {
      const { code = '' } = error as pg.DatabaseError;
      if (code === '55P03' && tries < triesMax) {
        notice?.(`somebody holds a lock; trying again (${tries} of ${LOCK_TRIES_MAX})`);
        continue;
      }
      if (['LM010', '42501', '55P03', '2BP01'].includes(code)) {
        throw new MigrationRefused(error as pg.DatabaseError as never);
      }
      throw error;
    }
  }
}

async function withClient<T>(
  url: string,
  notice: Notice | undefined,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'lumis migrate' });
  // told when they have become true: what fails is undone, and so is what it said
  const said: string[] = [];
  client.on('notice', ({ message }) => said.push(message ?? ''));
  client.on('error', () => undefined); // the statement under way reports it
  await client.connect();
  try {
    const result = await work(client);
    for (const message of said) notice?.(message);
    return result;
  } finally {
    await client.end().catch(() => undefined);
  }
}
