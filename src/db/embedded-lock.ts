/** One owner per folder: a lock file that a killed owner cannot leave shut. */

import { spawnSync } from 'node:child_process';
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** More rounds than any number of starts in one folder can need; each round ends or yields. */
const ATTEMPTS_MAX = 100;

/**
 * Takes the lock at `path` and returns the function that gives it back.
 * Throws an Error naming the owner's pid when a living process (also this one) holds it.
 */
export function acquireLock(path: string, directory: string): () => void {
  const mine = `${process.pid} ${startOf(process.pid) ?? ''}\n`;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, mine, { mode: 0o644 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (placeLock(temporary, path)) {
        return () => releaseLock(path, mine);
      }
      const theirs = readText(path);
      if (theirs === undefined) {
        continue;
      }
      const [pid = '', ...start] = theirs.trim().split(' ');
      if (theirs !== '' && startOf(Number(pid)) === start.join(' ')) {
        throw new Error(
          `Lümis is already running in ${directory} (process ${pid}). ` +
            'Stop that one first, or start this one in another folder.',
        );
      }
      removeStale(path, theirs);
    }
    throw new Error(`The lock ${path} could not be taken. Remove it if nothing runs here.`);
  } finally {
    rmSync(temporary, { force: true });
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
  } catch {
    return;
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
  return words.includes(data) || workingDirectory(pid) === data;
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

function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
