/**
 * `migrate up` and `migrate down` killed at any moment, the client or its backend, and run again:
 * the same end as without. KILLS=50 for a long look.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { migrateUp } from '../src/db/migrate.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { type Layout, type Legacy, legacyDatabase } from './support/legacy.ts';
import {
  assertSameSnapshot,
  legacySnapshot,
  neutral,
  type Snapshot,
  shownBefore,
} from './support/legacy-snapshot.ts';
import { legacyWriters } from './support/legacy-statements.ts';
import {
  adjustABit,
  assertClean,
  legacyGoesOn,
  openProgramme,
  ourCatalogue,
  redeemABit,
} from './support/take-over.ts';

const KILLS = Number(process.env.KILLS ?? 3);
/** A short look takes one way of each layout, a long one all. */
const WAYS: [Layout, 'up' | 'down'][] = [
  ['public', 'up'],
  ['rewards', 'down'],
  ...(process.env.KILLS
    ? ([
        ['public', 'down'],
        ['rewards', 'up'],
      ] as const)
    : []),
].map(([layout, way]) => [layout as Layout, way as 'up' | 'down']);
const LUMIS = join(PROJECT_ROOT, 'bin/lumis.js');
const RUN_MS_MAX = 120_000;
const SERVER = () => process.env.LUMIS_TEST_SERVER as string;

/** Work of a session, on this database. */
async function on<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A copy of a database that nobody is in, for as long as `work` takes. */
async function withCopy<T>(of: string, work: (url: string) => Promise<T>): Promise<T> {
  const name = `lumis_test_${process.pid}_${randomBytes(6).toString('hex')}`;
  await on(SERVER(), (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${of}`));
  const url = new URL(SERVER());
  url.pathname = `/${name}`;
  try {
    return await work(url.href);
  } finally {
    await on(SERVER(), (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
  }
}

function start(url: string, way: string): { child: ChildProcess; ended: Promise<unknown[]> } {
  const child = spawn(process.execPath, [LUMIS, 'migrate', way], {
    cwd: PROJECT_ROOT,
    env: { PATH: process.env.PATH ?? '', DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const late = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(late);
    return [code, said];
  });
  return { child, ended };
}

async function runToEnd(url: string, way: string): Promise<void> {
  const [code, said] = await start(url, way).ended;
  assert.equal(code, 0, `migrate ${way}: ${said}`);
}

/** The migration's own session, as soon as there is one. */
async function backendOf(client: pg.Client, child: ChildProcess): Promise<number | undefined> {
  while (child.exitCode === null) {
    const { rows } = await client.query(`SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'lumis migrate'`);
    if (rows[0]) return rows[0].pid;
    await sleep(2);
  }
  return undefined;
}

/** How long a migration works in the database, from its first session to its end. */
async function timeOf(url: string, way: string): Promise<number> {
  return on(url, async (client) => {
    const { child, ended } = start(url, way);
    await backendOf(client, child);
    const began = performance.now();
    const [code, said] = await ended;
    assert.equal(code, 0, `migrate ${way}: ${said}`);
    return performance.now() - began;
  });
}

/** Kills the run `after` so many milliseconds of work: the process, or its backend. */
async function killed(url: string, way: string, after: number, who: 'client' | 'backend') {
  return on(url, async (client) => {
    const { child, ended } = start(url, way);
    const pid = await backendOf(client, child);
    await sleep(after);
    if (who === 'client') child.kill('SIGKILL');
    else await client.query('SELECT pg_terminate_backend($1)', [pid]);
    const [code] = await ended;
    return code === 0 ? 'too late' : 'killed';
  });
}

/** The whole database, archive and all, without what is generated. */
async function endState(url: string, legacy: Legacy, archive = true): Promise<Snapshot> {
  const snapshot = await on(url, (client) => legacySnapshot(client, legacy.layout, { archive }));
  const { schema, sequences, rows } = neutral(snapshot, legacy);
  return {
    schema,
    // numbers that a killed run took are not given back
    sequences: sequences.map((line) => line.replace(/(accum\w*) .*/, '$1')),
    rows: rows
      .map((line) =>
        line.replace(/(fact_accumulations \()\d+(,.*(opening|legacy_balance))/, '$1ID$2'),
      )
      .sort(),
  };
}

/** The start of all copies, left by everybody. */
async function prepared(legacy: Legacy, way: 'up' | 'down'): Promise<void> {
  if (way === 'down') {
    const expected = await shownBefore(legacy.client, legacy.layout);
    await migrateUp(legacy.url);
    const p = await openProgramme(legacy.url);
    await redeemABit(p, await ourCatalogue(p), expected);
    await adjustABit(p, expected);
    const bot = await legacy.connect(legacy.botUrl);
    await legacyGoesOn(legacyWriters(bot, legacy.layout), 1, expected);
    await p.close();
    await bot.end();
  }
  await legacy.client.end();
}

for (const [layout, way] of WAYS) {
  test(`${layout}: ${way} killed at any moment and run again ends the same`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { plain: 100, receipts: 30 });
    const untouched = await endState(legacy.url, legacy, false);
    await prepared(legacy, way);
    let took = 0;
    const wanted = await withCopy(legacy.name, async (url) => {
      took = await timeOf(url, way);
      return endState(url, legacy);
    });
    const fates: string[] = [];
    for (let i = 0; i < KILLS; i += 1) {
      await withCopy(legacy.name, async (url) => {
        const after = ((i + Math.random()) / KILLS) * took;
        const who = i % 3 === 2 ? 'backend' : 'client';
        const what = `${who} of ${way} killed after ${after.toFixed(1)} of ${took.toFixed(1)} ms`;
        fates.push(`${what}: ${await killed(url, way, after, who)}`);
        // an `up` that did not come far can also be taken back
        if (way === 'up' && i % 4 === 1) {
          await runToEnd(url, 'down');
          assertSameSnapshot(await endState(url, legacy, false), untouched, `${what}, then down`);
        }
        await runToEnd(url, way);
        assertSameSnapshot(await endState(url, legacy), wanted, what);
        if (way === 'up') await assertClean(url, what);
      });
    }
    t.diagnostic(fates.join('\n'));
  });
}
