import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { type Cluster, findCluster, startCluster } from './db/embedded/cluster.ts';

/**
 * A secret of the embedded installation, made once and kept in its folder, for its owner's eyes
 * only.
 */
export function localSecret(directory: string, name: string): string {
  const path = join(directory, name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    writeLocal(directory, name, randomBytes(48).toString('base64url'), 'wx');
  } catch (error) {
    // made before, or by another command just now
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(path, 'utf8').trim();
}

/** Writes a file that only the owner of the folder can read, also when root writes it for them. */
export function writeLocal(directory: string, name: string, text: string, flag = 'w'): void {
  const path = join(directory, name);
  writeFileSync(path, `${text}\n`, { mode: 0o600, flag });
  chmodSync(path, 0o600); // the mode above is only for a file that was not there
  if (process.getuid?.() === 0) {
    const { uid, gid } = statSync(directory);
    chownSync(path, uid, gid);
  }
}

export interface Installation {
  config: Config & { databaseUrl: string };
  /** the embedded cluster, when there is one and we started it */
  cluster: Cluster | undefined;
}

/**
 * The database to work on: the configured one, or the embedded one of this folder. The latter is
 * started unless it runs already (a command beside a running server uses that one). `exclusive`
 * always starts it, and fails when it runs.
 */
export async function openInstallation(
  config: Config,
  options: { exclusive: boolean; log?: (line: string) => void },
): Promise<Installation> {
  const { databaseUrl } = config;
  if (databaseUrl) return { config: { ...config, databaseUrl }, cluster: undefined };
  const directory = config.dataDirectory;
  const running = options.exclusive ? undefined : await findCluster(directory);
  const cluster = running
    ? undefined
    : await startCluster({
        directory,
        durable: true,
        ...(options.log ? { log: options.log } : {}),
      });
  const url = running ?? (cluster as Cluster).url;
  const jwtSecret = config.jwtSecret ?? localSecret(directory, 'jwt-secret');
  return { config: { ...config, databaseUrl: url, jwtSecret }, cluster };
}
