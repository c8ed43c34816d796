/** The catalogue for those who look again: over a real port, since the short way begins there. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignJWT } from 'jose';
import type { Config } from '../src/config.ts';
import { lookAt, openLooking, type Seen } from '../src/offers/looking.ts';
import { JWT_SECRET, testApp } from './support/app.ts';
import { freshDatabase } from './support/database.ts';

/** Limits for reading alone. */
const READS = {
  ...{ redeem: 0, validate: 0, confirm: 0, misses: 0, authFailures: 0, landing: 0, admin: 0 },
  read: 100,
};

/** A server on a port, and how to look at its catalogue. */
async function listening(t: TestContext, changes: Partial<Config> = {}) {
  const given = await testApp(t, changes);
  const url = await given.app.listen({ host: '127.0.0.1', port: 0 });
  const ask = async (path: string, token: string, more: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${token}`, ...(more.headers as object) };
    const response = await fetch(`${url}/api/v1${path}`, { ...more, headers });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
  };
  const look = (token: string, headers: Record<string, string> = {}) =>
    ask('/rewards/offers', token, { headers });
  const redeem = async (token: string, offer_id: string) => {
    const response = await ask('/rewards/redemptions', token, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': `again ${Math.random()}`,
      },
      body: JSON.stringify({ offer_id }),
    });
    assert.equal(response.status, 201);
  };
  return { ...given, url, look, redeem };
}

const stockOf = (text: string) => JSON.parse(text).data[0].stock_quantity;

/** Clients that look without a pause, until `stop`; each answer must be in order. */
function crowd(look: () => Promise<{ status: number }>, clients: number) {
  let goesOn = true;
  const one = async () => {
    let count = 0;
    for (; goesOn; count += 1) assert.equal((await look()).status, 200);
    return count;
  };
  const all = Promise.all(Array.from({ length: clients }, one));
  return {
    async stop() {
      goesOn = false;
      return (await all).reduce((sum, count) => sum + count, 0);
    },
  };
}

test('who looks again gets what they got the first time, header by header', async (t) => {
  const { look, member, offer } = await listening(t, {
    corsOrigins: ['https://app.example'],
    rateLimits: { ...READS, read: 4 },
  });
  await offer({ name_friendly: 'Café "ñ" 😀' });
  const token = await member(1);
  for (const origin of [undefined, 'https://app.example']) {
    const as = await member(origin ? 2 : 1);
    const headers: Record<string, string> = origin ? { origin } : {};
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await look(as, headers));
    const [first, ...again] = answers.map(({ status, headers, text }) => {
      const { 'x-request-id': id, ratelimit, date, ...same } = Object.fromEntries(headers);
      assert.match(String(id), /^[0-9a-f-]{36}$/);
      assert.match(String(date), /GMT$/);
      return { status, text, same, left: /r=(\d+)/.exec(String(ratelimit))?.[1] };
    });
    assert.equal(first?.status, 200);
    assert.equal(first?.left, '3');
    assert.equal(first?.same['access-control-allow-origin'], origin);
    for (const [i, one] of again.entries()) {
      assert.deepEqual(one, { ...first, left: String(2 - i) });
    }
    assert.equal(new Set(answers.map((one) => one.headers.get('x-request-id'))).size, 4);
    const many = await look(as, headers);
    assert.equal(many.status, 429);
    assert.equal(many.headers.get('content-type'), 'application/problem+json; charset=utf-8');
    assert.ok(Number(many.headers.get('retry-after')) > 0);
  }
  assert.equal((await look(`${token}x`)).status, 401);
});

test('who looks again and cannot be told is told so, and counted once', async (t) => {
  const { url, connect } = await freshDatabase(t);
  const { look, member, offer } = await listening(t, { databaseUrl: url, rateLimits: READS });
  await offer();
  const token = await member(1);
  const leftOf = ({ headers }: Awaited<ReturnType<typeof look>>) =>
    Number(/r=(\d+)/.exec(String(headers.get('ratelimit')))?.[1]);
  assert.equal(leftOf(await look(token)), 99);
  assert.equal(leftOf(await look(token)), 98);
  const holder = await connect();
  await holder.query(`UPDATE rewards.redemption_offers SET description = 'new'`);
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE rewards.redemption_offers');
  const off = await look(token);
  assert.equal(off.status, 503);
  assert.equal(JSON.parse(off.text).code, 'overloaded');
  assert.ok(Number(off.headers.get('retry-after')) > 0);
  await holder.query('ROLLBACK');
  const back = await look(token);
  assert.equal(back.status, 200);
  assert.equal(leftOf(back), 96);
});

test('a 304 has what caches need, short way or long, and nothing of a content', async (t) => {
  const { look, member, offer } = await listening(t);
  await offer();
  const [token, other] = [await member(1), await member(1, { jti: 'another' })];
  const tag = String((await look(token)).headers.get('etag'));
  const [short, long] = [
    await look(token, { 'if-none-match': tag }),
    await look(other, { 'if-none-match': tag }),
  ].map(({ status, headers }) => {
    const { 'x-request-id': _, ratelimit, date, ...same } = Object.fromEntries(headers);
    return { status, ...same, 'keep-alive': undefined };
  });
  assert.deepEqual(short, long);
  assert.deepEqual(short, {
    status: 304,
    etag: tag,
    'cache-control': 'private, no-cache',
    vary: 'authorization',
    connection: 'keep-alive',
    'keep-alive': undefined,
  });
});

test('304 as long as nothing of it changes, whoever changes it', async (t) => {
  const { look, redeem, member, offer, grant, db } = await listening(t);
  const id = await offer({ stock_quantity: 1000 });
  await grant(1, 10_000);
  const token = await member(1);
  let tag = '';
  for (let round = 0; round < 20; round += 1) {
    const fresh = await look(token, tag ? { 'if-none-match': tag } : {});
    assert.equal(fresh.status, 200, `round ${round}`);
    assert.equal(stockOf(fresh.text), 1000 - round * 2);
    tag = String(fresh.headers.get('etag'));
    const same = await look(token, { 'if-none-match': `"x", W/${tag}` });
    assert.equal(same.status, 304);
    assert.equal(same.text, '');
    assert.equal(same.headers.get('etag'), tag);
    await redeem(token, id);
    const taken = await look(token, { 'if-none-match': tag });
    assert.equal(stockOf(taken.text), 999 - round * 2);
    // somebody at a shell, of whom this server hears nothing
    const text = `UPDATE rewards.redemption_offers SET stock_quantity = stock_quantity - 1`;
    await db.query({ name: '', text, values: [] });
  }
});

test('more than are answered together come at once: all are answered, in their order', async (t) => {
  const { look, member, offer, url } = await listening(t);
  await offer();
  const token = await member(1);
  const tag = (await look(token)).headers.get('etag');
  const ASKED = 60;
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
  t.after(() => socket.destroy());
  const asked = Array.from({ length: ASKED }, (_, i) => {
    const isHeld = i % 3 === 0 ? `if-none-match: ${tag}\r\n` : '';
    const head = `GET /api/v1/rewards/offers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n`;
    return `${head}${isHeld}\r\n`;
  });
  socket.write(asked.join(''));
  const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((found) => Number(found[1]));
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
    if (statuses().length === ASKED) break;
  }
  assert.deepEqual(
    statuses(),
    asked.map((_, i) => (i % 3 === 0 ? 304 : 200)),
  );
  const ids = new Set(text.match(/^x-request-id: .+$/gim));
  assert.equal(ids.size, ASKED);
});

test('in a crowd each still sees what they did, and soon what others do', async (t) => {
  const { look, redeem, member, offer, grant, db } = await listening(t);
  const id = await offer({ stock_quantity: 1000 });
  const [token, other] = [await member(1), await member(2)];
  await grant(1, 10_000);
  const looking = crowd(() => look(other), 12);
  for (let taken = 1; taken <= 30; taken += 1) {
    await redeem(token, id);
    const { text } = await look(token);
    assert.equal(stockOf(text), 1000 - taken);
    await sleep(10);
  }
  const text = 'UPDATE rewards.redemption_offers SET stock_quantity = 7';
  await db.query({ name: '', text, values: [] });
  while (stockOf((await look(token)).text) !== 7);
  assert.ok((await looking.stop()) > 100);
});

test('a glance is believed while many look, until a change is told or seen', async (t) => {
  const { db, offer } = await testApp(t);
  await offer({ stock_quantity: 5 });
  const looking = openLooking(db);
  const look = lookAt(1, { sort: 'newest', limit: 20 });
  const glance = (of = look, cameAt = performance.now()) => looking.glance(of, cameAt);
  const stock = (seen: Seen | undefined) => seen?.page.data[0]?.stock_quantity;
  /** The first stock that a glance shows of which `isWanted`, by as many looks as a crowd's. */
  const glanceUntil = async (isWanted: (stock: number) => boolean) => {
    for (;;) {
      for (let i = 0; i < 10; i += 1) {
        const found = stock(glance());
        if (typeof found === 'number' && isWanted(found)) return found;
      }
      // what is not known yet is asked for, as a request would
      await looking.read(db, [look]);
    }
  };
  assert.equal(glance(), undefined, 'nobody has asked the database');
  const [first] = await looking.read(db, [look]);
  assert.equal(stock(first), 5);
  assert.equal(glance(), undefined, 'two looks are not many');
  assert.equal(await glanceUntil(() => true), 5);
  const came = performance.now();
  while (performance.now() < came + 8); // nobody can ask the database meanwhile
  assert.equal(stock(glance(look, came)), 5, 'it waited behind others');
  assert.equal(glance(), undefined, 'the last word is too old for who comes now');
  await glanceUntil(() => true);
  looking.doubt();
  assert.equal(glance(), undefined, 'somebody was told of a change');
  await glanceUntil(() => true);
  const text = 'UPDATE rewards.redemption_offers SET stock_quantity = 3';
  await db.query({ name: '', text, values: [] });
  assert.equal(await glanceUntil((found) => found !== 5), 3);
  const stranger = { ...look, userId: 2 };
  assert.equal(glance(stranger), undefined, 'nobody has read how they stand');
  await sleep(50);
  assert.equal(glance(), undefined, 'it is quiet, so the database is asked');
});

test('offers come and go at their time, without anybody writing anything', async (t) => {
  const { look, member, offer, db } = await listening(t);
  const now = async () => {
    const text = 'SELECT clock_timestamp() AS now';
    const [row] = await db.query<{ now: string }>({ name: '', text, values: [] });
    return String(row?.now);
  };
  const at = (ms: number) => new Date(Date.now() + ms).toISOString().replace('Z', '000Z');
  const ends = at(700);
  await offer({ name_friendly: 'Ends', valid_to: ends });
  await offer({ name_friendly: 'Begins', valid_from: at(500) });
  const token = await member(1);
  const names = async () =>
    JSON.parse((await look(token)).text).data.map(
      (one: { name_friendly: string }) => one.name_friendly,
    );
  assert.deepEqual(await names(), ['Ends']);
  while (!(await names()).includes('Begins'));
  for (let isOver = false; !isOver; ) {
    await names(); // so that it is kept
    isOver = (await now()) >= ends;
    if (isOver) assert.deepEqual(await names(), ['Begins']);
  }
});

test('a token that ends, ends on the short way too', async (t) => {
  const { look } = await listening(t);
  const end = Math.floor(Date.now() / 1000) + 2;
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('1')
    .setExpirationTime(end)
    .sign(new TextEncoder().encode(JWT_SECRET));
  for (let isOver = false; !isOver; ) {
    const { status } = await look(token);
    isOver = status === 401;
    // the second in which it ends belongs to neither
    if (Date.now() < end * 1000) assert.equal(status, 200);
    if (Date.now() > end * 1000 + 1000) assert.equal(status, 401);
  }
});
