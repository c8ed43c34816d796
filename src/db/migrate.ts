import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { PROJECT_ROOT } from '../project.ts';
import { type Statement, statementsOf } from './migration-file.ts';
import { type Survey, survey } from './survey/survey.ts';

const FOLDER = join(PROJECT_ROOT, 'migrations');
/** The migration that takes a legacy points system over, where there is one. */
const TAKE_OVER = '2025_10_17_redemption_system';
/** A lock that neighbours hold is waited for this often; each statement bounds its own wait. */
const LOCK_TRIES_MAX = 12;
const LOCK_PAUSE_MS = 500;

/** A migration cannot go on: what stands in the way, and the way out. */
export class MigrationRefused extends Error {
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  constructor(
    error: { message: string; detail?: string | undefined; hint?: string | undefined },
    cause?: unknown,
  ) {
    super(error.message, { cause });
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

/**
 * What a database holds: nothing of ours; a legacy points system in schema `public` or `rewards`;
 * one that was taken over but for the last step (`unfinished`); the redemption system (`applied`).
 */
export type Layout = 'empty' | 'public' | 'rewards' | 'unfinished' | 'applied';

/** What `up` would do: the migrations, and for a legacy database everything about its take-over. */
export interface Plan extends Survey {
  pending: string[];
  layout: Layout;
}

type Notice = (text: string) => void;

/** Every migration of this version, in order, and whether the database has it. */
export async function migrationStates(url: string): Promise<MigrationState[]> {
  return withClient(url, undefined, statesOf);
}

/**
 * Applies what is pending. Returns the names applied. Throws MigrationRefused when the database is
 * not one that this version may change, and when it is a legacy one and `takeOver` is not set.
 */
export async function migrateUp(
  url: string,
  notice?: Notice,
  options: { takeOver: boolean } = { takeOver: true },
): Promise<string[]> {
  if (!options.takeOver) await refuseLegacy(url);
  return withClient(url, notice, async (client) => {
    const pending = (await statesOf(client)).filter((state) => state.applied_at === null);
    for (const { name } of pending) await apply(client, join(FOLDER, `${name}.sql`), notice);
    return pending.map((state) => state.name);
  });
}

async function refuseLegacy(url: string): Promise<void> {
  const pending = (await migrationStates(url)).filter((state) => state.applied_at === null);
  if (!pending.some((state) => state.name === TAKE_OVER)) return;
  const layout = await withLook(url, async (_, found) => found);
  if (layout !== 'public' && layout !== 'rewards') return;
  throw new MigrationRefused({
    message: `this database holds a legacy points system in schema ${layout}`,
    hint: 'Nothing was changed. `lumis migrate plan` says what taking it over means; `lumis migrate up` does it.',
  });
}

/** What `up` would do, found by looking. Changes nothing, and waits for nobody. */
export async function migratePlan(url: string): Promise<Plan> {
  const states = await migrationStates(url);
  const pending = states.filter((state) => state.applied_at === null).map((state) => state.name);
  return withLook(url, async (client, layout) => ({
    pending,
    layout,
    ...(await survey(client, layout)),
  }));
}

/**
 * Looks at a database through the functions that the take-over itself looks through (`pg_temp.
 * lumis_layout()` and its kin), and undoes their making. Throws MigrationRefused where `up` would.
 */
export async function withLook<T>(
  url: string,
  work: (client: pg.Client, layout: Layout) => Promise<T>,
): Promise<T> {
  const statements = await statementsOf(join(FOLDER, `${TAKE_OVER}.sql`));
  return withClient(url, undefined, async (client) => {
    await client.query('BEGIN');
    for (const { sql } of statements.filter(({ sql }) => /FUNCTION pg_temp\./.test(sql))) {
      await run(client, sql);
    }
    const [row] = await run(client, 'SELECT pg_temp.lumis_layout() AS layout');
    const result = await work(client, row?.layout as Layout).catch(refuse);
    await client.query('ROLLBACK');
    return result;
  });
}

/**
 * Takes migrations back, latest first, down to but not including `to`; without it all of them.
 * One transaction: what is refused half-way has changed nothing. Returns the names taken back.
 */
export async function migrateDown(url: string, to?: string, notice?: Notice): Promise<string[]> {
  return withClient(url, notice, async (client) => {
    const states = await statesOf(client);
    if (to !== undefined && !states.some((state) => state.name === to)) {
      throw new MigrationRefused({ message: `there is no migration ${to}` });
    }
    const stop = to === undefined ? -1 : states.findIndex((state) => state.name === to);
    const begun = await beginnings(client);
    const applied = states
      .slice(stop + 1)
      .filter((state) => state.applied_at !== null || begun.includes(state.name));
    await client.query('BEGIN');
    try {
      for (const { name } of applied.reverse()) {
        await apply(client, join(FOLDER, 'down', `${name}.sql`), notice, 'inside');
      }
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined); // the connection may be the error
      throw error;
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

/** Migrations that were interrupted between two of their transactions: `down` undoes these too. */
async function beginnings(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(`SELECT to_regclass('lumis.take_over') AS found`);
  return rows[0].found ? [TAKE_OVER] : [];
}

/**
 * Runs a file as psql does, `inside` a transaction or each statement by itself. What was done before
 * a lock was refused need not be done again.
 */
async function apply(
  client: pg.Client,
  file: string,
  notice?: Notice,
  place?: 'inside',
): Promise<void> {
  for (const statement of await statementsOf(file)) {
    for (let tries = 1; ; tries += 1) {
      try {
        if (place) await client.query('SAVEPOINT statement');
        await runStatement(client, statement);
        if (place) await client.query('RELEASE statement');
        break;
      } catch (error) {
        const code = ((error as Error).cause as pg.DatabaseError | undefined)?.code;
        if (code !== '55P03' || tries === LOCK_TRIES_MAX) throw error;
        if (place) await client.query('ROLLBACK TO statement');
        notice?.(`somebody holds a lock; trying again (${tries} of ${LOCK_TRIES_MAX})`);
        await sleep(LOCK_PAUSE_MS);
      }
    }
  }
}

async function runStatement(client: pg.Client, { sql, generates }: Statement): Promise<void> {
  const rows = await run(client, sql);
  if (!generates) return;
  for (const cell of rows.flatMap((row) => Object.values(row))) await run(client, String(cell));
}

async function run(client: pg.Client, sql: string): Promise<Record<string, unknown>[]> {
  return client.query(sql).then((result) => result.rows, refuse);
}

/** Where the server's own hint leads astray, or there is none. */
const WAYS_OUT: Record<string, string> = {
  '2BP01': 'Nothing was changed. Drop what is named here, or build it on something else.',
  '53100':
    'The disk of the database is full. Make room, then run this again: what was begun is finished.',
};

/** What the database refuses in words for an operator is refused with them. */
function refuse(error: pg.DatabaseError): never {
  const { code = '' } = error;
  if (!/^(LM010|42501|55P03|2BP01|23...|53100)$/.test(code)) throw error;
  const { message, detail, hint } = error;
  throw new MigrationRefused({ message, detail, hint: WAYS_OUT[code] ?? hint }, error);
}

async function withClient<T>(
  url: string,
  notice: Notice | undefined,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'lumis migrate' });
  // A NOTICE is told when it has become true: what fails is undone, and so is what it said.
  // An INFO is progress.
  const said: string[] = [];
  client.on('notice', ({ severity, message }) => {
    if (severity === 'INFO') notice?.(message ?? '');
    else said.push(message ?? '');
  });
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
