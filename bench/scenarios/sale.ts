/** A flash sale: many members at once at the last pieces of one offer, through several servers. */

import { merchantId, offerId } from '../fill.ts';
import { type LoadResult, runLoad } from '../load.ts';
import type { Node } from '../node.ts';
import type { Scenario } from '../scene.ts';
import { withClient } from '../stage.ts';
import { deadlocksIn, faultsOf, verify, watchLog } from './checks.ts';

export interface Sale {
  stock: number;
  /** each asks once, at the same time as all others */
  members: number;
  connections: number;
  /** how many each member may have and pay for; 1 */
  each?: number;
}

const SALE: Sale = { stock: 1000, members: 10_000, connections: 500 };
const SMOKE: Sale = { stock: 20, members: 200, connections: 50 };
const NODES = 3;
const DATABASE = 'bench_sale';

/** One offer with so much stock, and members who can pay for it, in an empty migrated database. */
export async function prepareSale(databaseUrl: string, sale: Sale): Promise<void> {
  const { each = 1 } = sale;
  await withClient(databaseUrl, async (client) => {
    await client.query(
      `INSERT INTO rewards.merchants (merchant_id, merchant_name, api_key_hash)
       VALUES ($1, 'Sale', '')`,
      [merchantId(1)],
    );
    await client.query(
      `INSERT INTO rewards.redemption_offers
         (offer_id, name_friendly, lumis_cost, stock_quantity, merchant_id, max_redemptions_per_user)
       VALUES ($1, 'The last ones', 10, $2, $3, $4)`,
      [offerId(1), sale.stock, merchantId(1), each],
    );
    await client.query(
      `INSERT INTO public.fact_accumulations (user_id, quantity, kind)
       SELECT n, 10 * $2::integer, 'grant' FROM generate_series(1, $1) n`,
      [sale.members, each],
    );
  });
}

/** Lets everybody ask. What is wrong afterwards, in words: nothing, if all is well. */
export async function holdSale(
  databaseUrl: string,
  nodes: readonly Node[],
  sale: Sale,
): Promise<{ result: LoadResult; wrong: string[] }> {
  const result = await runLoad({
    urls: nodes.map(({ url }) => url),
    connections: sale.connections,
    count: sale.members,
    wishes: [{ kind: 'redeem', offer: 1, expect: [201, 409] }],
    offers: 1,
    merchants: 1,
    members: sale.members,
    tokens: { count: sale.members, each: true },
    run: 'sale',
  });
  const told = { ...result.statuses, ...result.problems };
  const wanted = { 201: sale.stock, 409: sale.members - sale.stock };
  const expected = { ...wanted, out_of_stock: sale.members - sale.stock };
  const wrong = faultsOf(result);
  if (!isSame(told, expected)) {
    wrong.push(`told ${JSON.stringify(told)} instead of ${JSON.stringify(expected)}`);
  }
  await withClient(databaseUrl, async (client) => {
    const { rows } = await client.query(
      `SELECT count(*)::integer AS codes, count(DISTINCT r.user_id)::integer AS members,
         o.stock_quantity AS left, o.stock_held AS held
       FROM rewards.redemption_offers o JOIN rewards.user_redemptions r USING (offer_id)
       GROUP BY o.offer_id`,
    );
    const { stock } = sale;
    const sold = { codes: stock, members: stock, left: 0, held: stock };
    if (!isSame(rows[0], sold)) wrong.push(`in the database: ${JSON.stringify(rows[0])}`);
  });
  const deadlocks = await deadlocksIn(databaseUrl);
  if (deadlocks > 0) wrong.push(`${deadlocks} deadlocks`);
  return { result, wrong };
}

const isSame = (a: object, b: object) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (value: object) => Object.entries(value ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));

/** Stock 1,000, 10,000 members, 500 connections, 3 servers: 1,000 codes, 9,000 clean refusals. */
export const sale: Scenario = async (scene) => {
  const { stage, smoke, say } = scene;
  const plan = smoke ? SMOKE : SALE;
  await stage.drop(DATABASE);
  const url = await stage.database(DATABASE);
  await prepareSale(url, plan);
  const logged = watchLog(stage);
  const nodes = await Promise.all(Array.from({ length: NODES }, () => stage.node(url)));
  say(`sale: ${plan.members} members at ${plan.stock} codes`);
  const { result, wrong } = await holdSale(url, nodes, plan);
  await Promise.all(nodes.map((node) => node.stop()));
  wrong.push(...logged(/deadlock|PANIC/), ...[await verify(url)].flatMap((text) => text ?? []));
  await stage.drop(DATABASE);
  const { 201: codes = 0, 409: refused = 0 } = result.statuses as Record<number, number>;
  return {
    rows: [
      {
        what: `sale of ${plan.stock} codes to ${plan.members} members`,
        side: `ours, ${NODES} servers`,
        clients: plan.connections,
        size: `${plan.members}`,
        rates: [result.rate],
        latencies: [result.latency],
        note: `${codes} codes, ${refused} refusals`,
      },
    ],
    verdicts: [
      {
        what: 'sale: codes, refusals, anything else',
        wanted: `${plan.stock}, ${plan.members - plan.stock}, 0`,
        found: `${codes}, ${refused}, ${result.answers - codes - refused}`,
        ok: wrong.length === 0,
      },
    ],
    wrong,
    notes: [],
  };
};
