/** The server as a process: made once, started, watched until ready, stopped. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from './binaries.ts';
import { isAlive, isPostmaster } from './lock.ts';
import { explain } from './place.ts';
import { giveTo, type Runner } from './runner.ts';

const FAST_SHUTDOWN_MS = 10_000;
const IMMEDIATE_SHUTDOWN_MS = 10_000;
const SLOW_START_MS = 5_000;

/** The same cluster on every machine, whatever its language. */
const INITDB_FLAGS = [
  ...['--username=lumis', '--encoding=UTF8', '--no-instructions'],
  ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
  // No password yet, so nobody may come in; `pg_hba.conf` is replaced below.
  '--auth=reject',
];

/** Passwords only, and only from this machine. */
const ACCESS = [
  'host all all 127.0.0.1/32 scram-sha-256',
  'host replication all 127.0.0.1/32 scram-sha-256',
  '',
].join('\n');

/**
 * Makes the cluster at `data`, with role and database `lumis`. It grows under another name and
 * is renamed when complete: an interrupted first start leaves nothing that looks finished.
 */
export async function createData(
  runner: Runner,
  binaries: Binaries,
  data: string,
  o: { password: string; durable: boolean },
): Promise<void> {
  const parent = dirname(data);
  for (const name of readdirSync(parent)) {
    if (name.startsWith(`${basename(data)}.new-`)) {
      rmSync(join(parent, name), { recursive: true, force: true, maxRetries: 10 });
    }
  }
  // A name of its own: an initdb that outlived its killed parent must not write into this one.
  const fresh = `${data}.new-${process.pid}`;
  mkdirSync(fresh, { mode: 0o700 });
  giveTo(runner, fresh);
  const flags = o.durable ? INITDB_FLAGS : [...INITDB_FLAGS, '--no-sync'];
  await run(runner, fresh, [binaries.initdb, ...flags, '-D', fresh], '');
  writeFileSync(join(fresh, 'pg_hba.conf'), ACCESS);
  await runAlone(runner, binaries, fresh, [
    `ALTER ROLE lumis PASSWORD '${o.password}'`,
    'CREATE DATABASE lumis',
  ]);
  renameSync(fresh, data);
  const folder = openSync(parent, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/**
 * Runs statements on a stopped cluster in single-user mode, which asks for no password.
 * They go through standard input: arguments could be read by every user of the machine.
 */
export async function runAlone(
  runner: Runner,
  binaries: Binaries,
  data: string,
  statements: string[],
): Promise<void> {
  const command = [binaries.postgres, '--single', '-D', data, '-c', 'exit_on_error=on', 'postgres'];
  await run(runner, data, command, statements.map((statement) => `${statement};\n`).join(''));
}

async function run(runner: Runner, data: string, command: string[], input: string): Promise<void> {
  const [program = '', ...rest] = [...runner.prefix, ...command];
  const child = spawn(program, rest, { ...runner.ids, env: runner.env, cwd: '/' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  // A program that fails at once closes its input early; its exit says why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code, signal] = await once(child, 'close');
  if (code !== 0) {
    const end = output.trim().split('\n').slice(-10).join('\n');
    throw explain(data, end || `${command[0]} ended with ${code ?? signal}`);
  }
}

/** Starts the server detached, so that Ctrl-C reaches only Node, which then stops it in order. */
export function launch(runner: Runner, command: string[], log: string): ChildProcess {
  const [program = '', ...rest] = [...runner.prefix, ...command];
  const output = openSync(log, 'a', 0o600);
  try {
    return spawn(program, rest, {
      ...runner.ids,
      env: runner.env,
      cwd: '/',
      detached: true,
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
}

/** Waits until the server takes connections: true, or false when it ended before. */
export async function waitReady(
  child: ChildProcess,
  data: string,
  log: (line: string) => void,
): Promise<boolean> {
  let failed = false;
  let notice = Date.now() + SLOW_START_MS;
  child.once('error', () => {
    failed = true;
  });
  while (!failed && !hasEnded(child)) {
    const file = readPidFile(data);
    if (file?.pid === child.pid && file?.status === 'ready') {
      return true;
    }
    if (Date.now() > notice) {
      // No limit: replaying the log after a crash takes as long as it takes.
      log('PostgreSQL is still starting (recovering from a crash takes a while)');
      notice += SLOW_START_MS;
    }
    await sleep(10);
  }
  return false;
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Fast shutdown; SIGTERM would wait for every client to leave. Resolves when it is gone. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined && !hasEnded(child)) {
    await stopProcess(child.pid, () => hasEnded(child));
  }
}

async function stopProcess(pid: number, isGone: () => boolean): Promise<void> {
  for (const [signal, patience] of [
    ['SIGINT', FAST_SHUTDOWN_MS],
    ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS],
  ] as const) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
        throw error;
      }
    }
    const deadline = Date.now() + patience;
    while (Date.now() < deadline) {
      if (isGone()) {
        return;
      }
      await sleep(10);
    }
  }
  throw new Error(`PostgreSQL (process ${pid}) does not stop. End it, then start again.`);
}

export interface PidFile {
  /** NaN when the file is empty or damaged. */
  pid: number;
  port: number;
  status: string;
}

/** What the server says of itself; undefined when no server runs or ran unclean. */
export function readPidFile(data: string): PidFile | undefined {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number.parseInt(lines[0] ?? '', 10);
    return { pid, port: Number(lines[3]), status: lines[7]?.trim() ?? '' };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Clears what a killed Node or a killed server left. Only for the holder of the folder's lock:
 * a server found running here then has no living Node.
 */
export async function clearLeftovers(data: string, log: (line: string) => void): Promise<void> {
  const path = join(data, 'postmaster.pid');
  const { pid } = readPidFile(data) ?? {};
  if (pid === undefined) {
    return;
  }
  if (Number.isNaN(pid)) {
    // Perhaps just being written by somebody's pg_ctl.
    await sleep(200);
    if (Number.isNaN(readPidFile(data)?.pid)) {
      rmSync(path, { force: true });
    }
  } else if (isPostmaster(pid, data)) {
    log(`stopping the PostgreSQL (process ${pid}) that an earlier run left behind`);
    await stopProcess(pid, () => !isAlive(pid));
  } else {
    // The number may belong to another process by now, or be the new server's in a container,
    // where numbers repeat. The server ignores its own parent's, and still checks the shared
    // memory named further down: the file must stay.
    const rest = readFileSync(path, 'utf8').split('\n').slice(1);
    writeFileSync(path, [process.pid, ...rest].join('\n'));
  }
}

/** Keeps one earlier log, so that the end of a crashed run can still be read. */
export function rotateLog(log: string): void {
  try {
    renameSync(log, `${log}.1`);
  } catch {
    // The first start has none.
  }
  writeFileSync(log, '', { mode: 0o600 });
  chmodSync(log, 0o600);
}

/** The log from byte `from` on, at most the last 4000 characters. */
export function readLog(log: string, from: number): string {
  return readFileSync(log).subarray(from).toString('utf8').slice(-4000);
}

export function sizeOf(path: string): number {
  return statSync(path).size;
}
