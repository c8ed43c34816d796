/** Measures what the redemption path holds, beside bare SQL and bare Fastify. See README.md. */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase } from '../src/db/pool.ts';
import { dispatchEvents } from '../src/events/dispatch.ts';
import { checkInvariants } from '../src/invariants/check.ts';
import { BenchFault } from './fault.ts';
import { fill, offerId, SIZES, type Size } from './fill.ts';
import { emptyOutcome } from './measure.ts';
import { type Asked, readOptions, USAGE } from './options.ts';
import { findPgbench } from './pgbench.ts';
import { drawPicture } from './picture.ts';
import { printReport, type Report } from './report.ts';
import { HOT_OFFER } from './scenarios/redeem.ts';
import { SCENARIOS, type ScenarioName } from './scenarios.ts';
import type { Filled, Outcome, Scene } from './scene.ts';
import { openStage, removeFolder, type Stage, withClient } from './stage.ts';

/** Where everything runs and is thrown away afterwards: enough for both sides and no more. */
const SMOKE: Size = {
  offers: 200,
  merchants: 20,
  members: 2_000,
  redemptions: 2_000,
  pending: 1_000,
};
/** The hot offer is left alone. */
const STOCK = 1_000_000;
const say = (text: string) => process.stderr.write(`${text}\n`);

try {
  const asked = readOptions(process.argv.slice(2));
  if (asked === 'help') console.log(USAGE);
  else process.exitCode = await main(asked);
} catch (error) {
  const isFault = error instanceof BenchFault;
  say(isFault ? `bench: ${error.message}` : String((error as Error).stack ?? error));
  process.exitCode = isFault ? error.exit : 1;
}

async function main(asked: Asked): Promise<number> {
  if (asked.only.some((name) => ['redeem', 'confirm'].includes(name))) findPgbench();
  const parent = asked.folder ?? tmpdir();
  mkdirSync(parent, { recursive: true });
  const scratch = mkdtempSync(join(parent, 'lumis-bench-'));
  const folder = asked.keep && !asked.url ? join(parent, `lumis-bench-${asked.keep}`) : scratch;
  mkdirSync(folder, { recursive: true });
  let stage: Stage | undefined;
  const close = async () => {
    await stage?.close();
    await removeFolder(scratch);
  };
  let ending = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      void close().finally(() => process.exit(130));
    });
  }
  try {
    stage = await openStage({ url: asked.url, folder, say });
    const report = await measure(stage, asked, scratch);
    tell(report, asked);
    return report.wrong.length > 0 ? 1 : 0;
  } finally {
    await close();
  }
}

async function measure(stage: Stage, asked: Asked, folder: string): Promise<Report> {
  const databases = await fillAll(stage, asked);
  const report = beginReport(stage, asked, databases);
  const filled = databases.at(-1) as Filled;
  const { clients, rounds, seconds, requests, smoke } = asked;
  const pace = { clients, rounds, seconds, requests, smoke };
  const scene: Scene = { stage, databases, filled, ...pace, folder, say };
  try {
    for (const name of asked.only) {
      say(`\n== ${name}`);
      await prepare(databases);
      const began = performance.now();
      const outcome = await play(name, scene);
      say(`${name} took ${Math.round((performance.now() - began) / 1000)} s`);
      report.scenarios[name] = outcome;
      report.wrong.push(...outcome.wrong.map((words) => `${name}: ${words}`));
      say(printReport({ ...report, scenarios: { [name]: outcome } }));
    }
    report.wrong.push(...(await verify(databases)));
  } finally {
    if (!asked.keep) for (const { name } of databases) await stage.drop(name);
  }
  return report;
}

/** One that breaks off is wrong; the others are played all the same. */
async function play(name: ScenarioName, scene: Scene): Promise<Outcome> {
  try {
    return await SCENARIOS[name](scene);
  } catch (error) {
    const words = String((error as Error).stack ?? error);
    return { ...emptyOutcome(), wrong: [`it broke off: ${words}`] };
  }
}

/** The databases of the sizes asked for, each filled once, smallest first. */
async function fillAll(stage: Stage, asked: Asked): Promise<Filled[]> {
  const sizes = Object.entries(asked.smoke ? { smoke: SMOKE } : SIZES) as [string, Size][];
  const wanted = sizes.filter(([label]) => asked.smoke || asked.sizes.includes(label));
  const databases: Filled[] = [];
  for (const [label, size] of wanted) {
    const name = asked.keep ? `lumis_bench_${asked.keep}_${label}` : `lumis_bench_${label}`;
    if (!asked.keep) await stage.drop(name);
    const url = await stage.database(name);
    const isFilled = await withClient(url, async (client) => {
      const { rows } = await client.query(`SELECT to_regclass('bench.about') IS NOT NULL AS is`);
      return rows[0].is;
    });
    if (isFilled) say(`${name} is filled already`);
    else say(`${name}: filled in ${Math.round(await fill(url, size, say))} s`);
    databases.push({ name, url, label, size });
  }
  return databases;
}

/** Each scenario finds stock enough, and what the last one left to hand on and to write is done. */
async function prepare(databases: readonly Filled[]): Promise<void> {
  for (const { url } of databases) {
    await withDatabase(url, handOn);
    await withClient(url, async (client) => {
      await client.query(
        `UPDATE rewards.redemption_offers SET stock_quantity = $1
         WHERE stock_quantity < $1 AND offer_id <> $2`,
        [STOCK, offerId(HOT_OFFER)],
      );
      await client.query('CHECKPOINT');
    });
  }
}

/** What `lumis verify` would find, in every database. */
async function verify(databases: readonly Filled[]): Promise<string[]> {
  const found: string[] = [];
  for (const { url, name } of databases) {
    say(`checking all invariants of ${name}`);
    const violations = await withDatabase(url, async (db) => {
      await handOn(db);
      return checkInvariants(db, {});
    });
    for (const id of new Set(violations.map(({ invariant }) => invariant))) {
      const own = violations.filter(({ invariant }) => invariant === id);
      const { subject, detail } = own[0] as (typeof own)[0];
      found.push(`${name}: ${id} is broken, ${own.length} times or more: ${subject} ${detail}`);
    }
  }
  return found;
}

async function withDatabase<T>(url: string, work: (db: Database) => Promise<T>): Promise<T> {
  const onError = (error: Error) => say(error.message);
  const db = openDatabase({ url, max: 1, poolTimeoutMs: 30_000, onError });
  return work(db).finally(() => db.close());
}

/** Hands on the events of those scenarios that have no worker, as it would have. */
async function handOn(db: Database): Promise<void> {
  while ((await dispatchEvents(db, 'bench', () => undefined)).more);
}

function beginReport(stage: Stage, asked: Asked, databases: readonly Filled[]): Report {
  return {
    date: new Date().toISOString(),
    machine: {
      cpus: cpus().length,
      model: cpus()[0]?.model ?? 'unknown',
      memory_gb: Math.round(totalmem() / 1024 ** 3),
      node: process.versions.node,
      system: `${platform()} ${release()} ${arch()}`,
    },
    settings: stage.settings,
    sizes: Object.fromEntries(databases.map(({ label, size }) => [label, size])),
    options: { clients: asked.clients, rounds: asked.rounds, seconds: asked.seconds },
    scenarios: {},
    wrong: [],
  };
}

function tell(report: Report, asked: Asked): void {
  if (asked.picture) writeFileSync(asked.picture, drawPicture(report));
  const json = JSON.stringify(report, null, 2);
  if (asked.json && asked.json !== '-') writeFileSync(asked.json, `${json}\n`);
  console.log(asked.json === '-' ? json : printReport(report));
}
