/** Sides of a question, measured in turns: each round every side once, so that drift hits all. */

import type { Latency, LoadResult } from './load.ts';
import type { Node } from './node.ts';
import type { Cpu, Outcome, Row, Scene, Verdict } from './scene.ts';
import { withClient } from './stage.ts';
import { cpuOfTree } from './usage.ts';

/** What one side did in one round. */
export interface Measured {
  rate: number;
  /** how long it asked, warm-up and all; before and after nobody is busy */
  busy: number;
  latency: Latency;
  /** seconds of CPU of whoever asked, meanwhile */
  cpu: number;
}

export interface Side {
  what: string;
  side: string;
  /** whose CPU counts as `node` */
  server?: Node | undefined;
  /** what must be there beforehand, and is not measured */
  prepare?(clients: number): Promise<void>;
  /** what it found to be wrong goes to the outcome's `wrong` by itself */
  run(clients: number, round: number): Promise<Measured>;
}

/**
 * Seconds before the figures count: every client of pgbench, and every connection of a node, plans
 * its statements and reads the catalogue first, which is a matter of many milliseconds of CPU.
 */
export const warmupOf = ({ smoke }: Scene, clients: number) => (smoke ? 0 : 1 + clients / 64);

export const emptyOutcome = (): Outcome => ({ rows: [], verdicts: [], wrong: [], notes: [] });

/** Each item once a round, their order turned each time, so that drift hits all. */
export function* inTurns<Item>(
  rounds: number,
  items: readonly Item[],
): Generator<{ item: Item; round: number }> {
  for (let round = 0; round < rounds; round += 1) {
    for (const item of round % 2 === 0 ? items : items.toReversed()) yield { item, round };
  }
}

/**
 * Clears away the old versions of the rows that all write. What a side leaves there is its own to
 * pay, not the next one's: after 64 clients who each waited for one row, a look at it by key takes a
 * millisecond, until somebody vacuums.
 */
async function sweep({ filled }: Scene): Promise<void> {
  await withClient(filled.url, (client) =>
    client.query('VACUUM rewards.merchants, rewards.redemption_offers'),
  );
}

/** Runs all sides at each number of clients, for the scene's rounds, the order turned each round. */
export async function takeTurns(
  scene: Scene,
  sides: readonly Side[],
  clientCounts: readonly number[] = scene.clients,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const clients of clientCounts) {
    const own = sides.map(({ what, side }): Row & { shares: Cpu[] } => {
      return {
        what,
        side,
        clients,
        size: scene.filled.label,
        rates: [],
        latencies: [],
        shares: [],
      };
    });
    const turns = sides.map((side, i) => ({ side, row: own[i] }));
    for (const { item, round } of inTurns(scene.rounds, turns)) {
      const { side, row } = item;
      await sweep(scene);
      await side.prepare?.(clients);
      const { measured, cpu } = await withCpu(scene, side.server, () => side.run(clients, round));
      row?.rates.push(measured.rate);
      row?.latencies.push(measured.latency);
      row?.shares.push(cpu);
      const rate = Math.round(measured.rate);
      scene.say(`${side.what}, ${side.side}, ${clients} clients: ${rate}/s`);
    }
    rows.push(...own.map(({ shares, ...row }) => ({ ...row, cpu: meanOf(shares) })));
  }
  return rows;
}

/** Runs something and tells which share of a core each process had meanwhile. */
export async function withCpu(
  { stage }: Scene,
  server: Node | undefined,
  run: () => Promise<Measured>,
): Promise<{ measured: Measured; cpu: Cpu }> {
  const look = () => ({
    node: server?.cpu() ?? 0,
    postgres: stage.serverPid ? cpuOfTree(stage.serverPid) : 0,
  });
  const before = look();
  const measured = await run();
  const after = look();
  const { busy } = measured;
  const cpu = {
    load: measured.cpu / busy,
    postgres: (after.postgres - before.postgres) / busy,
    ...(server ? { node: (after.node - before.node) / busy } : {}),
  };
  return { measured, cpu };
}

/** A load's result as a round; what must never be goes to `wrong`. */
export function measuredOf(what: string, result: LoadResult, wrong: string[]): Measured {
  for (const { kind, status, count, body } of result.unexpected) {
    wrong.push(`${what}: ${kind} answered ${status}, ${count} times: ${body}`);
  }
  if (result.lost > 0) wrong.push(`${what}: ${result.lost} requests were never answered`);
  const { rate, latency, cpu, busy } = result;
  return { rate, latency, cpu, busy };
}

function meanOf(shares: readonly Cpu[]): Cpu {
  const mean = (of: (cpu: Cpu) => number) =>
    shares.reduce((sum, cpu) => sum + of(cpu), 0) / shares.length;
  return {
    load: mean(({ load }) => load),
    postgres: mean(({ postgres }) => postgres),
    ...(shares[0]?.node === undefined ? {} : { node: mean(({ node = 0 }) => node) }),
  };
}

/** The middle one, or halfway between the middle two; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** The median over the rounds of one figure of their latencies. */
export function latencyOf(row: Row, figure: keyof Latency): number {
  return median(row.latencies.map((latency) => latency[figure]));
}

/** The row of a question, a side and a number of clients. */
export function rowOf(rows: readonly Row[], what: string, side: string, clients: number) {
  return rows.find((r) => r.what === what && r.side === side && r.clients === clients);
}

/** The best rate of a side over all numbers of clients. */
export function bestOf(rows: readonly Row[], what: string, side: string): Row | undefined {
  const own = rows.filter((row) => row.what === what && row.side === side);
  return own.sort((a, b) => median(b.rates) - median(a.rates))[0];
}

/** Rate divided by rate, or undefined when one of them was not measured. */
export function ratioOf(ours: Row | undefined, other: Row | undefined): number | undefined {
  if (!ours || !other) return undefined;
  return median(ours.rates) / median(other.rates);
}

/** A verdict on a figure that should be at least, or at most, something; none if not measured. */
export function judge(
  what: string,
  found: number | undefined,
  bar: { atLeast: number } | { atMost: number } | { below: number },
  unit = '',
): Verdict[] {
  if (found === undefined || Number.isNaN(found)) return [];
  const [sign, limit, ok] =
    'atLeast' in bar
      ? (['≥', bar.atLeast, found >= bar.atLeast] as const)
      : 'atMost' in bar
        ? (['≤', bar.atMost, found <= bar.atMost] as const)
        : (['<', bar.below, found < bar.below] as const);
  const words = (value: number) => `${Number(value.toFixed(value < 10 ? 2 : 0))}${unit}`;
  return [{ what, wanted: `${sign} ${words(limit)}`, found: words(found), ok }];
}
