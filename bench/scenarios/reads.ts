/** The catalogue's page and its 304, against bare Fastify serving a constant of the same size. */

import { askOurs, warmNode } from '../actors.ts';
import { startBare } from '../bare-fastify.ts';
import type { LoadJob, Wish } from '../load.ts';
import {
  emptyOutcome,
  judge,
  measuredOf,
  ratioOf,
  rowOf,
  type Side,
  takeTurns,
} from '../measure.ts';
import type { Node } from '../node.ts';
import type { Outcome, Row, Scenario, Scene, Verdict } from '../scene.ts';
import { memoryNote, OURS } from './redeem.ts';

const PAGE = 'catalogue page';
const UNCHANGED = 'catalogue 304';
const ONE = 'one token';
const MANY = 'many tokens';
const BARE = 'bare Fastify';
/** Each asks for the page once before it can ask whether it has changed. */
const MANY_TOKENS = 2_000;
const QUERY = '?limit=20';
/** Enough for a read, of which there are tens of thousands a second. */
const SECONDS_MAX = 3;
const WARM_SECONDS = 1;

export const reads: Scenario = async (given) => {
  const scene = { ...given, seconds: Math.min(given.seconds, SECONDS_MAX) };
  const outcome = emptyOutcome();
  const node = await warmNode(scene, scene.filled);
  const before = node.memory();
  const page: Wish = { kind: 'offers', path: QUERY };
  const { bytes } = await askOurs(scene, scene.filled, [node.url], {
    connections: 1,
    seconds: 0.2,
    warmup: 0,
    wishes: [page],
  });
  outcome.notes.push(`a catalogue page of 20 has ${bytes} bytes`);
  const bare = await startBare({ catalogue: bytes });
  const context = { scene, outcome };
  try {
    const pages = [
      ourSide(context, node, PAGE, ONE, page),
      ourSide(context, node, PAGE, MANY, page),
      bareSide(context, bare, PAGE, page),
    ];
    outcome.rows.push(...(await takeTurns(scene, pages)));
    if (await hasEtag(context, node)) {
      const same: Wish = { ...page, ifChanged: true };
      const unchanged = [
        ourSide(context, node, UNCHANGED, ONE, same),
        ourSide(context, node, UNCHANGED, MANY, same),
        bareSide(context, bare, UNCHANGED, same),
      ];
      outcome.rows.push(...(await takeTurns(scene, unchanged)));
    } else outcome.notes.push('the catalogue has no ETag: its 304 cannot be measured');
  } finally {
    outcome.notes.push(memoryNote(before, node));
    await Promise.all([node.stop(), bare.stop()]);
  }
  outcome.verdicts.push(...judgeAll(outcome.rows, scene.clients));
  return outcome;
};

interface Context {
  scene: Scene;
  outcome: Outcome;
}

/** Whether a second request with what the first one named is answered with 304. */
async function hasEtag({ scene }: Context, node: Node): Promise<boolean> {
  const wishes: Wish[] = [{ kind: 'offers', path: QUERY, ifChanged: true }];
  const job = { connections: 1, count: 3, tokens: { count: 1 }, wishes };
  const { statuses } = await askOurs(scene, scene.filled, [node.url], job);
  return (statuses['304'] ?? 0) > 0;
}

function ourSide(context: Context, node: Node, what: string, tokens: string, wish: Wish): Side {
  const count = tokens === ONE ? 1 : MANY_TOKENS;
  return {
    what,
    side: `${OURS}, ${tokens}`,
    server: node,
    run: (connections) =>
      ask(context, node, what, { connections, tokens: { count }, wishes: [wish] }),
  };
}

function bareSide(context: Context, bare: Node, what: string, wish: Wish): Side {
  return {
    what,
    side: BARE,
    server: bare,
    run: (connections) =>
      ask(context, bare, what, { connections, tokens: { count: 1 }, wishes: [wish] }),
  };
}

async function ask(
  { scene, outcome }: Context,
  node: Node,
  what: string,
  job: Pick<LoadJob, 'connections' | 'wishes'> & Partial<LoadJob>,
) {
  const warmup = scene.smoke ? 0.2 : WARM_SECONDS;
  const result = await askOurs(scene, scene.filled, [node.url], { ...job, warmup });
  return measuredOf(what, result, outcome.wrong);
}

function judgeAll(rows: readonly Row[], clients: readonly number[]): Verdict[] {
  const asked = [PAGE, UNCHANGED].flatMap((what) =>
    [ONE, MANY].flatMap((tokens) => clients.map((n) => ({ what, tokens, n }))),
  );
  return asked.flatMap(({ what, tokens, n }) =>
    judge(
      `${what}, ${tokens}: ours ÷ bare Fastify, ${n} clients`,
      ratioOf(rowOf(rows, what, `${OURS}, ${tokens}`, n), rowOf(rows, what, BARE, n)),
      { atLeast: 0.7 },
    ),
  );
}
