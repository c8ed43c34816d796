/** Server-sent events between two servers on one database, over real sockets. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startCluster } from '../src/db/embedded/cluster.ts';
import { migrateUp } from '../src/db/migrate.ts';
import { type TestApp, testApp } from './support/app.ts';
import {
  confirmed,
  type EventClient,
  listenOn,
  openEvents,
  redeemed,
  secondNode,
  until,
  workerOn,
} from './support/events.ts';

/** Two servers, a merchant with an offer, and members with points. */
async function shop(t: TestContext) {
  const a = await testApp(t);
  const b = await secondNode(t, a);
  const merchant = await a.merchant();
  const offer_id = await a.offer({ merchant_id: merchant.merchant_id });
  for (const user of [1, 2]) await a.grant(user, 10_000);
  return { a, b, ...merchant, offer_id };
}

async function session(t: TestContext, { config }: TestApp): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: config.databaseUrl });
  client.on('error', () => undefined);
  t.after(() => client.end().catch(() => undefined));
  await client.connect();
  return client;
}

const sql = (text: string, values: unknown[] = []) => ({ name: '', text, values });
const sequences = (client: EventClient) => client.events.map((event) => event.data.sequence);
const named = (client: EventClient) => client.events.map((event) => event.event);
const mean = (all: number[]) => Math.round(all.reduce((sum, one) => sum + one, 0) / all.length);
const told = (all: number[]) =>
  `mean ${mean(all)} ms, slowest ${Math.round(Math.max(...all))} ms of ${all.length}`;

/** Redeems and confirms on node A again and again; how long node B's clients waited, in ms. */
async function waits(t: TestContext, world: Awaited<ReturnType<typeof shop>>, times: number) {
  const { a, b, api_key, offer_id } = world;
  const counter = await openEvents(t, `${b.url}/merchant/events`, api_key);
  await counter.count(1);
  const atMember: number[] = [];
  const atCounter: number[] = [];
  for (let i = 0; i < times; i += 1) {
    const { id, token } = await redeemed(a, offer_id);
    const member = await openEvents(t, `${b.url}/rewards/redemptions/${id}/events`, token);
    await member.count(1);
    await confirmed(a, api_key, id);
    const began = performance.now();
    const [, event] = await member.count(2);
    atMember.push((event?.at as number) - began);
    await counter.count(i + 2);
    atCounter.push((counter.events.at(-1)?.at as number) - began);
    assert.equal(counter.events.at(-1)?.data.redemption_id, id);
    member.stop();
  }
  return { atMember, atCounter };
}

test('a confirm on one node reaches the clients of another', async (t) => {
  const world = await shop(t);
  const worker = await workerOn(t, world.a);
  const { atMember, atCounter } = await waits(t, world, 20);
  t.diagnostic(`notified: member ${told(atMember)}; counter ${told(atCounter)}`);
  assert.ok(Math.max(...atMember, ...atCounter) < 10_000);
  await worker.stop();
});

test('without a worker nobody notifies: each node looks by itself', async (t) => {
  const { atMember, atCounter } = await waits(t, await shop(t), 5);
  t.diagnostic(`by the net: member ${told(atMember)}; counter ${told(atCounter)}`);
  assert.ok(Math.max(...atMember, ...atCounter) < 10_000);
});

test('the dispatcher notifies once per tick, not once per event', async (t) => {
  const { a, offer_id } = await shop(t);
  const client = await session(t, a);
  const heard: number[] = [];
  client.on('notification', () => heard.push(performance.now()));
  await client.query('LISTEN lumis_events');
  const worker = await workerOn(t, a);
  const began = performance.now();
  await Promise.all(Array.from({ length: 60 }, () => redeemed(a, offer_id)));
  await until('a notification', () => heard.length > 0);
  await sleep(500);
  const ticks = Math.ceil((performance.now() - began) / 250) + 1;
  t.diagnostic(`60 events, ${heard.length} notifications in ${ticks} ticks`);
  assert.ok(heard.length <= ticks);
  await worker.stop();
});

test('LISTEN goes past the pooler, to the direct URL', async (t) => {
  const world = await shop(t);
  const { config } = world.a;
  const direct = new URL(config.databaseUrl);
  direct.searchParams.set('application_name', 'past the pooler');
  const changed = { ...world.a, config: { ...config, databaseDirectUrl: direct.href } };
  const node = await secondNode(t, changed);
  const { id, token } = await redeemed(world.a, world.offer_id);
  const asked = sql(
    `SELECT query FROM pg_stat_activity WHERE application_name = 'past the pooler'`,
  );
  assert.deepEqual(await world.a.db.query(asked), [], 'nobody watches yet');
  await openEvents(t, `${node.url}/rewards/redemptions/${id}/events`, token);
  await until('LISTEN', async () =>
    (await world.a.db.query(asked)).some((row) => row.query.startsWith('LISTEN')),
  );
});

test('a member sees what was and what comes, and goes on where the stream broke', async (t) => {
  const { a, b, api_key, offer_id } = await shop(t);
  const { id, token } = await redeemed(a, offer_id);
  const url = `${b.url}/rewards/redemptions/${id}/events`;
  const first = await openEvents(t, url, token);
  const [created] = await first.count(1);
  assert.deepEqual([created?.id, created?.event], ['1', 'redemption.created']);
  assert.equal(created?.data.redemption_status, 'pending');
  first.stop();
  await confirmed(a, api_key, id);
  const second = await openEvents(t, url, token, { 'last-event-id': '1' });
  const [done] = await second.count(1);
  assert.equal(done?.data.redemption_status, 'confirmed');
  assert.equal(done?.data.merchant_name, first.events[0]?.data.merchant_name);
  const { status } = await a.call('POST', `/merchant/redemptions/${id}/reverse`, {
    token: api_key,
    body: { reason: 'spilt' },
  });
  assert.equal(status, 200);
  const [, back] = await second.count(2);
  const { type, redemption_status, lumis_refunded, reason } = back?.data ?? {};
  assert.deepEqual(
    [type, redemption_status, lumis_refunded, reason],
    ['redemption.reversed', 'cancelled', 10, 'spilt'],
  );
  assert.ok(second.isOpen(), 'it stays open');
  for (const odd of ['', 'x', '-1', '99999999999999999999', '1.5']) {
    const whole = await openEvents(t, url, token, { 'last-event-id': odd });
    await whole.count(3);
    assert.deepEqual(sequences(whole), [1, 2, 3], `after "${odd}"`);
    whole.stop();
  }
});

/** Confirms as the verb writes it, in a transaction that stays open for a while. */
async function confirmSlowly(client: pg.Client, id: string, merchant_id: string, ms: number) {
  await client.query('BEGIN');
  await client.query(
    `UPDATE rewards.user_redemptions SET redemption_status = 'confirmed',
       validated_by_merchant_id = $2, validated_at = clock_timestamp() WHERE redemption_id = $1`,
    [id, merchant_id],
  );
  await client.query(
    `INSERT INTO lumis.events (type, redemption_id, sequence, user_id, merchant_id, offer_id)
     SELECT 'redemption.confirmed', redemption_id, 2, user_id, $2, offer_id
     FROM rewards.user_redemptions WHERE redemption_id = $1`,
    [id, merchant_id],
  );
  await sleep(ms);
  await client.query('COMMIT');
}

test('resumed again and again while commits overtake each other: no gap, no repeat', async (t) => {
  const { a, b, api_key, merchant_id, offer_id } = await shop(t);
  const slow = await Promise.all([1, 2, 3].map(() => session(t, a)));
  const made: string[] = [];
  for (let i = 0; i < 48; i += 1) made.push((await redeemed(a, offer_id, 1 + (i % 2))).id);
  const url = `${b.url}/merchant/events`;
  const clients = [await openEvents(t, url, api_key)];
  await clients[0]?.count(1);
  const all = () => clients.flatMap((one) => one.events);
  const arrived = () => all().filter((one) => one.event === 'redemption.confirmed');
  const work = slow.map(async (client, lane) => {
    for (let i = lane; i < made.length; i += 6) {
      await confirmSlowly(client, made[i] as string, merchant_id, Math.random() * 120);
    }
  });
  const quick = [3, 4, 5].map(async (lane) => {
    for (let i = lane; i < made.length; i += 6) {
      await confirmed(a, api_key, made[i] as string);
      await sleep(Math.random() * 60);
    }
  });
  let working = true;
  const finished = Promise.all([...work, ...quick]).finally(() => {
    working = false;
  });
  const deadline = Date.now() + 60_000;
  while ((working || arrived().length < made.length) && Date.now() < deadline) {
    const last = clients.at(-1) as EventClient;
    await sleep(working ? Math.random() * 150 : 1200);
    if (!working && arrived().length >= made.length) break;
    last.stop();
    await until('the cut', () => !last.isOpen());
    const id = last.lastEventId() as string;
    clients.push(await openEvents(t, url, api_key, { 'last-event-id': id }));
  }
  await finished;
  t.diagnostic(`${made.length} confirmed over ${clients.length} connections`);
  const ids = arrived().map((one) => one.data.redemption_id);
  assert.deepEqual([...ids].sort(), [...made].sort());
  const others = all().filter((one) => one.event !== 'redemption.confirmed');
  assert.deepEqual(
    others.map((one) => one.event),
    ['ready'],
  );
  assert.ok(clients.length > 5);
});

test('a place that cannot be gone on from: reset, then live', async (t) => {
  const { a, b, api_key, offer_id } = await shop(t);
  const { id } = await redeemed(a, offer_id);
  const odd = ['x', '0-0', '999999999999999999-1', '1-1', `${'9'.repeat(40)}-1`, '-', '1'];
  for (const place of odd) {
    const headers = { 'last-event-id': place };
    const client = await openEvents(t, `${b.url}/merchant/events`, api_key, headers);
    await client.count(1);
    assert.deepEqual(named(client), ['reset'], place);
    assert.match(client.lastEventId() ?? '', /^\d+-0$/);
    client.stop();
    await until('the place to be free', () => b.metrics.streams.get().then(isZero));
  }
  const client = await openEvents(t, `${b.url}/merchant/events`, api_key);
  await client.count(1);
  await confirmed(a, api_key, id);
  await client.count(2);
  assert.deepEqual(named(client), ['ready', 'redemption.confirmed']);
});

const isZero = ({ values }: { values: { value: number }[] }) => values[0]?.value === 0;

test('every connection to the database cut in mid-stream leaves no gap', async (t) => {
  const { a, b, api_key, offer_id } = await shop(t);
  const worker = await workerOn(t, a);
  const { id, token } = await redeemed(a, offer_id);
  const member = await openEvents(t, `${b.url}/rewards/redemptions/${id}/events`, token);
  const counter = await openEvents(t, `${b.url}/merchant/events`, api_key);
  await Promise.all([member.count(1), counter.count(1)]);
  const knife = await session(t, a);
  const { rows } = await knife.query(
    `SELECT pg_terminate_backend(pid) AS cut, application_name AS name FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  );
  assert.ok(rows.some(({ name }) => name === 'lumis listen'));
  t.diagnostic(`${rows.length} connections cut`);
  await until('a confirm', () =>
    confirmed(a, api_key, id).then(
      () => true,
      () => false,
    ),
  );
  const began = performance.now();
  await Promise.all([member.count(2), counter.count(2)]);
  t.diagnostic(`told ${Math.round(performance.now() - began)} ms after the confirm`);
  assert.deepEqual(sequences(member), [1, 2]);
  assert.deepEqual(named(counter), ['ready', 'redemption.confirmed']);
  await until('LISTEN again', async () => {
    const { rows } = await knife.query(
      `SELECT FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'lumis listen'`,
    );
    return rows.length === 1;
  });
  await worker.stop();
});

test('a long transaction of somebody else keeps no member waiting', async (t) => {
  const { a, b, api_key, offer_id } = await shop(t);
  const { id, token } = await redeemed(a, offer_id);
  const member = await openEvents(t, `${b.url}/rewards/redemptions/${id}/events`, token);
  const counter = await openEvents(t, `${b.url}/merchant/events`, api_key);
  await Promise.all([member.count(1), counter.count(1)]);
  const long = await session(t, a);
  await long.query('BEGIN; SELECT pg_current_xact_id()');
  await confirmed(a, api_key, id);
  await member.count(2);
  await sleep(1500);
  assert.deepEqual(named(counter), ['ready'], 'a list in order waits: it may be overtaken');
  await long.query('COMMIT');
  await counter.count(2);
});

test('the database restarts in mid-stream: the streams stay and miss nothing', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'lumis-live-'));
  const port = 32_100 + (process.pid % 600);
  const start = () => startCluster({ directory, port, durable: true });
  let cluster = await start();
  t.after(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  // the test's own hooks run before the cluster's
  await t.test('the streams', async (t) => {
    await migrateUp(cluster.url);
    const a = await testApp(t, { databaseUrl: cluster.url });
    const base = await listenOn(a.app);
    const { merchant_id, api_key } = await a.merchant();
    const offer_id = await a.offer({ merchant_id });
    await a.grant(1, 100);
    const { id, token } = await redeemed(a, offer_id);
    const member = await openEvents(t, `${base}/rewards/redemptions/${id}/events`, token);
    const counter = await openEvents(t, `${base}/merchant/events`, api_key);
    await Promise.all([member.count(1), counter.count(1)]);
    await cluster.stop();
    await sleep(2500);
    assert.ok(member.isOpen() && counter.isOpen());
    cluster = await start();
    // before the server can notice: it happens in a session of its own
    const client = await session(t, a);
    await confirmSlowly(client, id, merchant_id, 0);
    const began = performance.now();
    await Promise.all([member.count(2), counter.count(2)]);
    t.diagnostic(`told ${Math.round(performance.now() - began)} ms after the confirm`);
    assert.deepEqual(sequences(member), [1, 2]);
    assert.deepEqual(named(counter), ['ready', 'redemption.confirmed']);
  });
});
