/** The verbs as they are called with many rows at once, and what the database guards by itself. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OfferInput } from '../src/contract/offer.ts';
import { type Actor, changedBy, type MerchantCredential, systemCaller } from '../src/core/actor.ts';
import { Failure } from '../src/core/failure.ts';
import { claim } from '../src/idempotency/claim.ts';
import { adjust } from '../src/ledger/adjust.ts';
import { balanceOf } from '../src/ledger/balance.ts';
import { createOffer, updateOffer } from '../src/offers/save.ts';
import { cancel } from '../src/redemptions/cancel.ts';
import { confirm } from '../src/redemptions/confirm.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { reverse } from '../src/redemptions/reverse.ts';
import { validate } from '../src/redemptions/validate.ts';
import { checkedDatabase } from './support/database.ts';

const ISSUING = { ttl_minutes: 60, public_url: 'https://points.example' };
const STAFF = systemCaller('test');
const MOVE = `UPDATE rewards.user_redemptions
  SET code_expires_at = clock_timestamp() + $2::interval WHERE redemption_id = $1`;
const HOLD = 'SELECT FROM rewards.user_redemptions WHERE';
const NOBODY = '00000000-0000-4000-8000-000000000000';
/** What refuses whom it makes wait must have waited about this long. */
const LOCK_TIMEOUT_MS = 2000;

let serial = 0;

/** A database of its own; all invariants must hold at the end. */
async function open(t: TestContext) {
  // `session`: one of its own, to hold locks or to be somebody with psql
  const { db, connect: session, sql } = await checkedDatabase(t);
  const offer = async (input: Partial<OfferInput> = {}) => {
    const named = { name_friendly: `Offer ${++serial}`, lumis_cost: 10, ...input };
    return (await createOffer(db, STAFF, named)).offer_id;
  };
  /** a merchant with a proven key */
  const merchant = async () => {
    const text = `INSERT INTO rewards.merchants (merchant_name, api_key_hash)
      VALUES ($1, 'proven') RETURNING merchant_id, api_key_hash AS proven_hash, null AS key_id`;
    return (await sql(text, `Merchant ${++serial}`))[0] as MerchantCredential;
  };
  /** what another system books */
  const book = (userId: number, quantity: number) =>
    sql(
      'INSERT INTO public.fact_accumulations (user_id, quantity) VALUES ($1, $2)',
      userId,
      quantity,
    );
  const balance = async (userId: number) => (await balanceOf(db, userId)).balance;
  /** a redemption of a member with enough points */
  const issued = async (offerId: string, userId = 1000 + ++serial) => {
    await book(userId, 1000);
    const [answer] = await redeem(db, ISSUING, [wish(userId, offerId)]);
    assert.ok(answer?.done, JSON.stringify(answer));
    const { redemption_id: id, redemption_code: code = '' } = answer.done;
    return { id, code, member: userId };
  };
  /** the audit log's actions, with their actors */
  const trail = async (redemptionId: string): Promise<string[]> => {
    const text = `SELECT concat_ws(' ', action, actor_type, actor_id) AS line
      FROM rewards.redemption_audit_log WHERE redemption_id = $1 ORDER BY log_id`;
    return (await sql(text, redemptionId)).map(({ line }) => line);
  };
  /** the code expires so much later than now, or earlier */
  const expires = (id: string, later: string) => sql(MOVE, id, later);
  /** units left and held */
  const stock = async (offerId: string) => {
    const text = `SELECT ARRAY[stock_quantity, stock_held] AS units
      FROM rewards.redemption_offers WHERE offer_id = $1`;
    return (await sql(text, offerId))[0].units;
  };
  const order = (...rows: Parameters<typeof redeem>[2]) => redeem(db, ISSUING, rows);
  return { db, session, sql, offer, merchant, book, balance, issued, trail, expires, stock, order };
}

type Bench = Awaited<ReturnType<typeof open>>;

/** A row for a verb: claim, input and actor. */
function row<I extends object>(actor: Actor, operation: string, input: I, key?: string) {
  const by = changedBy({ actor, ip: '203.0.113.7', agent: 'test', request_id: 'request' });
  return { ...claim(actor, key ?? `key ${++serial}`, operation, input), ...input, changed_by: by };
}
const member = (user_id: number): Actor => ({ type: 'user', id: String(user_id) });
const wish = (user_id: number, offer_id: string, key?: string) =>
  row(member(user_id), 'redeem', { user_id, offer_id }, key);
const undo = (user_id: number, redemption_id: string) =>
  row(member(user_id), 'cancel', { redemption_id, user_id, reason: null });
const entry = (user_id: number, quantity: number, key?: string) =>
  row({ type: 'admin', id: '1' }, 'adjust', { user_id, quantity, reason: 'test' }, key);

const word = (by: MerchantCredential, redemption_id: string, key?: string) => ({
  ...by,
  ...row({ type: 'merchant', id: by.merchant_id }, 'confirm', { redemption_id }, key),
});
const regret = (by: MerchantCredential, redemption_id: string, restock = true, key?: string) => {
  const input = { redemption_id, restock, reason: 'a mistake' };
  return { ...by, ...row({ type: 'merchant', id: by.merchant_id }, 'reverse', input, key) };
};
const scan = (by: MerchantCredential, scanned: string) => ({
  ...by,
  scanned,
  changed_by: STAFF.actor,
});

/** Answers in short: what was refused, or the value of `field` of what was done. */
function brief(answers: readonly unknown[], field = 'redemption_status'): unknown[] {
  return (answers as { refused?: string; done?: Record<string, unknown> }[]).map(
    ({ refused, done }) => refused ?? done?.[field],
  );
}

test('redeem: a member cannot spend in one batch what is not there in all', async (t) => {
  const bench = await open(t);
  const offers = await Promise.all([bench.offer(), bench.offer(), bench.offer()]);
  await bench.book(1, 25);
  const answers = await bench.order(...offers.map((offer) => wish(1, offer)));
  assert.deepEqual(brief(answers, 'balance'), [15, 5, 'insufficient_points']);
  assert.deepEqual(answers[2]?.data, { missing_lumis: 5 });
  assert.equal(await bench.balance(1), 5);
});

test('redeem: stock and member limit count within one batch, also a large one', async (t) => {
  const bench = await open(t);
  const scarce = await bench.offer({ stock_quantity: 300 });
  const limited = await bench.offer({ max_redemptions_per_user: 2 });
  const crowd = Array.from({ length: 500 }, (_, i) => i + 1);
  const grant = 'INSERT INTO public.fact_accumulations (user_id, quantity) SELECT u, 100';
  await bench.sql(`${grant} FROM unnest($1::integer[]) u`, crowd);
  const answers = await bench.order(
    ...crowd.map((member) => wish(member, scarce)),
    ...[1, 1, 1, 2].map((member) => wish(member, limited)),
  );
  assert.deepEqual(brief(answers), [
    ...crowd.map((member) => (member <= 300 ? 'pending' : 'out_of_stock')),
    ...['pending', 'pending', 'limit_member', 'pending'],
  ]);
  assert.deepEqual(
    [await bench.stock(scarce), await bench.stock(limited)],
    [
      [0, 300],
      [null, 3],
    ],
  );
});

test('redeem: a row that loses the last unit costs its member nothing', async (t) => {
  const bench = await open(t);
  const last = await bench.offer({ stock_quantity: 1 });
  const plenty = await bench.offer();
  for (const member of [1, 2, 3]) await bench.book(member, member === 3 ? 30 : 10);
  const rows = [wish(1, last), wish(2, last), wish(2, plenty), wish(3, last), wish(3, plenty)];
  const answers = await bench.order(...rows);
  assert.deepEqual(brief(answers, 'balance'), [0, 'out_of_stock', 0, 'out_of_stock', 20]);
  assert.deepEqual([await bench.balance(2), await bench.balance(3)], [0, 20]);
});

test('redeem: each of many reasons at once, in the order they are told', async (t) => {
  const bench = await open(t);
  const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const closed = { stock_quantity: 0, lumis_cost: 5000 };
  const offers = await Promise.all([
    bench.offer({ ...closed, is_active: false, valid_from: day(1) }),
    bench.offer({ ...closed, valid_from: day(1) }),
    bench.offer({ ...closed, valid_to: day(-1) }),
    bench.offer(closed),
    bench.offer({ lumis_cost: 5000 }),
  ]);
  await bench.book(1, 100);
  const rows = [...offers, NOBODY].map((offer) => wish(1, offer));
  assert.deepEqual(brief(await bench.order(...rows)), [
    ...['offer_inactive', 'offer_not_started', 'offer_ended', 'out_of_stock'],
    ...['insufficient_points', 'unknown_offer'],
  ]);
  assert.deepEqual(await bench.order(), []);
});

test('one redemption several times in a batch: one wins, the others are told', async (t) => {
  const bench = await open(t);
  const [a, b] = [await bench.merchant(), await bench.merchant()];
  const offer = await bench.offer({ stock_quantity: 2 });
  const [one, other] = [await bench.issued(offer), await bench.issued(offer)];
  const confirmed = await confirm(bench.db, [word(a, one.id), word(a, one.id), word(b, one.id)]);
  assert.deepEqual(brief(confirmed), ['confirmed', 'already_redeemed', 'already_redeemed']);
  const [first, again, foreign] = confirmed;
  assert.equal(again?.data?.redeemed_at, first?.done?.validated_at);
  assert.equal(foreign?.data?.redeemed_at, undefined, 'the time is for the owner alone');
  const reversed = await reverse(bench.db, [regret(a, one.id), regret(a, one.id, false)]);
  assert.deepEqual(brief(reversed, 'restocked'), [true, 'reversed']);
  const [own, foul] = [() => undo(other.member, other.id), undo(7, other.id)];
  const cancelled = await cancel(bench.db, [own(), own(), foul]);
  assert.deepEqual(brief(cancelled, 'balance'), [1000, 'cancelled', 'not_found']);
  assert.deepEqual(await bench.stock(offer), [2, 0]);
});

test('cancel: the balance told adds up over the batch', async (t) => {
  const bench = await open(t);
  const offer = await bench.offer();
  const three = await Promise.all([5, 5, 5].map((member) => bench.issued(offer, member)));
  await bench.expires(three[2]?.id ?? '', '-1 second');
  const rows = three.map(({ id }) => undo(5, id));
  const answers = await cancel(bench.db, rows);
  assert.deepEqual(brief(answers, 'balance'), [2990, 3000, 'expired']);
});

test('adjust: a refused entry leaves the next ones as if it had not been', async (t) => {
  const bench = await open(t);
  const rows = [entry(1, -50), entry(1, 20), entry(1, -20), entry(2, 5), entry(1, -1)];
  const answers = await adjust(bench.db, rows);
  const missing = 'insufficient_points';
  assert.deepEqual(brief(answers, 'balance'), [missing, 20, 0, 5, missing]);
  assert.equal(answers[0]?.data?.missing_lumis, 50);
});

test('adjust: two first entries of a member at once do not overlook each other', async (t) => {
  const bench = await open(t);
  const both = await Promise.all([
    adjust(bench.db, [entry(1, 5)]),
    adjust(bench.db, [entry(1, 10)]),
  ]);
  const told = both.flatMap((answers) => brief(answers, 'balance'));
  assert.equal(Math.max(...told.map(Number)), 15);
});

test('replayed, fresh and reused keys in one batch', async (t) => {
  const bench = await open(t);
  const [offer, another] = [await bench.offer(), await bench.offer()];
  await bench.book(1, 100);
  const [first] = await bench.order(wish(1, offer, 'a'));
  const rows = [wish(1, another, 'a'), wish(1, offer, 'b'), wish(2, offer, 'a')];
  assert.deepEqual(brief(await bench.order(...rows)), [
    'idempotency_key_reused',
    'pending',
    'insufficient_points',
  ]);
  const again = await bench.order(wish(1, offer, 'c'), wish(1, offer, 'a'));
  assert.deepEqual(again[1], first);
  assert.equal(await bench.balance(1), 70);
});

test('a refusal is kept under its key; what is no word of the domain is not', async (t) => {
  const bench = await open(t);
  const merchant = await bench.merchant();
  const offer = await bench.offer();
  const refused = await bench.order(wish(1, offer, 'a'));
  await bench.book(1, 100);
  assert.deepEqual(await bench.order(wish(1, offer, 'a')), refused);
  assert.deepEqual(brief(await bench.order(wish(1, offer, 'b'))), ['pending']);
  const { id } = await bench.issued(offer);
  const stranger = { ...merchant, proven_hash: 'changed since' };
  assert.deepEqual(brief(await confirm(bench.db, [word(stranger, id, 'k')])), ['unauthorized']);
  const early = await reverse(bench.db, [regret(merchant, id, true, 'r')]);
  assert.deepEqual(brief(early), ['invalid_request']);
  assert.deepEqual(brief(await confirm(bench.db, [word(merchant, id, 'k')])), ['confirmed']);
  const late = await reverse(bench.db, [regret(merchant, id, true, 'r')]);
  assert.deepEqual(brief(late), ['cancelled']);
});

/** Does `work` while another session holds the lock of `statement`; what it failed with. */
async function heldBy(bench: Bench, statement: string, work: () => Promise<unknown>) {
  const other = await bench.session();
  await other.query('BEGIN');
  await other.query(statement);
  const began = performance.now();
  const failure = await work().catch((error: Failure) => error);
  const waited = performance.now() - began;
  await other.query('ROLLBACK');
  assert.ok(waited > LOCK_TIMEOUT_MS - 100 && waited < LOCK_TIMEOUT_MS + 3000, `${waited} ms`);
  assert.ok(failure instanceof Failure);
  return failure;
}

test('a lock held too long: the caller may try again, with the same key', async (t) => {
  const bench = await open(t);
  const { db } = bench;
  const merchant = await bench.merchant();
  const offer = await bench.offer({ stock_quantity: 9 });
  const { id } = await bench.issued(offer, 1);
  await bench.book(2, 100);
  const key = `INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint)
    VALUES ('user', '2', 'held', '\\x00')`;
  const balance = 'SELECT FROM lumis.balances WHERE user_id = 1 FOR UPDATE';
  const redemption = `${HOLD} redemption_id = '${id}' FOR UPDATE`;
  const held = wish(2, offer, 'held');
  const failures = await Promise.all([
    heldBy(bench, key, () => bench.order(held)),
    heldBy(bench, balance, () => bench.order(wish(1, offer, 'waits'))),
    heldBy(bench, redemption, () => confirm(db, [word(merchant, id, 'waits')])),
  ]);
  const codes = failures.map((failure) => failure.code);
  assert.deepEqual(codes, ['idempotency_in_progress', 'overloaded', 'overloaded']);
  assert.equal(failures[1]?.retryAfterSeconds, 1);
  const kept = "SELECT FROM lumis.idempotency_keys WHERE key IN ('held', 'waits')";
  assert.equal((await bench.sql(kept)).length, 0);
  const later = await bench.order(held, wish(1, offer, 'waits'));
  assert.deepEqual(brief(later), ['pending', 'pending']);
  assert.deepEqual(brief(await confirm(db, [word(merchant, id, 'waits')])), ['confirmed']);
});

const refusedWith = (code: string) => (error: { cause?: { code?: string } }) =>
  error.cause?.code === code;

test('ledger entries cannot be changed, and nobody spends below zero', async (t) => {
  const { sql, ...bench } = await open(t);
  await bench.book(1, 10);
  for (const change of ['UPDATE', 'DELETE FROM', 'TRUNCATE']) {
    const tail = change === 'UPDATE' ? ' SET quantity = 1' : '';
    await assert.rejects(sql(`${change} public.fact_accumulations${tail}`), refusedWith('LM002'));
  }
  const book = `INSERT INTO public.fact_accumulations
    (user_id, quantity, kind, redemption_id, dtype) VALUES (1, $1, $2, $3, $4)`;
  const spend = sql(book, -11, 'spend', NOBODY, 'points');
  await assert.rejects(spend, { code: 'insufficient_points' });
  await assert.rejects(sql(book, 5, 'spend', NOBODY, 'points'), refusedWith('23514'));
  await assert.rejects(sql(book, 5, 'refund', null, 'points'), refusedWith('23514'));
  await assert.rejects(sql(book, 'NaN', null, null, 'points'), refusedWith('23514'));
  assert.equal(await bench.balance(1), 10);
  // what another system takes is its own affair, and what is not points moves nothing
  await sql(book, -12, null, null, 'points');
  await sql(book, 500, null, null, 'miles');
  assert.equal(await bench.balance(1), -2);
});

test('only the transitions there are, and what was agreed stays', async (t) => {
  const bench = await open(t);
  const merchant = await bench.merchant();
  const offer = await bench.offer();
  const [held, used, gone] = await Promise.all([1, 2, 3].map(() => bench.issued(offer)));
  assert.ok(held && used && gone);
  await confirm(bench.db, [word(merchant, used.id)]);
  await cancel(bench.db, [undo(gone.member, gone.id)]);
  const set = (id: string, change: string) =>
    bench.sql(`UPDATE rewards.user_redemptions SET ${change} WHERE redemption_id = $1`, id);
  const status = (name: string) => `redemption_status = '${name}'`;
  const illegal = {
    [used.id]: ['pending', 'expired', 'cancelled'].map(status),
    [gone.id]: ['pending', 'expired', 'confirmed'].map(status),
    [held.id]: ['lumis_spent = 1', 'user_id = 7', "redemption_code = 'mine'"],
  };
  for (const [id, changes] of Object.entries(illegal)) {
    for (const change of changes) await assert.rejects(set(id, change), refusedWith('LM001'));
  }
  await assert.rejects(set(held.id, status('lost')), refusedWith('23514'));
  await set(held.id, "code_expires_at = now() + interval '1 year'");
  assert.deepEqual(await bench.trail(held.id), [`created user ${held.member}`]);
});

test('who changes rows by hand is audited by the name of the session, also a DELETE', async (t) => {
  const bench = await open(t);
  const { id, member } = await bench.issued(await bench.offer());
  const psql = await bench.session();
  const { rows } = await psql.query(
    `WITH gone AS (
      UPDATE rewards.user_redemptions SET redemption_status = 'cancelled', closed_at = now()
      WHERE redemption_id = '${id}' RETURNING *
    ), back AS (
      INSERT INTO public.fact_accumulations (user_id, quantity, kind, redemption_id)
      SELECT user_id, lumis_spent, 'refund', redemption_id FROM gone
    ), free AS (UPDATE rewards.redemption_offers SET stock_held = 0)
    INSERT INTO lumis.events (type, redemption_id, sequence)
    VALUES ('redemption.cancelled', '${id}', 2) RETURNING session_user AS me`,
  );
  await psql.query('DELETE FROM rewards.user_redemptions');
  const lines = ['cancelled', 'deleted'].map((action) => `${action} system ${rows[0].me}`);
  assert.deepEqual(await bench.trail(id), [`created user ${member}`, ...lines]);
  const entries = await bench.sql(
    `SELECT array_to_json(ARRAY[host(ip_address), user_agent, request_id]) AS by
     FROM rewards.redemption_audit_log ORDER BY log_id`,
  );
  const unnamed = { by: [null, null, null] };
  assert.deepEqual(entries, [{ by: ['203.0.113.7', 'test', 'request'] }, unnamed, unnamed]);
});

test('fractions and debts of older systems: only whole points above zero are spent', async (t) => {
  const bench = await open(t);
  const [ten, eleven] = [await bench.offer(), await bench.offer({ lumis_cost: 11 })];
  await bench.book(1, 10.5);
  await bench.book(2, -30);
  const [tooDear] = await bench.order(wish(1, eleven));
  assert.deepEqual(tooDear, { refused: 'insufficient_points', data: { missing_lumis: 1 } });
  const [spent, debtor] = await bench.order(wish(1, ten), wish(2, ten));
  assert.equal(spent?.done?.balance, 0.5);
  assert.deepEqual(debtor, { refused: 'insufficient_points', data: { missing_lumis: 40 } });
  assert.deepEqual(await adjust(bench.db, [entry(1, -1)]), [tooDear]);
  const paid = await adjust(bench.db, [entry(2, 29), entry(2, 11)]);
  assert.deepEqual(brief(paid, 'balance'), [-1, 10]);
  assert.deepEqual(brief(await bench.order(wish(2, ten)), 'balance'), [0]);
});

test('an issued code keeps the terms it was issued with', async (t) => {
  const bench = await open(t);
  const [owner, rival] = [await bench.merchant(), await bench.merchant()];
  const terms = { merchant_id: owner.merchant_id, code_ttl_minutes: 5, stock_quantity: 2 };
  const offer = await bench.offer({ ...terms, on_expiry: 'forfeit' });
  await bench.issued(await bench.offer());
  const [one, two] = [await bench.issued(offer, 1), await bench.issued(offer, 1)];
  await updateOffer(bench.db, STAFF, offer, {
    ...{ lumis_cost: 99, merchant_id: rival.merchant_id, name_friendly: 'Other', is_active: false },
    ...{ code_ttl_minutes: 9, on_expiry: 'refund', valid_to: '2020-01-01T00:00:00Z' },
  });
  const ttl = await bench.sql(
    `SELECT extract(epoch FROM code_expires_at - created_at)::integer / 60 AS minutes
     FROM rewards.user_redemptions WHERE redemption_id <> $1 ORDER BY 1`,
    two.id,
  );
  assert.deepEqual(ttl, [{ minutes: 5 }, { minutes: ISSUING.ttl_minutes }]);
  assert.deepEqual(brief(await confirm(bench.db, [word(rival, one.id)])), ['unknown_code']);
  const [seen] = await validate(bench.db, [scan(owner, one.code)]);
  assert.match(seen?.done?.offer_name ?? '', /^Offer/);
  assert.deepEqual(brief(await confirm(bench.db, [word(owner, one.id)]), 'lumis_spent'), [10]);
  await bench.expires(two.id, '-1 second');
  assert.deepEqual(brief(await cancel(bench.db, [undo(1, two.id)])), ['expired']);
  assert.equal(await bench.balance(1), 1980, 'its points are forfeited');
  assert.deepEqual(await bench.stock(offer), [1, 1]);
  const text = "SELECT payload->'lumis_refunded' AS back FROM lumis.events WHERE type ~ 'expired'";
  assert.deepEqual(await bench.sql(text), [{ back: 0 }]);
});

test('expiry is judged by the clock after the lock was granted', async (t) => {
  const bench = await open(t);
  const merchant = await bench.merchant();
  const offer = await bench.offer();
  const [late, saved] = [await bench.issued(offer), await bench.issued(offer)];
  const support = await bench.session();
  await bench.expires(saved.id, '-1 second');
  await bench.expires(late.id, '300 milliseconds');
  await support.query('BEGIN');
  await support.query(MOVE, [saved.id, '1 hour']);
  await support.query(`${HOLD} redemption_id = '${late.id}' FOR UPDATE`);
  const waiting = [late, saved].map(({ id }) => confirm(bench.db, [word(merchant, id)]));
  await sleep(600);
  await support.query('COMMIT');
  assert.deepEqual(brief((await Promise.all(waiting)).flat()), ['expired', 'confirmed']);
  assert.equal(await bench.balance(late.member), 1000);
});

test('validate: any way to write a code; what is due is booked on sight', async (t) => {
  const bench = await open(t);
  const [owner, rival] = [await bench.merchant(), await bench.merchant()];
  const offer = await bench.offer({ merchant_id: owner.merchant_id });
  const [one, due] = [await bench.issued(offer), await bench.issued(offer)];
  await bench.expires(due.id, '-1 second');
  const url = (await bench.sql('SELECT qr_landing_url FROM rewards.user_redemptions'))[0];
  const bare = one.code.slice(5).replaceAll('-', '').toLowerCase();
  const forms = [one.code, ` ${bare} `, `${url.qr_landing_url}x`, 'LUMS-0000'];
  const answers = await validate(bench.db, [
    ...forms.map((form) => scan(owner, form)),
    ...[scan(rival, one.code), scan(rival, due.code), scan(owner, due.code)],
  ]);
  const unknown = ['unknown_code', 'unknown_code'];
  assert.deepEqual(brief(answers), ['pending', 'pending', ...unknown, ...unknown, 'expired']);
  assert.equal((await bench.trail(one.id)).length, 3, 'two looks');
  assert.equal((await bench.trail(due.id)).at(-1)?.split(' ')[0], 'expired');
});

test('the expiry function: 10,000 at a time, the oldest first, waiting for nobody', async (t) => {
  const bench = await open(t);
  const offer = await bench.offer();
  await bench.sql(
    `WITH made AS (
      INSERT INTO rewards.user_redemptions (user_id, offer_id, lumis_spent, redemption_code,
        code_expires_at)
      SELECT n % 97, $1, 10, 'import ' || n, now() - n * interval '1 millisecond'
      FROM generate_series(1, $2::integer) n RETURNING *
    ), held AS (UPDATE rewards.redemption_offers SET stock_held = $2 WHERE offer_id = $1),
    event AS (INSERT INTO lumis.events (type, redemption_id, sequence)
      SELECT 'redemption.created', redemption_id, 1 FROM made)
    INSERT INTO public.fact_accumulations (user_id, quantity, kind, redemption_id)
    SELECT user_id, 10, NULL, NULL FROM made UNION ALL
    SELECT user_id, -10, 'spend', redemption_id FROM made`,
    offer,
    10_005,
  );
  const cashier = await bench.session();
  await cashier.query('BEGIN');
  await cashier.query(`${HOLD} redemption_code = 'import 10005' FOR UPDATE`);
  const sweep = async () => (await bench.sql('SELECT rewards.expire_old_redemptions() AS n'))[0].n;
  assert.equal(await sweep(), 10_000);
  const rest = `SELECT redemption_code AS code FROM rewards.user_redemptions
    WHERE redemption_status = 'pending' ORDER BY code_expires_at`;
  const codes = (await bench.sql(rest)).map(({ code }) => code);
  assert.deepEqual(codes, ['import 10005', 'import 4', 'import 3', 'import 2', 'import 1']);
  assert.deepEqual([await sweep(), await sweep()], [4, 0]);
  await cashier.query('ROLLBACK');
  assert.deepEqual([await sweep(), await sweep()], [1, 0]);
  assert.deepEqual(await bench.stock(offer), [null, 0]);
});
