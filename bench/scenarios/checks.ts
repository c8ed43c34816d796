/** What must hold after a scenario, whatever its figures are. */

import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../src/project.ts';
import type { LoadResult } from '../load.ts';
import { type Stage, withClient } from '../stage.ts';

const LUMIS = join(PROJECT_ROOT, 'dist', 'src', 'cli', 'main.js');

/** Runs `lumis verify`: undefined when all invariants hold, otherwise what it printed. */
export async function verify(databaseUrl: string): Promise<string | undefined> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [LUMIS, 'verify'], {
    env: { PATH, HOME, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      words += text;
    });
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  return code === 0 ? undefined : `lumis verify ended with ${code}:\n${words}`;
}

/** How many deadlocks the server has ended in a database so far. */
export async function deadlocksIn(databaseUrl: string): Promise<number> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query(`SELECT deadlocks::integer AS n FROM pg_stat_database
      WHERE datname = current_database()`);
    return rows[0].n;
  });
}

/** Follows the server's log from here: afterwards, what was said about deadlocks and crashes. */
export function watchLog({ serverLog }: Stage): (words: RegExp) => string[] {
  if (serverLog === undefined) return () => [];
  const from = statSync(serverLog).size;
  return (words) =>
    readFileSync(serverLog)
      .subarray(from)
      .toString()
      .split('\n')
      .filter((line) => words.test(line));
}

/** Answers of a load that never may be, in words. */
export function faultsOf(result: LoadResult, allowed: number[] = []): string[] {
  return result.unexpected
    .filter(({ status }) => !allowed.includes(status))
    .map(({ kind, status, count, body }) => `${count} × ${kind} answered ${status}: ${body}`);
}
