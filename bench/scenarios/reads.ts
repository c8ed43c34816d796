/** The catalogue's page and its 304, against bare Fastify serving constants of the same sizes. */

import { askOurs, jobOn, warmNode } from '../actors.ts';
import { type CatalogueSizes, startBare } from '../bare-fastify.ts';
import { type LoadJob, runLoad, type Wish } from '../load.ts';
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
const ASKED: Wish = { kind: 'offers', path: '?limit=20' };
const ASKED_AGAIN: Wish = { ...ASKED, ifChanged: true };
/** Enough for a read, of which there are tens of thousands a second. */
const SECONDS_MAX = 3;
const WARM_SECONDS = 1;

export const reads: Scenario = async (given) => {
  const scene = { ...given, seconds: Math.min(given.seconds, SECONDS_MAX) };
  const outcome = emptyOutcome();
  const node = await warmNode(scene, scene.filled);
  const before = node.memory();
  const context = { scene, outcome };
  const sizes = await sizesOf(context, node, MANY_TOKENS);
  const bare = await startBare({ catalogue: sizes });
  try {
    const bareSizes = await sizesOf(context, bare, 1);
    outcome.notes.push(
      `a catalogue page of 20: ${inWords(sizes)}; bare Fastify's constants: ${inWords(bareSizes)}`,
    );
    const both = [
      [PAGE, ASKED],
      [UNCHANGED, ASKED_AGAIN],
    ] as const;
    for (const [what, wish] of both) {
      const sides = [
        ourSide(context, node, what, ONE, wish),
        ourSide(context, node, what, MANY, wish),
        bareSide(context, bare, what, wish),
      ];
      outcome.rows.push(...(await takeTurns(scene, sides)));
    }
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

/** How large a page and its 304 are, after each of the tokens asked for them: what follows is as usual. */
async function sizesOf(
  { scene, outcome }: Context,
  node: Node,
  tokens: number,
): Promise<CatalogueSizes> {
  const askedFor = async (what: string, wish: Wish, count: number) => {
    const asked = { connections: 1, tokens: { count: tokens, each: true }, count, wishes: [wish] };
    const result = await runLoad({ ...jobOn(scene.filled, [node.url]), ...asked });
    measuredOf(what, result, outcome.wrong);
    return result.size;
  };
  const page = await askedFor(PAGE, ASKED, tokens);
  const unchanged = await askedFor(UNCHANGED, ASKED_AGAIN, 2 * tokens);
  if (unchanged.body > 0)
    outcome.wrong.push(`${UNCHANGED}: who names the ETag gets the page again`);
  return { page, unchanged };
}

function inWords({ page, unchanged }: CatalogueSizes): string {
  return `${page.head} + ${page.body} bytes, its 304 ${unchanged.head}`;
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
