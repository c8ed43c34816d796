/** Runs pgbench with one of our scripts, and reads rate and latencies from what it leaves. */

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT_ROOT } from '../src/project.ts';
import { BenchFault } from './fault.ts';
import { summarize } from './latency.ts';
import type { Latency } from './load.ts';
import { cpuOfEnded } from './usage.ts';

export interface PgbenchJob {
  url: string;
  /** a file of bench/bare, without `.sql` */
  script: string;
  clients: number;
  /** that count, at the end; before them the clients fill their caches and plan */
  seconds: number;
  warmup: number;
  /** `-D name=value` */
  variables: Record<string, string | number>;
  /** for its logs */
  folder: string;
}

export interface PgbenchResult {
  /** of the seconds that count */
  rate: number;
  latency: Latency;
  /**
   * that the server carried out, the warm-up too; whether they changed anything is for the caller
   * to count
   */
  transactions: number;
  failed: number;
  /** how long it ran */
  busy: number;
  /** seconds of CPU of pgbench itself */
  cpu: number;
}

const run = promisify(execFile);
const OUTPUT_MAX = 64 * 1024 * 1024;

/** Runs it once. Throws with what it printed when one of its clients gave up. */
export async function runPgbench(job: PgbenchJob): Promise<PgbenchResult> {
  const folder = mkdtempSync(join(job.folder, 'pgbench-'));
  const threads = Math.min(2, job.clients);
  const defined = Object.entries(job.variables).flatMap(([name, value]) => [
    '-D',
    `${name}=${value}`,
  ]);
  const flags = ['-n', '-M', 'prepared', '-c', job.clients, '-j', threads];
  const busy = Math.ceil(job.warmup + job.seconds);
  const script = join(PROJECT_ROOT, 'bench', 'bare', `${job.script}.sql`);
  const before = cpuOfEnded();
  try {
    const { stdout, stderr } = await run(
      findPgbench(),
      [...flags.map(String), '-T', String(busy), '-f', script, '-l', ...defined],
      { cwd: folder, env: environmentOf(job.url), maxBuffer: OUTPUT_MAX },
    );
    if (/aborted/.test(stderr)) throw new Error(`pgbench: ${stderr.slice(0, 2000)}`);
    const cpu = cpuOfEnded() - before;
    const latency = summarize(lastOf(readLogs(folder), job.seconds));
    return { ...readReport(stdout), rate: latency.count / job.seconds, latency, busy, cpu };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Where pgbench is: the newest of Debian's, or the first in PATH. Throws BenchFault with the
 * package that brings it.
 */
export function findPgbench(): string {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const folders = [
    ...versions
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  const found = folders.map((folder) => join(folder, 'pgbench')).find((path) => existsSync(path));
  if (found) return found;
  const words = 'the other side of this comparison, is not installed: apt-get install postgresql';
  throw new BenchFault(`pgbench, ${words}-contrib (Debian), brew install postgresql (macOS)`, 69);
}

/** The figures that pgbench prints. */
export function readReport(text: string): Pick<PgbenchResult, 'transactions' | 'failed'> {
  const figure = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const transactions = figure(/^number of transactions actually processed: (\d+)/m);
  if (Number.isNaN(transactions)) {
    throw new Error(`pgbench said something else than expected:\n${text}`);
  }
  const failed = figure(/^number of failed transactions: (\d+)/m);
  return { transactions, failed: Number.isNaN(failed) ? 0 : failed };
}

/** Lines of its logs: client, number, µs or a word if it failed, script, and when it ended. */
function readLogs(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith('pgbench_log'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
}

/** The times in milliseconds of those that ended in the last so many seconds. */
export function lastOf(lines: readonly string[], seconds: number): Float64Array {
  const ended = lines.map((line) => {
    const [, , time, , at, us] = line.split(' ');
    return { ms: Number(time) / 1000, at: Number(at) + Number(us) / 1e6 };
  });
  const known = ended.filter(({ ms, at }) => ms >= 0 && at > 0);
  const from = known.reduce((last, { at }) => Math.max(last, at), 0) - seconds;
  return Float64Array.from(known.filter(({ at }) => at > from).map(({ ms }) => ms));
}

/** Not in its arguments, which everybody on the machine can read. */
function environmentOf(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const { PATH = '' } = process.env;
  return {
    PATH,
    PGHOST: hostname.replace(/[[\]]/g, ''),
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
    PGAPPNAME: 'lumis_bench_pgbench',
  };
}
