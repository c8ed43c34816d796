/** Runs a step as an operator would, and notes twice a second what it costs. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { memoryOf, treeOf } from '../usage.ts';

/** Of one moment; bytes. What may not be read is 0. */
interface Sample {
  /** database and temporary files */
  disk: number;
  /** the folder of the write-ahead log, of the whole server */
  wal: number;
  /** the process that was started, and its children */
  client: number;
  /** its backends: memory of their own, without what they see of the shared buffers */
  backend: number;
}

export interface Step {
  name: string;
  from: number;
  to: number;
  exit: number | null;
  /** what it printed, and when, as `performance.now()` says */
  lines: { at: number; text: string }[];
  peak: Sample;
  disk_before: number;
  disk_after: number;
  /** written to the log meanwhile, by everybody on the server */
  wal_written: number;
}

const SAMPLE_MS = 500;
const RESOURCES = `
  SELECT pg_database_size(current_database())::float8
    + CASE WHEN $1 THEN (SELECT coalesce(sum(size), 0) FROM pg_ls_tmpdir())::float8 ELSE 0 END
    AS disk,
    CASE WHEN $1 THEN (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir())::float8 ELSE 0 END
    AS wal,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS written,
    (SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity
     WHERE datname = current_database() AND application_name NOT LIKE 'lumis\\_bench%'
       AND backend_type IN ('client backend', 'parallel worker')) AS pids`;

/** One session that looks at the server's resources, beside everything else. */
export class Watch {
  readonly #client: pg.Client;
  #mayLook = false;
  #child: ChildProcess | undefined;

  constructor(url: string) {
    this.#client = new pg.Client({
      connectionString: url,
      application_name: 'lumis_bench_watch',
    });
    this.#client.on('error', () => undefined); // the statement under way reports it
  }

  async open(): Promise<void> {
    await this.#client.connect();
    const { rows } = await this.#client.query(`SELECT pg_has_role('pg_monitor', 'USAGE') AS may`);
    this.#mayLook = rows[0].may;
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  /** Ends what is running. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Runs the command to its end; its lines go to `say` at once. */
  async run(
    name: string,
    [command = '', ...args]: string[],
    env: Record<string, string | undefined>,
    say: (text: string) => void,
  ): Promise<Step> {
    const start = await this.#look();
    const step: Step = {
      name,
      from: performance.now(),
      to: 0,
      exit: null,
      lines: [],
      peak: sampleOf(start, undefined),
      disk_before: start.disk,
      disk_after: start.disk,
      wal_written: 0,
    };
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (text) => {
        step.lines.push({ at: performance.now(), text });
        say(`${((performance.now() - step.from) / 1000).toFixed(1).padStart(7)} s  ${text}`);
      });
    }
    const ended = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    const timer = new AbortController();
    const sampling = this.#sample(step, child.pid, timer.signal);
    step.exit = await ended.finally(() => timer.abort());
    step.to = performance.now();
    await sampling;
    const end = await this.#look();
    step.disk_after = end.disk;
    step.wal_written = end.written - start.written;
    return step;
  }

  async #sample(step: Step, pid: number | undefined, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = sampleOf(await this.#look(), pid);
      for (const key of Object.keys(now) as (keyof Sample)[]) {
        step.peak[key] = Math.max(step.peak[key], now[key]);
      }
      await sleep(SAMPLE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<{ disk: number; wal: number; written: number; pids: number[] }> {
    const { rows } = await this.#client.query(RESOURCES, [this.#mayLook]);
    return rows[0];
  }
}

function sampleOf(
  { disk, wal, pids }: { disk: number; wal: number; pids: number[] },
  child: number | undefined,
): Sample {
  const tree = child === undefined ? [] : treeOf(child);
  const sum = (of: number[], field: string) =>
    of.reduce((total, pid) => total + memoryOf(pid, field), 0);
  return { disk, wal, client: sum(tree, 'VmRSS'), backend: sum(pids, 'RssAnon') };
}
