/** A mixed day: members look, redeem and cancel, tills validate and confirm, the worker works. */

import { askOurs, warmNode } from '../actors.ts';
import type { Wish } from '../load.ts';
import { emptyOutcome, judge, latencyOf, measuredOf, withCpu } from '../measure.ts';
import type { Filled, Outcome, Row, Scenario, Scene } from '../scene.ts';
import { memoryNote, OURS } from './redeem.ts';

/** Of a hundred requests. */
const WISHES: Wish[] = [
  { kind: 'offers', path: '?limit=20', weight: 40 },
  { kind: 'offer', weight: 10 },
  { kind: 'redemptions', path: '?limit=20', weight: 10 },
  { kind: 'balance', weight: 10 },
  { kind: 'redeem', weight: 12 },
  { kind: 'validate', weight: 8 },
  { kind: 'confirm', weight: 7 },
  { kind: 'cancel', weight: 3 },
];
const ALL = 'mixed day';
const CLIENTS = 64;
const WARM_SECONDS = 2;
const GROWTH_MAX = 1.5;

export const day: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  for (const filled of scene.databases) await live(scene, filled, outcome);
  const [first, last] = [scene.databases[0], scene.databases.at(-1)];
  if (first && last && first !== last) judgeGrowth(outcome, first.label, last.label);
  return outcome;
};

/** All rounds in one go: what a worker does now and then should be in it. */
async function live(scene: Scene, filled: Filled, outcome: Outcome): Promise<void> {
  const node = await warmNode(scene, filled, { roles: 'api,worker' });
  const before = node.memory();
  const clients = scene.smoke ? (scene.clients[0] ?? 1) : CLIENTS;
  const seconds = scene.seconds * scene.rounds;
  let kinds: Row[] = [];
  try {
    const { cpu } = await withCpu(scene, node, async () => {
      const warmup = scene.smoke ? 0.5 : WARM_SECONDS;
      const job = { connections: clients, seconds, warmup, wishes: WISHES };
      const result = await askOurs(scene, filled, [node.url], job);
      const measured = measuredOf(`${ALL} (${filled.label})`, result, outcome.wrong);
      const about = { side: OURS, clients, size: filled.label };
      kinds = Object.entries({ '': { ...result.latency, rate: result.rate }, ...result.kinds }).map(
        ([kind, { rate, ...latency }]) => {
          const what = kind ? `${ALL}: ${kind}` : ALL;
          return { ...about, what, rates: [rate], latencies: [latency] };
        },
      );
      return measured;
    });
    const [all, ...rest] = kinds;
    if (all) outcome.rows.push({ ...all, cpu }, ...rest);
  } finally {
    outcome.notes.push(`${ALL}, ${filled.label}: ${memoryNote(before, node)}`);
    await node.stop();
  }
}

function judgeGrowth({ rows, verdicts }: Outcome, small: string, big: string): void {
  const named = new Set(rows.map(({ what }) => what));
  for (const what of named) {
    const at = (label: string) => rows.find((row) => row.what === what && row.size === label);
    const [first, last] = [at(small), at(big)];
    if (!first || !last) continue;
    const growth = latencyOf(last, 'p50') / latencyOf(first, 'p50');
    verdicts.push(...judge(`${what}: p50 at ${big} ÷ at ${small}`, growth, { atMost: GROWTH_MAX }));
  }
}
