/** Databases for tests: a clone of the migrated template, or an empty one. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { openDatabase } from '../../src/db/pool.ts';
import { checkInvariants } from '../../src/invariants/check.ts';

export interface Database {
  url: string;
  name: string;
  /** A session of its own, closed when the test ends. */
  connect(): Promise<pg.Client>;
}

const CLONE_PATIENCE_MS = 20_000;
/** How long a test's own hooks may take to close its pools before its sessions are cut off. */
const SESSIONS_PATIENCE_MS = 2_000;
const OBJECT_IN_USE = '55006';

/**
 * A database of its own with all migrations applied, dropped after the test `t`, or after the
 * file when `t` is left out (then call it at the top level of the file).
 */
export function freshDatabase(t?: TestContext): Promise<Database> {
  return makeDatabase('template lumis_template', t);
}

/**
 * `freshDatabase` with a pool of ours on it, of `max` connections, and `sql` through that. All
 * invariants must hold when the test or the file has ended.
 */
export async function checkedDatabase(t?: TestContext, max = 8) {
  const { url, connect } = await freshDatabase(t);
  const db = openDatabase({ url, max, poolTimeoutMs: 10_000, onError: () => undefined });
  const check = async () => {
    const violations = await checkInvariants(db, {}).finally(() => db.close());
    assert.deepEqual(violations, []);
  };
  t === undefined ? after(check) : t.after(check);
  const sql = (text: string, ...values: unknown[]): Promise<any[]> =>
    db.query({ name: '', text, values });
  return { url, db, connect, sql };
}

/** Like `freshDatabase`, but without any migration applied. */
export function emptyDatabase(t?: TestContext): Promise<Database> {
  return makeDatabase("template template0 encoding 'UTF8'", t);
}

async function makeDatabase(origin: string, t: TestContext | undefined): Promise<Database> {
  const server = process.env.LUMIS_TEST_SERVER;
  if (server === undefined) {
    throw new Error('Tests that need a database run through `npm test [part of a file name]`.');
  }
  const name = `lumis_test_${process.pid}_${randomBytes(6).toString('hex')}`;
  await onServer(server, (client) => createDatabase(client, `create database ${name} ${origin}`));
  const url = new URL(server);
  url.pathname = `/${name}`;
  const clients: pg.Client[] = [];
  // Not awaited: hooks run in the order they were made, and the test's own may come later.
  const dropLater = (): void => {
    void dropDatabase(server, name, clients);
  };
  t === undefined ? after(dropLater) : t.after(dropLater);
  return { url: url.href, name, connect: () => connect(url.href, clients) };
}

async function connect(url: string, clients: pg.Client[]): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  clients.push(client);
  await client.connect();
  return client;
}

/** Clones of one template do not wait for each other; they refuse while somebody is in it. */
async function createDatabase(client: pg.Client, statement: string): Promise<void> {
  const deadline = Date.now() + CLONE_PATIENCE_MS;
  for (;;) {
    try {
      await client.query(statement);
      return;
    } catch (error) {
      const isBusy = error instanceof pg.DatabaseError && error.code === OBJECT_IN_USE;
      if (!isBusy || Date.now() > deadline) {
        throw error;
      }
      await sleep(50 + Math.random() * 100);
    }
  }
}

async function dropDatabase(server: string, name: string, clients: pg.Client[]): Promise<void> {
  await Promise.allSettled(clients.map((client) => client.end()));
  await onServer(server, async (client) => {
    const deadline = Date.now() + SESSIONS_PATIENCE_MS;
    while ((await hasSessions(client, name)) && Date.now() < deadline) {
      await sleep(20);
    }
    await client.query(`drop database if exists ${name} with (force)`);
  }).catch((error: unknown) => {
    // The server goes away with the run, or the next run on it cleans up.
    console.error(`could not drop ${name}:`, error);
  });
}

async function hasSessions(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `select exists (
       select from pg_stat_activity where datname = $1 and backend_type = 'client backend'
     ) as found`,
    [name],
  );
  return rows[0]?.found ?? false;
}

async function onServer<T>(server: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
