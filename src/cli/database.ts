import { type Config, readConfig } from '../config.ts';
import { createLog } from '../core/log.ts';
import type { Database } from '../db/pool.ts';
import { openInstallation } from '../local.ts';
import { openPool } from '../main.ts';

const POOL_MAX = 4;

/** What a command works with. */
export interface Session {
  config: Config & { databaseUrl: string };
  db: Database;
  /** for migrations and other work that a transaction pooler cannot carry */
  directUrl: string;
}

/**
 * Runs a command's work on the configured database, or on the embedded one: the running one if
 * there is one, otherwise it is started for as long as the command takes.
 */
export async function withDatabase<T>(work: (session: Session) => Promise<T>): Promise<T> {
  const read = readConfig(undefined, 'command');
  const { config, cluster } = await openInstallation(read, { exclusive: false });
  const db = openPool({ ...config, databasePoolMax: POOL_MAX }, createLog('silent'));
  try {
    return await work({ config, db, directUrl: config.databaseDirectUrl ?? config.databaseUrl });
  } finally {
    await db.close();
    await cluster?.stop();
  }
}

/** Prints rows as aligned columns. */
export function printTable(rows: readonly Record<string, unknown>[]): void {
  const names = Object.keys(rows[0] ?? {});
  const cells = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? '-')))];
  const widths = names.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  for (const line of cells) {
    console.log(
      line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}
