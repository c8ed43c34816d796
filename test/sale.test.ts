/** The sale of `npm run bench`, small: three servers, and ten members for each code. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Node, startNode } from '../bench/node.ts';
import { holdSale, prepareSale } from '../bench/scenarios/sale.ts';
import { openDatabase } from '../src/db/pool.ts';
import { checkInvariants } from '../src/invariants/check.ts';
import { freshDatabase } from './support/database.ts';

const SALE = { stock: 50, members: 500, connections: 120 };
/** Three pools of it leave room for the other tests on the same server. */
const POOL = { DATABASE_POOL_MAX: '12' };

test('500 members at 50 codes, through three servers: 50 codes, 450 clean refusals', async (t) => {
  const { url } = await freshDatabase(t);
  await prepareSale(url, SALE);
  const nodes: Node[] = [];
  t.after(() => nodes.map((node) => node.kill('SIGKILL')));
  const start = () => startNode(url, { env: POOL }, () => undefined);
  nodes.push(...(await Promise.all([start(), start(), start()])));

  const { result, wrong } = await holdSale(url, nodes, SALE);
  assert.deepEqual(wrong, []);
  t.diagnostic(`${Math.round(result.latency.max)} ms for the last answer`);
  await Promise.all(nodes.map((node) => node.stop()));
  const db = openDatabase({ url, max: 2, poolTimeoutMs: 5000, onError: () => undefined });
  t.after(() => db.close());
  assert.deepEqual(await checkInvariants(db, {}), []);
});
