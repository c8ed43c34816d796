/** One owner per folder: a lock file that a killed owner cannot leave shut. */

import { spawnSync } from 'node:child_process';
import {
  linkSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** An owner that was just killed may take this long to be gone. */
const DYING_MS = 500;
/** An owner whose process cannot be seen from here counts as gone after this silence. */
const SILENCE_MS = 8_000;
const HEARTBEAT_MS = 2_000;

/**
 * Takes the lock at `path` and returns the function that gives it back.
 * Throws an Error naming the owner's pid when a living process (also this one) holds it.
 */
export async function acquireLock(
  path: string,
  directory: string,
  log: (line: string) => void,
): Promise<() => void> {
  const mine = [process.pid, startOf(process.pid), whereabouts(), ''].join('\n');
  const temporary = `${path}.${process.pid}`;
  const began = Date.now();
  let isSaid = false;
  const notice = (pid: string, patience: number): void => {
    if (patience > DYING_MS && !isSaid) {
      log(`waiting to see whether process ${pid} still uses ${directory}`);
      isSaid = true;
    }
  };
  writeFileSync(temporary, mine, { mode: 0o644 });
  try {
    while (!placeLock(temporary, path)) {
      const theirs = readLock(path);
      if (theirs === undefined) {
        continue;
      }
      const { pid, isHeld, patience } = judge(theirs, path);
      if (!isHeld) {
        removeStale(path, theirs);
      } else if (theirs !== mine && Date.now() - began < patience) {
        notice(pid, patience);
        await sleep(50);
      } else {
        throw new Error(
          `Lümis is already running in ${directory} (process ${pid}). ` +
            'Stop that one first, or start this one in another folder.',
        );
      }
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  const heartbeat = setInterval(() => touch(path), HEARTBEAT_MS).unref();
  return () => {
    clearInterval(heartbeat);
    releaseLock(path, mine);
  };
}

interface Verdict {
  pid: string;
  isHeld: boolean;
  /** How long to wait for the owner to go, in ms. */
  patience: number;
}

function judge(lock: string, path: string): Verdict {
  const [pid = '', start, where = ''] = lock.split('\n');
  if (where === whereabouts()) {
    return { pid, isHeld: startOf(Number(pid)) === start, patience: DYING_MS };
  }
  // A container on the same folder, or before a reboot: its pids mean nothing here.
  const silence = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  const host = where.split(' ')[0];
  return { pid: `${pid} on ${host}`, isHeld: silence < SILENCE_MS, patience: SILENCE_MS };
}

/** Names the set of processes that this one's pid belongs to. */
function whereabouts(): string {
  const boot = readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
  return `${hostname()} ${boot} ${linkTarget('/proc/self/ns/pid') ?? ''}`.trim();
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // Removed by hand.
  }
}

/** A hard link appears whole or not at all, so nobody ever reads a half-written lock. */
function placeLock(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return false;
    }
    throw error;
  }
}

/**
 * Between reading a stale lock and removing it, another start may have replaced it:
 * move it aside, look at what was moved, and put a fresh one back.
 */
function removeStale(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isAbsence(error)) {
      return;
    }
    throw error;
  }
  if (readText(aside) !== stale) {
    placeLock(aside, path);
  }
  rmSync(aside, { force: true });
}

function releaseLock(path: string, mine: string): void {
  if (readText(path) === mine) {
    rmSync(path, { force: true });
  }
}

/** True while the process runs; one that is dead but not yet reaped does not count. */
export function isAlive(pid: number): boolean {
  return startOf(pid) !== undefined;
}

/** True when `pid` runs the PostgreSQL server of exactly this data directory. */
export function isPostmaster(pid: number, data: string): boolean {
  if (!isAlive(pid)) {
    return false;
  }
  if (process.platform !== 'linux') {
    const command = ps(pid, 'command') ?? '';
    return command.includes('postgres') && command.includes(data);
  }
  const words = (readText(`/proc/${pid}/cmdline`) ?? '').split('\0');
  if (!words[0]?.endsWith('postgres')) {
    return false;
  }
  // The folder may have been renamed under a running server: its working directory follows.
  return words.includes(data) || linkTarget(`/proc/${pid}/cwd`) === data;
}

/**
 * When a process started, in whatever unit the system has: with the pid it names a process
 * also after the pid was given to another one. Undefined when there is no such process.
 */
function startOf(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    return undefined;
  }
  if (process.platform !== 'linux') {
    return ps(pid, 'lstart');
  }
  const stat = readText(`/proc/${pid}/stat`);
  // The second field, the name, may hold spaces and brackets; the fields after it do not.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields?.[0];
  return state === 'Z' || state === 'X' ? undefined : fields?.[19];
}

function ps(pid: number, column: string): string | undefined {
  const result = spawnSync('ps', ['-ww', '-o', `${column}=`, '-p', String(pid)], {
    encoding: 'utf8',
  });
  return result.status === 0 ? result.stdout.trim() || undefined : undefined;
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Undefined when it was given back meanwhile; one that cannot be read is an error. */
function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isAbsence(error)) {
      return undefined;
    }
    throw error;
  }
}

const isAbsence = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
