/** Redeeming: spread over all offers, and at one hot offer, against bare SQL through pgbench. */

import { askOurs, askPgbench, countOf, databaseNow, tokensOf, warmNode } from '../actors.ts';
import { startBare } from '../bare-fastify.ts';
import type { Wish } from '../load.ts';
import {
  bestOf,
  emptyOutcome,
  judge,
  latencyOf,
  measuredOf,
  ratioOf,
  rowOf,
  type Side,
  takeTurns,
} from '../measure.ts';
import type { Node } from '../node.ts';
import type { Outcome, Row, Scenario, Scene, Verdict } from '../scene.ts';
import { withClient } from '../stage.ts';

export const OURS = 'ours';
export const PGBENCH = 'pgbench';
const SPREAD = 'redeem, spread';
const HOT = 'redeem, one hot offer';
const ALONE = 'one call per statement';
const BARE = 'bare Fastify';
/** Its stock lasts: a billion. */
export const HOT_OFFER = 1;
const HOT_CLIENTS = 64;
/** Of the answer to a redemption of ours. */
const ANSWER_BYTES = 700;
const MADE = 'SELECT count(*) FROM rewards.user_redemptions WHERE created_at >= $1';

export const redeem: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  const { filled } = scene;
  const node = await warmNode(scene, filled);
  const { url, size } = filled;
  const bare = await startBare({
    constants: { '/constant': ANSWER_BYTES },
    redeem: { url, offers: size.offers, members: size.members, tokens: tokensOf(filled) },
  });
  const before = node.memory();
  try {
    const context = { scene, outcome, node };
    outcome.rows.push(...(await takeTurns(scene, bothSides(context, SPREAD, 0))));
    outcome.rows.push(...(await takeTurns(scene, bothSides(context, HOT, HOT_OFFER))));
    if (scene.clients.includes(HOT_CLIENTS) || scene.smoke) {
      const clients = [scene.smoke ? (scene.clients[0] ?? 1) : HOT_CLIENTS];
      outcome.rows.push(...(await takeTurns(scene, [aloneSide(context, bare)], clients)));
    }
    if (scene.clients.includes(1)) {
      outcome.rows.push(...(await takeTurns(scene, [roundTrip(context, bare)], [1])));
    }
  } finally {
    outcome.notes.push(memoryNote(before, node));
    await Promise.all([node.stop(), bare.stop()]);
  }
  outcome.verdicts.push(...judgeAll(outcome.rows));
  return outcome;
};

export function memoryNote(before: number, node: Node): string {
  const mb = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MB`;
  return `memory of the node: ${mb(before)} at the beginning, ${mb(node.memory())} at the end`;
}

interface Context {
  scene: Scene;
  outcome: Outcome;
  node: Node;
}

function bothSides({ scene, outcome, node }: Context, what: string, hot: number): Side[] {
  const { filled } = scene;
  const offer = hot || 'spread';
  return [
    {
      what,
      side: OURS,
      server: node,
      run: (connections) =>
        counted(scene, outcome, what, [node.url], connections, { kind: 'redeem', offer }),
    },
    {
      what,
      side: PGBENCH,
      async run(clients) {
        const from = await databaseNow(filled.url);
        const tokens = tokensOf(filled);
        const stride = Math.max(1, Math.floor(filled.size.members / tokens));
        const job = { script: 'redeem', clients, variables: { hot, tokens, stride } };
        const made = (client: Parameters<typeof countOf>[0]) => countOf(client, MADE, [from]);
        return askPgbench(scene, filled, job, made, outcome.notes);
      },
    },
  ];
}

/** A load, after which every redemption that was acknowledged is there, and no other. */
async function counted(
  scene: Scene,
  outcome: Outcome,
  what: string,
  urls: string[],
  connections: number,
  wish: Wish,
) {
  const { filled } = scene;
  const from = await databaseNow(filled.url);
  const result = await askOurs(scene, filled, urls, { connections, wishes: [wish] });
  const made = await withClient(filled.url, (client) => countOf(client, MADE, [from]));
  const told = result.statuses['201'] ?? 0;
  if (made !== told) outcome.wrong.push(`${what}: ${told} acknowledged, ${made} in the database`);
  return measuredOf(what, result, outcome.wrong);
}

/** The same hot offer with one call of the verb per request, behind a bare Fastify. */
function aloneSide({ scene, outcome }: Context, bare: Node): Side {
  const wish: Wish = { kind: 'raw', path: `/redeem?offer=${HOT_OFFER}`, body: '{}', expect: [201] };
  return {
    what: HOT,
    side: ALONE,
    server: bare,
    run: (clients) => counted(scene, outcome, ALONE, [bare.url], clients, wish),
  };
}

/** What a request costs that does nothing: with bare SQL, the bar for one client alone. */
function roundTrip({ scene, outcome }: Context, bare: Node): Side {
  const body = JSON.stringify({ offer_id: '00000000-0000-4000-8001-000000000001' });
  const wishes: Wish[] = [{ kind: 'raw', path: '/constant', body, expect: [201] }];
  return {
    what: 'a POST that does nothing',
    side: BARE,
    server: bare,
    run: async (connections) =>
      measuredOf(
        BARE,
        await askOurs(scene, scene.filled, [bare.url], { connections, wishes }),
        outcome.wrong,
      ),
  };
}

function judgeAll(rows: readonly Row[]): Verdict[] {
  const at = (what: string, side: string, clients: number) => rowOf(rows, what, side, clients);
  const ours = at(HOT, OURS, HOT_CLIENTS);
  const alone = at(HOT, ALONE, HOT_CLIENTS);
  const p99 = ours && latencyOf(ours, 'p99');
  const [best, bare] = [bestOf(rows, SPREAD, PGBENCH), at('a POST that does nothing', BARE, 1)];
  const single = at(SPREAD, PGBENCH, 1);
  const tax = (figure: 'mean' | 'p50') => {
    const own = at(SPREAD, OURS, 1);
    if (!own || !single || !bare) return undefined;
    return latencyOf(own, figure) / (latencyOf(single, figure) + latencyOf(bare, figure));
  };
  return [
    ...judge(`${SPREAD}: our best ÷ pgbench's best`, ratioOf(bestOf(rows, SPREAD, OURS), best), {
      atLeast: 1.2,
    }),
    ...judge(
      `${HOT}: ours ÷ pgbench, ${HOT_CLIENTS} clients both`,
      ratioOf(ours, at(HOT, PGBENCH, HOT_CLIENTS)),
      { atLeast: 8 },
    ),
    ...judge(
      `${HOT}: ours at ${HOT_CLIENTS} clients ÷ pgbench's best`,
      ratioOf(ours, bestOf(rows, HOT, PGBENCH)),
      { atLeast: 4 },
    ),
    ...judge(`${HOT}: p99 at ${HOT_CLIENTS} clients`, p99, { below: 100 }, ' ms'),
    ...judge(`${HOT}: that p99 ÷ p99 of ${ALONE}`, p99 && alone && p99 / latencyOf(alone, 'p99'), {
      below: 0.1,
    }),
    ...judge('one client alone: mean ÷ (bare SQL + bare round trip)', tax('mean'), {
      atMost: 1.3,
    }),
    ...judge('one client alone: p50 ÷ (bare SQL + bare round trip)', tax('p50'), { atMost: 1.3 }),
  ];
}
