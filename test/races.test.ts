/**
 * Many requests at the same thing at once, through two real servers: exactly as many win as there
 * is to win, nobody gets a 5xx, and what was acknowledged survives the death of its server.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignJWT } from 'jose';
import type { OfferInput } from '../src/contract/offer.ts';
import { changedBy, systemCaller } from '../src/core/actor.ts';
import { type Database, openDatabase } from '../src/db/pool.ts';
import { claim } from '../src/idempotency/claim.ts';
import { checkInvariants } from '../src/invariants/check.ts';
import { createMerchant } from '../src/merchants/save.ts';
import { createOffer } from '../src/offers/save.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { JWT_SECRET } from './support/app.ts';
import { freshDatabase } from './support/database.ts';

/** How many codes are fought over; 1000 for a long look. */
const CODES = Number(process.env.RACE_CODES ?? 200);
const STARTUP_MS = 20_000;
const STAFF = systemCaller('test');
const UNLIMITED = Object.fromEntries(
  'REDEEM READ VALIDATE CONFIRM MISSES AUTH_FAILURES LANDING ADMIN'
    .split(' ')
    .map((name) => [`RATE_LIMIT_${name}`, '0']),
);

interface Node {
  url: string;
  process: ChildProcess;
}

interface Reply {
  status: number;
  text: string;
  body: any;
}

const database = await freshDatabase();
const children = new Set<ChildProcess>();
/** Every status that any server ever answered. */
const statuses = new Map<number, number>();
let nodes: [Node, Node];
let db: Database;
let serial = 0;

before(async () => {
  const { url } = database;
  db = openDatabase({ url, max: 4, poolTimeoutMs: 10_000, onError: () => undefined });
  nodes = await Promise.all([startNode(), startNode()]);
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await db.close();
});

/** A server in a process of its own, on a free port. */
async function startNode(): Promise<Node> {
  const program = join(import.meta.dirname, '../src/cli/main.js');
  const child = spawn(process.execPath, [program, 'start', '--roles', 'api'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ...UNLIMITED,
      DATABASE_URL: database.url,
      DATABASE_POOL_MAX: '20',
      JWT_SECRET,
      PORT: '0',
      LOG_LEVEL: 'info',
    },
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const late = setTimeout(() => child.kill('SIGKILL'), STARTUP_MS);
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = line.startsWith('{') ? JSON.parse(line) : {};
    if (entry.msg !== 'running') continue;
    clearTimeout(late);
    child.stdout.on('data', showErrors).resume();
    return { url: `${entry.url}/api/v1`, process: child };
  }
  throw new Error('a server did not start');
}

/** A log line of a fault says more than the status that a client got. */
function showErrors(chunk: Buffer): void {
  for (const line of String(chunk).split('\n')) {
    if (/"level":[56]0/.test(line)) console.error(line.slice(0, 2000));
  }
}

interface Request {
  token: string;
  key?: string;
  body?: object;
}

/** A POST; undefined when the connection broke before there was an answer. */
async function post(node: Node, path: string, request: Request): Promise<Reply | undefined> {
  const { token, key = `race ${++serial}`, body } = request;
  try {
    const reply = await fetch(`${node.url}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'idempotency-key': key,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await reply.text();
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
    return { status: reply.status, text, body: JSON.parse(text) };
  } catch (error) {
    assert.ok(error instanceof TypeError, String(error));
    return undefined;
  }
}

/** All at once, half of them on each server; `send` gets the server and the number. */
async function race(
  count: number,
  send: (node: Node, i: number) => Promise<Reply | undefined>,
): Promise<Reply[]> {
  const replies = await Promise.all(
    Array.from({ length: count }, (_, i) => send(nodes[i % 2 === 0 ? 0 : 1], i)),
  );
  return replies.map((reply) => reply ?? assert.fail('no answer'));
}

/** How many were answered what: `{ '201': 10, '409 out_of_stock': 40 }`. */
function tally(replies: readonly Reply[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of replies) {
    const outcome = [status, body.code].filter(Boolean).join(' ');
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

async function sql(text: string, ...values: unknown[]): Promise<any[]> {
  return db.query({ name: '', text, values });
}

/** So many new members with so many points each. */
async function members(count: number, points: number): Promise<{ id: number; token: string }[]> {
  const ids = Array.from({ length: count }, () => ++serial);
  await sql(
    `INSERT INTO public.fact_accumulations (user_id, quantity)
     SELECT u, $2 FROM unnest($1::integer[]) u`,
    ids,
    points,
  );
  return Promise.all(ids.map(async (id) => ({ id, token: await sign(id) })));
}

const sign = (userId: number) =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(String(userId))
    .setExpirationTime('10m')
    .sign(new TextEncoder().encode(JWT_SECRET));

const merchant = () => createMerchant(db, STAFF, { merchant_name: `Merchant ${++serial}` });

async function offer(input: Partial<OfferInput> = {}): Promise<string> {
  const named = { name_friendly: `Offer ${++serial}`, lumis_cost: 10, ...input };
  return (await createOffer(db, STAFF, named)).offer_id;
}

const order = (node: Node, token: string, offer_id: string, key?: string) =>
  post(node, '/rewards/redemptions', { token, body: { offer_id }, ...(key ? { key } : {}) });

/** A pending redemption for each of these members. */
async function issue(offer_id: string, owners: { id: number }[]): Promise<string[]> {
  const rows = owners.map(({ id: user_id }) => {
    const key = claim(STAFF.actor, `issue ${++serial}`, 'redeem', { user_id, offer_id });
    return { ...key, user_id, offer_id, changed_by: changedBy(STAFF) };
  });
  const issuing = { ttl_minutes: 60, public_url: 'https://points.example' };
  const answers = await redeem(db, issuing, rows);
  return answers.map(({ done, refused }) => done?.redemption_id ?? assert.fail(refused));
}

async function stockOf(offerId: string): Promise<{ left: number; held: number }> {
  const text = `SELECT stock_quantity AS left, stock_held AS held
    FROM rewards.redemption_offers WHERE offer_id = $1`;
  return (await sql(text, offerId))[0];
}

test('50 members redeem the last 10: ten get one', async () => {
  const scarce = await offer({ stock_quantity: 10 });
  const crowd = await members(50, 100);
  const replies = await race(50, (node, i) => order(node, crowd[i]?.token ?? '', scarce));
  assert.deepEqual(tally(replies), { '201': 10, '409 out_of_stock': 40 });
  assert.deepEqual(await stockOf(scarce), { left: 0, held: 10 });
  const codes = replies.flatMap(({ body }) => body.redemption_code ?? []);
  assert.equal(new Set(codes).size, 10);
});

test('one code confirmed 50 times at once: handed over once, the rest are told when', async () => {
  const { merchant_id, api_key: token } = await merchant();
  const [id] = await issue(await offer({ merchant_id }), await members(1, 100));
  const replies = await race(50, (node) => {
    return post(node, `/merchant/redemptions/${id}/confirm`, { token });
  });
  assert.deepEqual(tally(replies), { '200': 1, '409 already_redeemed': 49 });
  const times = replies.map(({ body }) => body.validated_at ?? body.redeemed_at);
  assert.equal(new Set(times).size, 1);
});

test('the same key 50 times on both servers: one redemption, one answer', async () => {
  const plain = await offer({ stock_quantity: 50 });
  const [one] = await members(1, 1000);
  const { id, token } = one ?? assert.fail();
  const replies = await race(50, (node) => order(node, token, plain, 'impatient'));
  assert.deepEqual(tally(replies), { '201': 50 });
  assert.equal(new Set(replies.map(({ text }) => text)).size, 1);
  const text = 'SELECT count(*) AS n FROM rewards.user_redemptions WHERE user_id = $1';
  assert.deepEqual(await sql(text, id), [{ n: 1 }]);
});

test('points for 3 of 30, a limit of 2 of 20: not one more', async () => {
  const [one] = await members(1, 35);
  const offers = await Promise.all([offer(), offer(), offer(), offer()]);
  const spent = await race(30, (node, i) => order(node, one?.token ?? '', offers[i % 4] ?? ''));
  assert.deepEqual(tally(spent), { '201': 3, '409 insufficient_points': 27 });
  const left = spent.flatMap(({ status, body }) => (status === 201 ? body.balance : []));
  assert.deepEqual(left.sort(), [15, 25, 5]);

  const [other] = await members(1, 1000);
  const limited = await offer({ max_redemptions_per_user: 2 });
  const got = await race(20, (node) => order(node, other?.token ?? '', limited));
  assert.deepEqual(tally(got), { '201': 2, '409 limit_member': 18 });
});

test('a confirmation reversed 20 times at once: the points return once', async () => {
  const { merchant_id, api_key: token } = await merchant();
  const stocked = await offer({ merchant_id, stock_quantity: 5 });
  const [one] = await members(1, 100);
  const [id] = await issue(stocked, one ? [one] : []);
  const path = `/merchant/redemptions/${id}`;
  assert.equal((await post(nodes[0], `${path}/confirm`, { token }))?.status, 200);
  const body = { reason: 'spilt' };
  const replies = await race(20, (node) => post(node, `${path}/reverse`, { token, body }));
  assert.deepEqual(tally(replies), { '200': 1, '409 reversed': 19 });
  assert.deepEqual(await stockOf(stocked), { left: 5, held: 0 });
  const balance = await sql('SELECT balance FROM lumis.balances WHERE user_id = $1', one?.id);
  assert.deepEqual(balance, [{ balance: 100 }]);
});

/** When the code of number i runs out: long ago, hardly, or just while it is fought over. */
const FUSES = ['-1 second', '1 hour', '5 milliseconds', '20 milliseconds', '60 milliseconds'];

/** Confirm and cancel at once, each on its server, while the fuse of the code burns. */
async function fight(id: string, i: number, shop: string, owner: string): Promise<Reply[]> {
  const [a, b] = i % 4 < 2 ? nodes : [nodes[1], nodes[0]];
  await sql(
    `UPDATE rewards.user_redemptions SET code_expires_at = clock_timestamp() + $2::interval
     WHERE redemption_id = $1`,
    id,
    FUSES[i % FUSES.length],
  );
  const confirm = () => post(a, `/merchant/redemptions/${id}/confirm`, { token: shop });
  const cancel = () => post(b, `/rewards/redemptions/${id}/cancel`, { token: owner });
  const replies = i % 2 ? [confirm(), cancel()] : [cancel(), confirm()].reverse();
  return (await Promise.all(replies)).map((reply) => reply ?? assert.fail('no answer'));
}

test('confirm, cancel and expiry at the same code: one of them wins', async (t) => {
  const { merchant_id, api_key: token } = await merchant();
  const stocked = await offer({ merchant_id, stock_quantity: CODES });
  const owners = await members(CODES, 10);
  const ids = await issue(stocked, owners);
  let open = CODES;
  const sweeping = (async () => {
    while (open > 0) {
      await sql('SELECT rewards.expire_old_redemptions()');
      await sleep(3);
    }
  })();
  const outcomes = new Map<string, string>();
  let next = 0;
  const fighter = async () => {
    for (let i = next++; i < CODES; i = next++) {
      const id = ids[i] as string;
      const [confirmed, cancelled] = await fight(id, i, token, owners[i]?.token ?? '');
      const told = [confirmed, cancelled].map((reply) => reply?.body.code ?? 'done');
      outcomes.set(id, told.join(' / '));
      open -= 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, fighter)).finally(() => {
    open = 0;
  });
  await sweeping;
  await checkOutcomes(t, stocked, outcomes);
});

const WON: Record<string, string> = {
  'done / already_redeemed': 'confirmed',
  'cancelled / done': 'cancelled',
  'expired / expired': 'expired',
};

/** What both sides were told says who won; status, points and stock must say the same. */
async function checkOutcomes(t: TestContext, offerId: string, outcomes: Map<string, string>) {
  const rows = await sql(
    `SELECT r.redemption_id AS id, r.redemption_status AS status, b.balance
     FROM rewards.user_redemptions r JOIN lumis.balances b USING (user_id) WHERE offer_id = $1`,
    offerId,
  );
  const won: Record<string, number> = {};
  for (const { id, status, balance } of rows) {
    assert.equal(WON[outcomes.get(id) ?? ''], status, `told ${outcomes.get(id)}, is ${status}`);
    assert.equal(balance, status === 'confirmed' ? 0 : 10);
    won[status] = (won[status] ?? 0) + 1;
  }
  t.diagnostic(JSON.stringify(won));
  assert.deepEqual(Object.keys(won).sort(), ['cancelled', 'confirmed', 'expired']);
  const { confirmed = 0 } = won;
  assert.deepEqual(await stockOf(offerId), { left: CODES - confirmed, held: confirmed });
}

test('a server killed at work: what it acknowledged is there, the rest is repeated', async (t) => {
  const count = 200;
  const plain = await offer({ stock_quantity: count });
  const crowd = await members(count, 10);
  const doomed = await startNode();
  const answers = new Map<number, Reply>();
  let next = 0;
  const client = async () => {
    for (let i = next++; i < count; i = next++) {
      const reply = await order(doomed, crowd[i]?.token ?? '', plain, `doomed ${i}`);
      if (reply) answers.set(i, reply);
      if (answers.size === count / 4) doomed.process.kill('SIGKILL');
    }
  };
  await Promise.all([once(doomed.process, 'exit'), ...Array.from({ length: 20 }, client)]);
  t.diagnostic(`${answers.size} of ${count} acknowledged`);
  assert.ok(answers.size < count, 'it died too late');

  const again = await race(count, (node, i) => {
    return order(node, crowd[i]?.token ?? '', plain, `doomed ${i}`);
  });
  assert.deepEqual(tally(again), { '201': count });
  for (const [i, { text }] of answers) assert.equal(again[i]?.text, text);
  assert.deepEqual(await stockOf(plain), { left: 0, held: count });
  const ids = again.map(({ body }) => body.redemption_id);
  const found = 'SELECT FROM rewards.user_redemptions WHERE redemption_id = ANY ($1::uuid[])';
  assert.equal((await sql(found, ids)).length, count);
});

test('afterwards: no 5xx, no deadlock, invariants kept, both servers end in order', async (t) => {
  for (const { process } of nodes) process.kill('SIGTERM');
  const ended = await Promise.all(nodes.map(({ process }) => once(process, 'exit')));
  assert.deepEqual(ended, [
    [0, null],
    [0, null],
  ]);
  t.diagnostic(JSON.stringify(Object.fromEntries(statuses)));
  assert.deepEqual(
    [...statuses.keys()].filter((status) => status >= 500),
    [],
  );
  // the pool repeats a transaction that a deadlock ended, so that nobody would notice
  const text = 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()';
  assert.deepEqual(await sql(text), [{ deadlocks: 0 }]);
  assert.deepEqual(await checkInvariants(db, {}), []);
});
