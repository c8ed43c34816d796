/** The embedded cluster's files, and the two values that must survive a restart. */

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { OWN_SERVER } from './binaries.ts';

/** Absolute paths; `folder` holds all the others and lies in the caller's `directory`. */
export interface Place {
  directory: string;
  folder: string;
  data: string;
  settings: string;
  log: string;
  lock: string;
  links: string;
}

export interface Settings {
  /** 0 means any free one. */
  port: number;
  password: string;
}

export function placeOf(given: string): Place {
  // The real path: the server's own arguments must match it whatever link led here.
  const directory = existsSync(given) ? realpathSync(given) : resolve(given);
  const folder = join(directory, 'postgres');
  return {
    directory,
    folder,
    data: join(folder, 'data'),
    settings: join(folder, 'settings.json'),
    log: join(folder, 'postgres.log'),
    lock: join(folder, 'lock'),
    links: join(folder, 'lib'),
  };
}

/** Makes the folders; throws an explained Error when that is not possible. */
export function preparePlace(directory: string): Place {
  try {
    makeFolder(directory);
    const place = placeOf(directory);
    makeFolder(place.folder);
    if (isRoot()) {
      // Root's server runs as another user, who must pass through; it can list nothing.
      for (const path of [place.directory, place.folder]) {
        chmodSync(path, (statSync(path).mode & 0o777) | 0o011);
      }
    }
    return place;
  } catch (error) {
    throw explain(directory, error);
  }
}

function makeFolder(path: string): void {
  if (existsSync(path)) {
    return;
  }
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch {
    // Recursive mkdir calls a read-only file system "no such file"; this one tells the truth.
    mkdirSync(path, { mode: 0o700 });
  }
  inheritOwner(path);
}

/** What root makes in a user's folder belongs to that user, who can then start it as well. */
function inheritOwner(path: string): void {
  if (!isRoot()) {
    return;
  }
  const { uid, gid } = statSync(dirname(path));
  try {
    chownSync(path, uid, gid);
  } catch {
    // A container's root without that right, or a user it does not know: root keeps it.
  }
}

const isRoot = (): boolean => process.getuid?.() === 0;

export function newPassword(): string {
  return randomBytes(24).toString('base64url');
}

/** Undefined when absent or damaged; both heal by themselves. */
export function readSettings(path: string): Settings | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  try {
    const { port, password } = JSON.parse(text) as Settings;
    return Number.isInteger(port) && /^[\w-]{16,}$/.test(password) ? { port, password } : undefined;
  } catch {
    return undefined;
  }
}

export function writeSettings(path: string, settings: Settings): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(settings)}\n`, { mode: 0o600 });
  inheritOwner(temporary);
  renameSync(temporary, path);
}

export function urlOf({ port, password }: Settings): string {
  return `postgresql://lumis:${password}@127.0.0.1:${port}/lumis`;
}

/** Says in one sentence what is wrong at `path` and what to do, then what was said. */
export function explain(path: string, cause: unknown): Error {
  const said = cause instanceof Error ? cause.message : String(cause);
  const known = KNOWN_FAULTS.find(([pattern]) => pattern.test(said));
  const sentence = known?.[1] ?? 'the bundled PostgreSQL did not start.';
  return new Error(`${path}: ${sentence} ${OWN_SERVER}\n${said}`, { cause });
}

const KNOWN_FAULTS: [RegExp, string][] = [
  [/No space left|free disk space|ENOSPC|EDQUOT|quota/i, 'the disk is full. Free some space.'],
  [/EROFS|Read-only/i, 'the file system is read-only. Use a folder on a writable one.'],
  [
    /invalid permissions|could not change permissions/i,
    'this file system keeps no Unix permissions. Use a folder on a native one.',
  ],
  [
    /EACCES|EPERM|Permission denied|not permitted|wrong ownership/i,
    'this user may not use it. Give the folder to the user who runs Lümis.',
  ],
  [
    /could not look up effective user ID/i,
    'PostgreSQL wants a user with a name. Add this uid to /etc/passwd.',
  ],
  [/Cannot allocate memory|shared memory segment/i, 'not enough (shared) memory.'],
  [/ENOTDIR|EEXIST|ENAMETOOLONG|ELOOP/, 'no folder can be made here. Remove what is in the way.'],
];
