/**
 * Takes over a big legacy database while the old system goes on, and measures how long it takes,
 * whom it stops for how long, and what it needs; then whether anything was lost. See README.md.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { PROJECT_ROOT } from '../src/project.ts';
import { loopbackOnly, refuseDistant } from './loopback.ts';
import {
  type Before,
  type Check,
  checkCounts,
  checkErrors,
  checkGivenBack,
  checkTakenOver,
  lookBefore,
} from './take-over/checks.ts';
import { fill, type Layout, LEGACY_ROLE, refit, type Size } from './take-over/fill.ts';
import { print, type Report, reportStep } from './take-over/report.ts';
import { type Rates, Traffic } from './take-over/traffic.ts';
import { type Step, Watch } from './take-over/watch.ts';

const URL_DEFAULT = 'postgres://postgres@127.0.0.1:5432/postgres';
const USAGE = `npm run bench:take-over -- [options]
  --url URL          a PostgreSQL on this machine, as a superuser (default ${URL_DEFAULT})
  --rows N           rows of the ledger (default 20000000); a 20th of it purchases
  --members N        members (default a 40th of the rows)
  --layout L         public (default) or rewards
  --no-user-index    a ledger without an index on user_id, and a trigger that only adds up
  --template NAME    fill this database once, keep it, and clone it for each run, which may have
                     another layout or no index
  --steps LIST       of plan,up,verify,down,wait (default plan,up,verify,down); none fills only
  --psql             up and down with psql instead of the command line
  --reads N --writes N   operations of the old system a second (default 50 and 30)
  --settle N         seconds of traffic alone before and after each step (default 10)
  --keep             leave the database in place
  --json             the report as JSON`;
const STEPS = ['plan', 'up', 'verify', 'down', 'wait'];
const LUMIS = join(PROJECT_ROOT, 'bin', 'lumis.js');
const MIGRATION = '2025_10_17_redemption_system.sql';
const FILLERS = 2;

const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: URL_DEFAULT },
    rows: { type: 'string' },
    members: { type: 'string' },
    layout: { type: 'string' },
    'no-user-index': { type: 'boolean', default: false },
    template: { type: 'string' },
    steps: { type: 'string', default: 'plan,up,verify,down' },
    psql: { type: 'boolean', default: false },
    reads: { type: 'string', default: '50' },
    writes: { type: 'string', default: '30' },
    settle: { type: 'string', default: '10' },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (text: string) => process.stderr.write(`${text}\n`);
const number = (text: string) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${text} is not a whole number`);
  return value;
};

if (options.help) console.log(USAGE);
else {
  try {
    process.exitCode = await main();
  } catch (error) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 1;
  }
}

async function main(): Promise<number> {
  const steps = options.steps === 'none' ? [] : options.steps.split(',');
  const unknown = steps.find((step) => !STEPS.includes(step));
  if (unknown !== undefined) throw new Error(`no step ${unknown}; there are ${STEPS.join(', ')}`);
  const server = await connect(loopbackOnly(options.url));
  const name = `lumis_bench_take_over_${process.pid}`;
  const drop = async () => {
    if (options.keep) return say(`kept: ${name}`);
    await server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    // refused while a kept database or a template has grants to it
    await server.query(`DROP ROLE IF EXISTS ${LEGACY_ROLE}`).catch(() => undefined);
  };
  process.once('SIGINT', () => void drop().finally(() => process.exit(130)));
  try {
    await refuseDistant(server);
    const { rows } = await server.query(`SELECT current_setting('server_version') AS version`);
    const size = await makeDatabase(server, name, steps.length > 0);
    if (steps.length === 0) return 0;
    const report = await measure(urlOf(name), size, rows[0].version, steps);
    console.log(options.json ? JSON.stringify(report, null, 2) : print(report));
    const failed = report.steps.some(({ exit }) => exit !== 0);
    return failed || report.checks.some(({ ok }) => !ok) ? 1 : 0;
  } finally {
    await drop();
    await server.end();
  }
}

function urlOf(name: string): string {
  const url = new URL(options.url);
  url.pathname = `/${name}`;
  return url.href;
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'lumis_bench' });
  client.on('error', () => undefined); // the statement under way reports it
  await client.connect();
  return client;
}

/** Fills the database, or its template, which is filled once; answers what is in it. */
async function makeDatabase(server: pg.Client, name: string, run: boolean): Promise<Size> {
  const source = options.template ?? name;
  if (!/^[a-z][a-z0-9_]*$/.test(source)) throw new Error('--template: lower case, digits, _');
  const { rowCount } = await server.query('SELECT FROM pg_database WHERE datname = $1', [source]);
  if (rowCount === 0) {
    await server.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
    await fillDatabase(urlOf(name));
    await server.query('CHECKPOINT');
    // renamed when it is whole, so that an interrupted run leaves no half template
    if (source !== name) await server.query(`ALTER DATABASE ${name} RENAME TO ${source}`);
  }
  const filled = await connect(urlOf(source));
  const { rows } = await filled.query('SELECT size FROM bench.about').finally(() => filled.end());
  const size: Size = rows[0].size;
  const wanted = { ...size, ...asked() };
  if (wanted.rows !== size.rows || wanted.members !== size.members) {
    throw new Error(`${source} has ${size.rows} rows and ${size.members} members`);
  }
  if (options.template === undefined || !run) return size;
  await server.query(`CREATE DATABASE ${name} TEMPLATE ${source} STRATEGY file_copy`);
  const clone = await connect(urlOf(name));
  await refit(clone, size, wanted).finally(() => clone.end());
  return wanted;
}

/** What the command line says; the rest is the default, or as the template is. */
function asked(): Partial<Size> {
  const { layout, rows, members } = options;
  if (layout !== undefined && layout !== 'public' && layout !== 'rewards') {
    throw new Error('--layout: public or rewards');
  }
  return {
    ...(layout === undefined ? {} : { layout: layout as Layout }),
    ...(rows === undefined ? {} : { rows: number(rows) }),
    ...(members === undefined ? {} : { members: number(members) }),
    ...(options['no-user-index'] ? { userIndex: false } : {}),
  };
}

async function fillDatabase(url: string): Promise<void> {
  const rows = number(options.rows ?? '20000000');
  const rest = { layout: 'public' as const, userIndex: true, members: Math.ceil(rows / 40) };
  const size: Size = { purchases: Math.ceil(rows / 20), rows, ...rest, ...asked() };
  const clients = await Promise.all(Array.from({ length: FILLERS }, () => connect(url)));
  try {
    await fill(clients, size, say);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

async function measure(url: string, size: Size, server: string, steps: string[]): Promise<Report> {
  const rates: Rates = { reads: number(options.reads), writes: number(options.writes) };
  const client = await connect(url);
  const watch = new Watch(url);
  await watch.open();
  process.once('SIGINT', () => watch.kill());
  const report: Report = { size, server, rates, steps: [], checks: [] };
  try {
    const { rows } = await client.query('SELECT user_id FROM bench.members WHERE NOT drifted');
    const traffic = new Traffic(
      url,
      size,
      rates,
      rows.map((row) => row.user_id),
    );
    say('counting what there is');
    const before = await lookBefore(client, size);
    for (const step of steps) {
      say(`step: ${step}`);
      await measureStep(step, url, watch, traffic, report);
      const failed = report.steps.at(-1)?.exit !== 0;
      const checks = await check(step, failed, client, size, before, traffic);
      report.checks.push(...checks.map((found) => ({ ...found, after: step })));
      if (failed) break; // what follows needs it
    }
  } finally {
    await watch.close();
    await client.end();
  }
  return report;
}

async function measureStep(
  step: string,
  url: string,
  watch: Watch,
  traffic: Traffic,
  report: Report,
): Promise<void> {
  const settle = number(options.settle) * 1000;
  // built beforehand, so that the compiler is not measured
  await watch.run('build', [process.execPath, LUMIS, '--version'], environment(url), () => {});
  const from = performance.now();
  traffic.start();
  let ran: Step;
  try {
    await sleep(settle);
    ran = await watch.run(step, commandOf(step), environment(url), say);
    await sleep(settle);
  } finally {
    await traffic.stop();
  }
  report.steps.push(reportStep(ran, from, performance.now(), traffic.timed));
}

async function check(
  step: string,
  failed: boolean,
  client: pg.Client,
  size: Size,
  before: Before,
  traffic: Traffic,
): Promise<Check[]> {
  say(`checking after ${step}`);
  const checks = checkErrors(traffic);
  traffic.complaints.clear();
  if (failed) return [...checks, ...(await checkCounts(client, size, before, traffic))];
  if (step === 'up') checks.push(...(await checkTakenOver(client, size, before, traffic)));
  if (step === 'down' || step === 'wait' || step === 'plan') {
    checks.push(...(await checkGivenBack(client, size, before, traffic)));
  }
  return checks;
}

function commandOf(step: string): string[] {
  const folder = join(PROJECT_ROOT, 'migrations');
  if (step === 'wait') return ['sleep', options.settle];
  if (step === 'verify') return [process.execPath, LUMIS, 'verify'];
  if (!options.psql || step === 'plan') return [process.execPath, LUMIS, 'migrate', step];
  return ['psql', '-X', '-q', '-f', join(folder, step === 'down' ? 'down' : '', MIGRATION)];
}

/** The operator's environment, with this database and no other in it. */
function environment(url: string): Record<string, string | undefined> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const neutral = Object.entries(process.env).filter(([name]) => !/^(PG|DATABASE_)/.test(name));
  return {
    ...Object.fromEntries(neutral),
    DATABASE_URL: url,
    DATABASE_DIRECT_URL: url,
    PGHOST: hostname.replace(/[[\]]/g, ''),
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
  };
}
