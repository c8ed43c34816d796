/** Group commit: what arrives while a statement is under way leaves with the next one. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redeemed } from '../src/contract/redemption.ts';
import { systemCaller } from '../src/core/actor.ts';
import { type Answer, unwrap } from '../src/core/answer.ts';
import { Failure } from '../src/core/failure.ts';
import type { Database } from '../src/db/pool.ts';
import { type Group, openGroup } from '../src/group-commit/group.ts';
import { identifyClaim } from '../src/idempotency/claim.ts';
import { createOffer } from '../src/offers/save.ts';
import { type Redeem, redeem, subjectsOfRedeem } from '../src/redemptions/redeem.ts';
import { testApp } from './support/app.ts';
import { checkedDatabase } from './support/database.ts';
import { wish } from './support/wish.ts';

const ISSUING = { ttl_minutes: 60, public_url: 'https://points.example' };
const STAFF = systemCaller('test');
const GROUP_ROWS_MAX = 128;
const WAITING_MAX = 2000;
const BESIDE_MIN = 32;

/** A database with members 1 to 3000, who have 100 points, and the group of redeem on it. */
async function open(t: TestContext, max = 8) {
  const { db, connect, sql } = await checkedDatabase(t, max);
  await sql(`INSERT INTO public.fact_accumulations (user_id, quantity)
    SELECT n, 100 FROM generate_series(1, 3000) n`);
  const offer = async (stock_quantity: number | null = null, more: object = {}) => {
    const input = { name_friendly: 'Offer', lumis_cost: 10, stock_quantity, ...more };
    return (await createOffer(db, STAFF, input)).offer_id;
  };
  const sizes: number[] = [];
  const group: Group<Redeem, Answer<Redeemed>> = openGroup(
    db,
    (database, rows) => redeem(database, ISSUING, rows),
    {
      identify: identifyClaim<Redeem>,
      subjects: subjectsOfRedeem,
      onDeparture: (rows) => sizes.push(rows),
    },
  );
  return { db, sql, connect, offer, group, sizes };
}

const brief = (answers: Answer<Redeemed>[]) =>
  answers.map(({ done, refused }) => done?.redemption_status ?? refused);
const count = (words: unknown[], word: unknown) => words.filter((one) => one === word).length;

test('a second group leaves early, over the same connection, when it is as large as the first', async (t) => {
  const { db } = await open(t);
  const text = 'SELECT pg_backend_pid() AS pid, pg_sleep(0.2)';
  const sizes: number[] = [];
  const run = async (database: Database, rows: readonly number[]) => {
    const [{ pid }] = await database.query({ name: '', text, values: [] });
    return rows.map((row) => ({ row, pid }));
  };
  const group = openGroup(db, run, { onDeparture: (rows) => sizes.push(rows) });
  const answers = [1, 2, 3, 4, 5, 6].map((row) => group.submit(row));
  assert.deepEqual(sizes, [1, 1], 'the others wait');
  await answers[0];
  assert.deepEqual(sizes, [1, 1, 4]);
  const told = await Promise.all(answers);
  assert.deepEqual(
    told.map(({ row }) => row),
    [1, 2, 3, 4, 5, 6],
  );
  assert.equal(new Set(told.map(({ pid }) => pid)).size, 1);
  await group.drain();
  assert.equal(db.usage().idle, db.usage().total, 'the connection was given back');
});

test('beside a group another one leaves when many wait that are about something else', async (t) => {
  const { db } = await open(t);
  const text = 'SELECT pg_backend_pid() AS pid, pg_sleep(0.2)';
  const sizes: number[] = [];
  const run = async (database: Database, rows: readonly string[]) => {
    const [{ pid }] = await database.query({ name: '', text, values: [] });
    return rows.map((about) => ({ about, pid }));
  };
  const subjects = (about: string) => [about];
  const group = openGroup(db, run, { subjects, onDeparture: (rows) => sizes.push(rows) });
  const hot = Array.from({ length: 52 }, () => group.submit('hot'));
  const others = Array.from({ length: BESIDE_MIN - 1 }, (_, n) => group.submit(`other ${n}`));
  assert.deepEqual(sizes, [1, 1], 'too few others to leave beside');
  others.push(group.submit('other'));
  assert.deepEqual(sizes, [1, 1, BESIDE_MIN]);
  const drained = group.drain();
  const pidsOf = async (answers: Promise<{ about: string; pid: number }>[]) => [
    ...new Set((await Promise.all(answers)).map(({ pid }) => pid)),
  ];
  const [first] = await pidsOf(hot.slice(0, 2));
  const [beside, ...more] = await pidsOf(others);
  assert.notEqual(beside, first);
  assert.deepEqual(more, []);
  const told = await Promise.all([...hot, ...others]);
  assert.equal(told.filter(({ about }) => about === 'hot').length, 52);
  await drained;
  assert.deepEqual(sizes, [1, 1, BESIDE_MIN, 50], 'those that were about the same waited');
  assert.equal(db.usage().idle, db.usage().total, 'the connections were given back');
});

test('two lanes have no offer and no member in common, and limits hold', async (t) => {
  const { db, offer } = await open(t);
  const underWay = new Map<Database, string[][]>();
  const shared: string[] = [];
  const run = async (database: Database, rows: readonly Redeem[]) => {
    const own = rows.flatMap(subjectsOfRedeem);
    const others = [...underWay].flatMap(([lane, groups]) => (lane === database ? [] : groups));
    shared.push(...own.filter((about) => others.some((other) => other.includes(about))));
    const groups = underWay.get(database) ?? [];
    underWay.set(database, groups);
    groups.push(own);
    const answers = await redeem(database, ISSUING, rows);
    groups.splice(groups.indexOf(own), 1);
    return answers;
  };
  const group = openGroup(db, run, {
    identify: identifyClaim<Redeem>,
    subjects: subjectsOfRedeem,
  });
  const offers: string[] = [];
  for (let n = 0; n < 5; n += 1) offers.push(await offer(null, { max_redemptions_per_user: 1 }));
  const members = Array.from({ length: 100 }, (_, i) => i + 1);
  const wishes = members.flatMap((id) =>
    [...offers, ...offers].map((offerId, n) =>
      wish(id, n % 2 ? offerId : offerId.toUpperCase(), `${id} ${n}`),
    ),
  );
  const answers = await Promise.all(wishes.map((one) => group.submit(one)));
  assert.equal(count(brief(answers), 'pending'), 500);
  assert.equal(count(brief(answers), 'limit_member'), 500);
  assert.deepEqual(shared, []);
  assert.equal(underWay.size, 2, 'both lanes were used, and no row had to go alone');
});

test('a unit that comes back while a statement begins is sold, and not by its older view', async (t) => {
  const { db, offer, connect } = await open(t);
  const offerId = await offer(1);
  const other = await connect();
  for (let i = 1; i <= 40; i += 1) {
    const wishes = [wish(2 * i, offerId, `a ${i}`), wish(2 * i + 1, offerId, `b ${i}`)];
    const [answers] = await Promise.all([
      redeem(db, ISSUING, wishes),
      other.query('UPDATE rewards.redemption_offers SET stock_quantity = 5 WHERE offer_id = $1', [
        offerId,
      ]),
    ]);
    for (const { done, refused } of answers) assert.ok(done || refused === 'out_of_stock');
    await other.query('UPDATE rewards.redemption_offers SET stock_quantity = 1');
  }
});

test('one leaves at once and alone; what comes meanwhile leaves together, in bounded groups', async (t) => {
  const { offer, group, sizes } = await open(t);
  const offerId = await offer(350);
  assert.ok(unwrap(await group.submit(wish(3000, offerId))));
  assert.deepEqual(sizes, [1]);
  const members = Array.from({ length: 400 }, (_, i) => i + 1);
  const answers = await Promise.all(members.map((id) => group.submit(wish(id, offerId))));
  assert.equal(count(brief(answers), 'pending'), 349);
  assert.equal(count(brief(answers), 'out_of_stock'), 51);
  assert.ok(Math.max(...sizes) <= GROUP_ROWS_MAX, String(sizes));
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    401,
  );
  assert.ok(sizes.length < 12, `400 that came at once left in ${sizes.length - 1} groups`);
  // the stock went to the first that came
  assert.ok(
    brief(answers)
      .slice(0, 100)
      .every((word) => word === 'pending'),
  );
});

test('a request that is repeated meanwhile shares one answer; another one under its key is told', async (t) => {
  const { offer, group, sql, sizes } = await open(t);
  const [mine, other] = [await offer(), await offer()];
  const [first, again, another] = await Promise.all([
    group.submit(wish(1, mine, 'a key')),
    group.submit(wish(1, mine, 'a key')),
    group.submit(wish(1, other, 'a key')),
  ]);
  assert.equal(again, first);
  assert.equal(unwrap(first as Answer<Redeemed>).redemption_status, 'pending');
  assert.equal(another?.refused, 'idempotency_key_reused');
  assert.deepEqual(sizes, [1, 1]);
  assert.equal((await sql('SELECT FROM rewards.user_redemptions')).length, 1);
  // and later the stored answer is given again
  const later = await group.submit(wish(1, mine, 'a key'));
  assert.deepEqual(later, first);
});

test('a row that cannot be decided fails alone', async (t) => {
  const { offer, group, sizes } = await open(t);
  const offerId = await offer();
  const wishes = Array.from({ length: 40 }, (_, i) => wish(i + 1, offerId));
  const poison = { ...wish(41, offerId), user_id: 3_000_000_000 };
  wishes.splice(20, 0, poison);
  const settled = await Promise.allSettled(wishes.map((one) => group.submit(one)));
  const failed = settled.flatMap((one, i) => (one.status === 'rejected' ? [[i, one.reason]] : []));
  assert.deepEqual(
    failed.map(([i]) => i),
    [20],
  );
  assert.ok(failed[0]?.[1] instanceof Failure);
  assert.equal(failed[0]?.[1].code, 'invalid_request');
  assert.ok(
    sizes.some((size) => size > 20),
    'there was a group',
  );
  await group.drain();
});

test('a lock held for long: those who need it are told, the others are served', async (t) => {
  const { offer, group, connect } = await open(t);
  const offerId = await offer();
  const holder = await connect();
  await holder.query('BEGIN; SELECT FROM lumis.balances WHERE user_id = 7 FOR UPDATE');
  const members = Array.from({ length: 60 }, (_, i) => i + 1);
  const order: number[] = [];
  const settled = await Promise.allSettled(
    members.map((id) => group.submit(wish(id, offerId)).finally(() => order.push(id))),
  );
  const failed = settled.flatMap((one, i) => (one.status === 'rejected' ? [members[i]] : []));
  assert.deepEqual(failed, [7]);
  assert.equal(order.at(-1), 7, 'the others did not wait for it');
  await holder.query('ROLLBACK');
  assert.ok(unwrap(await group.submit(wish(7, offerId))));
});

test('too many that wait are told to come back, and those who wait are served', async (t) => {
  const { offer, group, connect, sql } = await open(t);
  const offerId = await offer();
  const holder = await connect();
  await holder.query(`BEGIN; SELECT FROM rewards.redemption_offers
    WHERE offer_id = '${offerId}' FOR UPDATE`);
  const members = Array.from({ length: 3000 }, (_, i) => i + 1);
  const settling = Promise.allSettled(members.map((id) => group.submit(wish(id, offerId))));
  let drained = false;
  const draining = group.drain().then(() => {
    drained = true;
  });
  await sleep(100);
  assert.equal(drained, false);
  await holder.query('ROLLBACK');
  const settled = await settling;
  await draining;
  const refused = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  assert.ok(
    refused.every(({ code, retryAfterSeconds }) => code === 'overloaded' && retryAfterSeconds),
  );
  const served = settled.length - refused.length;
  assert.ok(served >= WAITING_MAX && served <= WAITING_MAX + 2 * GROUP_ROWS_MAX, String(served));
  assert.equal((await sql('SELECT FROM rewards.user_redemptions')).length, served);
});

test('without the database all are told at once, and once it is back all goes on', async (t) => {
  const { offer, group, connect } = await open(t, 3);
  const offerId = await offer();
  const members = Array.from({ length: 200 }, (_, i) => i + 1);
  const settling = Promise.allSettled(members.map((id) => group.submit(wish(id, offerId))));
  const killer = await connect();
  await killer.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()`);
  const settled = await settling;
  const failed = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
  assert.ok(
    failed.every((code) => code === 'overloaded'),
    String(failed),
  );
  // everybody asks again, with the same key, until there is an answer: one effect each
  const insist = async (id: number): Promise<Answer<Redeemed>> =>
    group.submit(wish(id, offerId)).catch(() => sleep(20).then(() => insist(id)));
  const answers = await Promise.all(members.map(insist));
  assert.equal(count(brief(answers), 'pending'), 200);
});

test('two nodes, one offer and a merchant: each code once, its points once, no deadlock', async (t) => {
  const one = await testApp(t);
  const two = await testApp(t, { databaseUrl: one.config.databaseUrl });
  const nodes = [one, two];
  const { merchant_id, api_key } = await one.merchant();
  const offers = await Promise.all(
    [40, 200, null].map((stock_quantity) => one.offer({ stock_quantity, merchant_id })),
  );
  const members = Array.from({ length: 60 }, (_, i) => i + 1);
  for (const id of members) await one.grant(id, 100);
  const tokens = await Promise.all(members.map((id) => one.member(id)));
  const replies = await Promise.all(
    tokens.flatMap((token, i) =>
      offers.map((offer_id, j) =>
        nodes[(i + j) % 2]?.call('POST', '/rewards/redemptions', { token, body: { offer_id } }),
      ),
    ),
  );
  const made = replies.flatMap((reply) => (reply?.status === 201 ? [reply.body] : []));
  assert.equal(made.length, 160);
  assert.ok(replies.every((reply) => reply?.status === 201 || reply?.body.code === 'out_of_stock'));
  // every code on both nodes at once: one is told "confirmed", the other when that was
  const words = await Promise.all(
    made.flatMap(({ redemption_id }) =>
      nodes.map((node) =>
        node.call('POST', `/merchant/redemptions/${redemption_id}/confirm`, { token: api_key }),
      ),
    ),
  );
  assert.equal(words.filter(({ status }) => status === 200).length, 160);
  const late = words.filter(({ status }) => status === 409);
  assert.equal(late.length, 160);
  assert.ok(late.every(({ body }) => body.code === 'already_redeemed' && body.redeemed_at));
  const metrics = await one.app.inject('/metrics');
  assert.match(metrics.body, /lumis_group_rows_count\{verb="redeem"\} [1-9]/);
});
