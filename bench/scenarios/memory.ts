/** Does a server of ours grow? Very many requests of every kind by very many members. */

import { setTimeout as sleep } from 'node:timers/promises';
import { jobOn } from '../actors.ts';
import { startLoad, type Wish } from '../load.ts';
import { emptyOutcome } from '../measure.ts';
import type { Node } from '../node.ts';
import type { Scenario } from '../scene.ts';
import { faultsOf } from './checks.ts';

const REQUESTS = 1_000_000;
const CLIENTS = 32;
const TOKENS = 100_000;
const SAMPLE_MS = 500;
/** Of the last third to the second one: a leak of 100 bytes a request would be more. */
const LEVEL = 1.05;
/** Inactive, ended or not begun: see `isOpen`. */
const CLOSED_OFFER = 97;

/** Half reads, as many of them unchanged as not, a third writes, and refusals of each kind. */
const MIX: Wish[] = [
  { kind: 'offers', weight: 20, path: '?limit=20', ifChanged: true },
  { kind: 'offer', weight: 15 },
  { kind: 'redemptions', weight: 8, path: '?status=pending' },
  { kind: 'balance', weight: 7 },
  { kind: 'redeem', weight: 25 },
  { kind: 'validate', weight: 8 },
  { kind: 'confirm', weight: 5 },
  { kind: 'cancel', weight: 4 },
  { kind: 'redeem', weight: 4, offer: CLOSED_OFFER, expect: [409] },
  { kind: 'raw', weight: 2, path: '/api/v1/rewards/balance', expect: [401] },
  { kind: 'raw', weight: 2, path: '/r/nobody-has-this-token', expect: [404] },
];

interface Sample {
  /** bytes */
  resident: number;
  heap: number;
}

/** Memory in the last third of a long run against the second; the first one fills the caches. */
export const memory: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  const { filled, smoke, say } = scene;
  const count = smoke ? 3000 : (scene.requests ?? REQUESTS);
  const node = await scene.stage.node(filled.url);
  const samples: Sample[] = [await sample(node)];
  const load = startLoad({
    ...jobOn(filled, [node.url]),
    connections: CLIENTS,
    count,
    wishes: MIX,
    tokens: { count: TOKENS, each: true },
  });
  let ended = false;
  const done = load.result.finally(() => {
    ended = true;
  });
  for (let told = performance.now(); !ended; await sleep(smoke ? SAMPLE_MS / 10 : SAMPLE_MS)) {
    samples.push(await sample(node));
    if (performance.now() - told < 60_000) continue;
    told = performance.now();
    say(`memory: ${mb(samples.at(-1)?.resident)} MB`);
  }
  const result = await done;
  await node.stop();
  outcome.wrong.push(...faultsOf(result));
  const figures = { resident: thirds(samples, 'resident'), heap: thirds(samples, 'heap') };
  for (const [what, [first, second, third]] of Object.entries(figures)) {
    const ratio = third / second;
    outcome.verdicts.push({
      what: `memory (${what}) over ${count} requests: last third ÷ second third`,
      wanted: `≤ ${LEVEL}`,
      found: `${ratio.toFixed(3)} (${[first, second, third].map(mb).join(', ')} MB)`,
      ok: ratio <= LEVEL,
    });
  }
  outcome.rows.push({
    what: 'mixed requests, for memory',
    side: 'ours',
    clients: CLIENTS,
    size: filled.label,
    rates: [result.rate],
    latencies: [result.latency],
    note: `${result.statuses['304'] ?? 0} unchanged, ${result.statuses['409'] ?? 0} refused`,
  });
  return outcome;
};

const mb = (bytes = 0) => Math.round(bytes / 1024 / 1024);

async function sample(node: Node): Promise<Sample> {
  const resident = node.memory();
  const text = await (await fetch(`${node.url}/metrics`)).text();
  const heap = Number(/^nodejs_heap_size_used_bytes (\S+)/m.exec(text)?.[1] ?? 0);
  return { resident, heap };
}

/**
 * The median of each third. Of the heap the lowest tenth: what garbage collection leaves, without
 * what happened to be waiting for it.
 */
function thirds(samples: readonly Sample[], of: keyof Sample): [number, number, number] {
  const part = (from: number) => {
    const values = samples
      .slice((samples.length * from) / 3, (samples.length * (from + 1)) / 3)
      .map((one) => one[of])
      .sort((a, b) => a - b);
    return values[Math.floor(values.length * (of === 'heap' ? 0.1 : 0.5))] ?? 0;
  };
  return [part(0), part(1), part(2)];
}
