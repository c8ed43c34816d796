/** What the scenarios have in common: a node that knows its members, and both sides of a write. */

import type pg from 'pg';
import { type LoadJob, type LoadResult, runLoad, TOKENS_DEFAULT } from './load.ts';
import { type Measured, measuredOf, warmupOf } from './measure.ts';
import type { Node } from './node.ts';
import { runPgbench } from './pgbench.ts';
import type { Filled, Scene } from './scene.ts';
import { withClient } from './stage.ts';

const WARM_CONNECTIONS = 32;
const RUNS = { next: 1 };

/** New in every run of the bench and every load of it: begins the Idempotency-Keys. */
export function newRun(): string {
  RUNS.next += 1;
  return `b${Date.now().toString(36)}${RUNS.next.toString(36)}`;
}

/** What every load against this database is told. */
export function jobOn(filled: Filled, urls: string[]): Omit<LoadJob, 'connections' | 'wishes'> {
  const { offers, merchants, members } = filled.size;
  return { urls, offers, merchants, members, run: newRun() };
}

export function tokensOf({ size }: Filled): number {
  return Math.min(size.members, TOKENS_DEFAULT);
}

/**
 * A node that runs warm: each member's token was seen once, as on any day but the first, and the
 * merchants' secret was proven once.
 */
export async function warmNode(
  scene: Scene,
  filled: Filled,
  options: { roles?: string; env?: Record<string, string> } = {},
): Promise<Node> {
  const node = await scene.stage.node(filled.url, options);
  const job = { ...jobOn(filled, [node.url]), connections: WARM_CONNECTIONS };
  const wrong: string[] = [];
  const all = { ...job, count: tokensOf(filled), tokens: { each: true } };
  measuredOf('warming up', await runLoad({ ...all, wishes: [{ kind: 'balance' }] }), wrong);
  const wishes = (['redeem', 'validate', 'confirm', 'offers'] as const).map((kind) => ({ kind }));
  const seconds = scene.smoke ? 0.5 : 2;
  const mixed = await runLoad({ ...job, run: newRun(), seconds, wishes });
  measuredOf('warming up', mixed, wrong);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return node;
}

/** Our side of a round: HTTP, for the scene's seconds. */
export async function askOurs(
  scene: Scene,
  filled: Filled,
  urls: string[],
  more: Pick<LoadJob, 'connections' | 'wishes'> & Partial<LoadJob>,
): Promise<LoadResult> {
  const warmup = warmupOf(scene, more.connections);
  return runLoad({ ...jobOn(filled, urls), seconds: scene.seconds, warmup, ...more });
}

/** The other side: bare SQL through pgbench. `made` counts the rows that it really made. */
export async function askPgbench(
  scene: Scene,
  filled: Filled,
  job: { script: string; clients: number; variables: Record<string, string | number> },
  made: (client: pg.Client) => Promise<number>,
  notes: string[],
): Promise<Measured> {
  const { folder, seconds } = scene;
  const { offers, merchants } = filled.size;
  const variables = { offers, merchants, i: 0, run: newRun(), ...job.variables };
  const warmup = warmupOf(scene, job.clients);
  const found = await runPgbench({ ...job, url: filled.url, folder, seconds, warmup, variables });
  const rows = await withClient(filled.url, made);
  if (rows !== found.transactions) {
    const missed = found.transactions - rows;
    notes.push(`pgbench ${job.script}, ${job.clients} clients: ${missed} changed nothing`);
  }
  if (found.failed > 0) {
    notes.push(`pgbench ${job.script}, ${job.clients} clients: ${found.failed} failed`);
  }
  // only what was really done counts
  return { ...found, rate: (found.rate * rows) / found.transactions };
}

/** The database's clock, to count from. */
export async function databaseNow(url: string): Promise<string> {
  const { rows } = await withClient(url, (client) =>
    client.query('SELECT clock_timestamp()::text AS now'),
  );
  return rows[0].now;
}

/** The one number that a query answers with. */
export async function countOf(
  client: pg.Client,
  text: string,
  values: unknown[] = [],
): Promise<number> {
  const { rows } = await client.query(text, values);
  return Number(Object.values(rows[0])[0]);
}
