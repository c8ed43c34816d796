/** Confirming: spread over all merchants, and at one hot merchant, against bare SQL. */

import { askOurs, askPgbench, countOf, warmNode } from '../actors.ts';
import { redemptionId } from '../fill.ts';
import {
  bestOf,
  emptyOutcome,
  judge,
  measuredOf,
  ratioOf,
  rowOf,
  type Side,
  takeTurns,
  warmupOf,
} from '../measure.ts';
import type { Node } from '../node.ts';
import { Pendings, type Range } from '../pendings.ts';
import type { Outcome, Row, Scenario, Scene, Verdict } from '../scene.ts';
import { withClient } from '../stage.ts';
import { memoryNote, OURS, PGBENCH } from './redeem.ts';

const SPREAD = 'confirm, spread';
const HOT = 'confirm, one hot merchant';
const HOT_MERCHANT = 1;
/** Redemptions a second that a side is given before its pace is known. */
const GUESS = { smoke: 3_000, alone: 3_000, together: 12_000 };

export const confirm: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  const node = await warmNode(scene, scene.filled);
  const before = node.memory();
  const pendings = new Pendings(scene.filled, scene.say);
  try {
    for (const [what, hot] of [
      [SPREAD, 0],
      [HOT, HOT_MERCHANT],
    ] as const) {
      const sides = bothSides(scene, outcome, node, pendings, what, hot);
      outcome.rows.push(...(await takeTurns(scene, sides)));
    }
  } finally {
    outcome.notes.push(memoryNote(before, node));
    await node.stop();
  }
  outcome.verdicts.push(...judgeAll(outcome.rows));
  return outcome;
};

function bothSides(
  scene: Scene,
  outcome: Outcome,
  node: Node,
  pendings: Pendings,
  what: string,
  hot: number,
): Side[] {
  const { filled } = scene;
  const paces = new Map<string, number>();
  let range: Range = { from: 1, to: 0 };
  /** A range of its own for each side and round, large enough for half again its last pace. */
  const taking = (side: string) => async (clients: number) => {
    const guess = scene.smoke ? GUESS.smoke : clients === 1 ? GUESS.alone : GUESS.together;
    const pace = paces.get(`${side} ${clients}`) ?? guess;
    const seconds = Math.ceil(scene.seconds + warmupOf(scene, clients));
    range = await pendings.take(Math.ceil(pace * seconds * 1.5) + clients, hot);
  };
  return [
    {
      what,
      side: OURS,
      server: node,
      prepare: taking(OURS),
      async run(connections) {
        const wish = { kind: 'confirm', ...range, ...(hot ? { merchant: hot } : {}) } as const;
        const result = await askOurs(scene, filled, [node.url], { connections, wishes: [wish] });
        await pendings.giveBack(result.next ?? range.from, range);
        const told = result.statuses['200'] ?? 0;
        const done = await withClient(filled.url, (client) => confirmedIn(client, range));
        if (told !== done) outcome.wrong.push(`${what}: ${told} acknowledged, ${done} confirmed`);
        if (result.ranOut) outcome.notes.push(`${what}: ours ran out of pending redemptions`);
        paces.set(`${OURS} ${connections}`, result.rate);
        return measuredOf(what, result, outcome.wrong);
      },
    },
    {
      what,
      side: PGBENCH,
      prepare: taking(PGBENCH),
      async run(clients) {
        const variables = { hot, first: range.from, clients };
        const found = await askPgbench(
          scene,
          filled,
          { script: 'confirm', clients, variables },
          (client) => confirmedIn(client, range),
          outcome.notes,
        );
        paces.set(`${PGBENCH} ${clients}`, found.rate);
        return found;
      },
    },
  ];
}

function confirmedIn(client: Parameters<typeof countOf>[0], { from, to }: Range) {
  return countOf(
    client,
    `SELECT count(*) FROM rewards.user_redemptions
     WHERE redemption_id BETWEEN $1 AND $2 AND redemption_status = 'confirmed'`,
    [redemptionId(from), redemptionId(to)],
  );
}

function judgeAll(rows: readonly Row[]): Verdict[] {
  const best = (what: string, side: string) => bestOf(rows, what, side);
  const at64 = rowOf(rows, HOT, OURS, 64);
  return [
    ...judge(
      `${SPREAD}: our best ÷ pgbench's best`,
      ratioOf(best(SPREAD, OURS), best(SPREAD, PGBENCH)),
      { atLeast: 1 },
    ),
    ...judge(`${HOT}: ours at 64 clients ÷ pgbench's best`, ratioOf(at64, best(HOT, PGBENCH)), {
      atLeast: 4,
    }),
  ];
}
