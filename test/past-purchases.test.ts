/** What a database that was taken over may hold, as members and administrators are shown it. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type TestApp, testApp } from './support/app.ts';

const sql = (api: TestApp, text: string, ...values: unknown[]) =>
  api.db.query({ name: '', text, values });

interface Purchase {
  id: number;
  user_id: number | null;
  offer_id?: string;
  offer_name?: string;
  points?: string;
  bought_at?: string;
  expires_at?: string;
}

/** The id under which a purchase is shown. */
const shownAs = `md5('fact_redemptions ' || id::text)::uuid`;

/** Makes a history of purchases, as the take-over shows them. */
async function buy(api: TestApp, purchases: Purchase[]): Promise<Record<number, string>> {
  await sql(
    api,
    `CREATE TABLE IF NOT EXISTS public.bought (id integer, user_id integer, offer_id uuid,
       offer_name text, points numeric, bought_at timestamptz, expires_at timestamptz);
     CREATE OR REPLACE VIEW lumis.past_purchases AS
       SELECT ${shownAs} AS purchase_id, id::bigint AS legacy_id, user_id, offer_id, offer_name, points,
         bought_at, expires_at
       FROM public.bought`,
  );
  const rows = await sql(
    api,
    `INSERT INTO public.bought
     SELECT * FROM json_populate_recordset(NULL::public.bought, $1)
     RETURNING id, ${shownAs} AS purchase_id`,
    JSON.stringify(purchases),
  );
  return Object.fromEntries(rows.map(({ id, purchase_id }) => [id, purchase_id]));
}

/** A redemption of member 1, made at `created_at`. */
async function redeemAt(api: TestApp, offer_id: string, created_at: string): Promise<string> {
  const options = { token: await api.member(1), body: { offer_id } };
  const { status, body } = await api.call('POST', '/rewards/redemptions', options);
  assert.equal(status, 201, JSON.stringify(body));
  const { redemption_id } = body;
  const text = 'UPDATE rewards.user_redemptions SET created_at = $2 WHERE redemption_id = $1';
  await sql(api, text, redemption_id, created_at);
  return redemption_id;
}

/** All pages of member 1's list, `limit` rows each; `between` runs after each page. */
async function listed(api: TestApp, limit: number, query = '', between = async () => {}) {
  const token = await api.member(1);
  const rows: any[] = [];
  let cursor = '';
  do {
    const path = `/rewards/redemptions?limit=${limit}${query}${cursor && `&cursor=${cursor}`}`;
    const { status, body } = await api.call('GET', path, { token });
    assert.equal(status, 200, JSON.stringify(body));
    rows.push(...body.data);
    cursor = body.next_cursor ?? '';
    await between();
  } while (cursor);
  return rows;
}

const SAME = '2025-03-01T12:00:00.000000Z';

/** Redemptions and purchases of member 1, and their ids in the order they are to be shown. */
async function history(t: TestContext) {
  const api = await testApp(t);
  const offer_id = await api.offer();
  await api.grant(1, 1000);
  const ours = {
    now: await redeemAt(api, offer_id, '2026-03-01T12:00:00.000001Z'),
    same: await redeemAt(api, offer_id, SAME),
    oldest: await redeemAt(api, offer_id, '2024-01-01T00:00:00Z'),
  };
  const token = await api.member(1);
  await api.call('POST', `/rewards/redemptions/${ours.now}/cancel`, { token });
  const points = '10';
  const theirs = await buy(api, [
    { id: 1, user_id: 1, offer_id, offer_name: 'Café', points: '2.5', bought_at: SAME },
    { id: 2, user_id: 1, offer_name: '77', points, bought_at: SAME, expires_at: '2026-01-01Z' },
    { id: 3, user_id: 1, points, bought_at: '2026-03-01T12:00:00.000002Z' },
    { id: 4, user_id: 1, points, bought_at: '2026-03-01T12:00:00Z' },
    { id: 5, user_id: 1, bought_at: '1970-01-02Z', expires_at: 'infinity' },
    ...[6, 7, 8].map((id) => ({ id, user_id: 1, points: 'NaN' })),
    { id: 9, user_id: 1, points: '-Infinity', bought_at: '-infinity' },
    { id: 10, user_id: 1, points: '1e400', bought_at: 'infinity' },
    { id: 11, user_id: 1, points, bought_at: '20000-01-01Z' },
    { id: 12, user_id: 2, points, bought_at: SAME },
    { id: 13, user_id: null, points, bought_at: SAME },
  ]);
  const of = (...ids: number[]) => ids.map((id) => theirs[id] as string);
  const falling = (ids: string[]) => ids.sort().reverse();
  const order = [
    ...falling(of(10, 11)),
    ...of(3),
    ours.now,
    ...of(4),
    ...falling([ours.same, ...of(1, 2)]),
    ours.oldest,
    ...of(5),
    ...falling(of(6, 7, 8, 9)),
  ];
  return { api, token, ours, theirs, order, offer_id };
}

const idsOf = (rows: { redemption_id: string }[]) => rows.map((row) => row.redemption_id);

test('purchases of before stand among the redemptions, on pages of any size', async (t) => {
  const { api, order, offer_id } = await history(t);
  for (const limit of [1, 2, 3, 5, 8, 13, 100]) {
    assert.deepEqual(idsOf(await listed(api, limit)), order, `pages of ${limit}`);
  }
  let id = 100;
  const arrive = async () => {
    await redeemAt(api, offer_id, new Date().toISOString());
    id += 1;
    await buy(api, [{ id, user_id: 1, points: '1', bought_at: '21000-01-01Z' }]);
  };
  assert.deepEqual(idsOf(await listed(api, 4, '', arrive)), order, 'while others arrive');
});

test('a purchase is shown as confirmed, with what is known of it', async (t) => {
  const { api, theirs, ours, offer_id } = await history(t);
  const rows = await listed(api, 100);
  const shown = (id: string | undefined) => rows.find((row) => row.redemption_id === id);
  const purchase = {
    redemption_id: theirs[1],
    source: 'legacy',
    legacy_id: 1,
    offer_id,
    offer_name: 'Café',
    merchant_id: null,
    merchant_name: null,
    lumis_spent: 2.5,
    redemption_status: 'confirmed',
    created_at: SAME,
    code_expires_at: SAME,
    validated_at: SAME,
    closed_at: null,
    cancellation_reason: null,
    on_expiry: 'forfeit',
  };
  assert.deepEqual(shown(theirs[1]), purchase);
  const unknown = { redemption_id: theirs[2], legacy_id: 2, offer_id: null, offer_name: '77' };
  const until = { lumis_spent: 10, code_expires_at: '2026-01-01T00:00:00.000000Z' };
  assert.deepEqual(shown(theirs[2]), { ...purchase, ...unknown, ...until });
  const told = (id: number) => {
    const { created_at, validated_at, code_expires_at, lumis_spent } = shown(theirs[id]);
    return [created_at, validated_at, code_expires_at, lumis_spent];
  };
  const [begin, first] = ['1970-01-01T00:00:00.000000Z', '0001-01-01T00:00:00.000000Z'];
  const [second, last] = ['1970-01-02T00:00:00.000000Z', '9999-12-31T23:59:59.999999Z'];
  assert.deepEqual(told(5), [second, second, last, 0]);
  assert.deepEqual(told(6), [begin, null, begin, 0]);
  assert.deepEqual(told(9), [begin, first, begin, 0]);
  assert.deepEqual(told(10), [last, last, last, 0]);
  const { source, legacy_id, redemption_code } = shown(ours.same);
  assert.deepEqual([source, legacy_id, typeof redemption_code], ['lumis', null, 'string']);
  for (const [status, wanted] of [
    ['confirmed', idsOf(rows.filter((row) => row.source === 'legacy'))],
    ['pending', [ours.same, ours.oldest]],
    ['cancelled', [ours.now]],
    ['expired', []],
  ] as const) {
    assert.deepEqual(idsOf(await listed(api, 3, `&status=${status}`)), wanted, status);
  }
});

test('a purchase is found by its member alone, and nothing can be done with it', async (t) => {
  const { api, theirs, token } = await history(t);
  const own = `/rewards/redemptions/${theirs[2]}`;
  const one = await api.call('GET', own, { token });
  assert.deepEqual([one.status, one.body.source, one.body.legacy_id], [200, 'legacy', 2]);
  const shop = await api.merchant();
  const [admin, merchant] = [await api.admin(), shop.api_key];
  const before = await api.call('GET', '/rewards/balance', { token });
  const body = { reason: 'test' };
  for (const [method, path, caller, code] of [
    ['GET', own, await api.member(2), 'not_found'],
    ['GET', `/rewards/redemptions/${theirs[12]}`, token, 'not_found'],
    ['GET', `/rewards/redemptions/${theirs[13]}`, token, 'not_found'],
    ['GET', `${own}/qr.svg`, token, 'not_found'],
    ['GET', `${own}/qr.png`, token, 'not_found'],
    ['POST', `${own}/cancel`, token, 'not_found'],
    ['POST', `/merchant/redemptions/${theirs[2]}/confirm`, merchant, 'unknown_code'],
    ['POST', `/merchant/redemptions/${theirs[2]}/reverse`, merchant, 'unknown_code'],
    ['POST', `/admin/redemptions/${theirs[2]}/cancel`, admin, 'not_found'],
    ['POST', `/admin/redemptions/${theirs[2]}/reverse`, admin, 'unknown_code'],
  ] as const) {
    const input = /reverse|admin/.test(path) ? { body } : {};
    const answer = await api.call(method, path, { token: caller, ...input });
    assert.deepEqual([answer.status, answer.body.code], [404, code], `${method} ${path}`);
  }
  const after = await api.call('GET', '/rewards/balance', { token });
  assert.deepEqual([after.body.balance, after.body.held], [before.body.balance, before.body.held]);
});

test('a ledger that lacks what ours must have is listed', async (t) => {
  const api = await testApp(t);
  const ledger = 'public.fact_accumulations';
  const loose = ['user_id', 'dtype', 'quantity', 'date'].map((c) => `ALTER ${c} DROP NOT NULL`);
  await sql(
    api,
    `ALTER TABLE ${ledger} ${loose}, DROP CONSTRAINT ledger_kind_known,
       DROP CONSTRAINT fact_accumulations_pkey, ALTER id DROP IDENTITY, ALTER id DROP NOT NULL,
       DISABLE TRIGGER USER;
     INSERT INTO ${ledger} (id, user_id, accum_type, dtype, quantity, date, kind) VALUES
       (NULL, 1, 'receipts', 'points', 0, now(), NULL),
       (1, 1, NULL, NULL, NULL, NULL, NULL),
       (2, 1, 'receipts', 'points', NULL, '-infinity', NULL),
       (3, 1, 'receipts', 'stamps', 4, 'infinity', NULL),
       (4, 1, 'opening', 'points', 7.5, now(), 'opening'),
       (5, NULL, 'receipts', 'stamps', 1, now(), NULL);
     INSERT INTO lumis.balances (user_id, balance) VALUES (1, 7.5);
     ALTER TABLE ${ledger} ENABLE TRIGGER USER`,
  );
  const rows: any[] = [];
  const token = await api.member(1);
  for (let cursor: string | null = ''; cursor !== null; ) {
    const path: string = `/rewards/ledger?limit=1${cursor && `&cursor=${cursor}`}`;
    const { status, body } = await api.call('GET', path, { token });
    assert.equal(status, 200, JSON.stringify(body));
    rows.push(...body.data);
    cursor = body.next_cursor;
  }
  const facts = rows.map(({ id, dtype, quantity, kind }) => [id, dtype, quantity, kind]);
  assert.deepEqual(facts, [
    [4, 'points', 7.5, 'opening'],
    [3, 'stamps', 4, null],
    [2, 'points', 0, null],
    [1, null, 0, null],
  ]);
  assert.deepEqual(
    rows.slice(1).map(({ date }) => date?.slice(0, 4) ?? null),
    ['9999', '0001', null],
  );
  const support = await api.call('GET', '/admin/members/1/ledger', { token: await api.admin() });
  assert.deepEqual(support.body.data, rows);
});

/** Offers that are not active, in a catalogue with the rules of one that was taken over. */
async function takenOver(t: TestContext) {
  const api = await testApp(t);
  await sql(
    api,
    `ALTER TABLE rewards.redemption_offers ALTER lumis_cost DROP NOT NULL,
       ALTER name_friendly DROP NOT NULL,
       DROP CONSTRAINT IF EXISTS offers_active_has_price,
       DROP CONSTRAINT IF EXISTS offers_active_has_name,
       ADD CONSTRAINT offers_active_has_price
         CHECK (NOT is_active OR (lumis_cost > 0) IS TRUE),
       ADD CONSTRAINT offers_active_has_name
         CHECK (NOT is_active OR (name_friendly ~ '\\S') IS TRUE)`,
  );
  const arrive = async (name: string | null, price: number | null): Promise<string> => {
    const text = `INSERT INTO rewards.redemption_offers
        (is_active, name_friendly, lumis_cost, valid_from, valid_to)
      VALUES (false, $1, $2, '-infinity', 'infinity') RETURNING offer_id`;
    return (await sql(api, text, name, price))[0].offer_id;
  };
  const offers = {
    bare: await arrive(null, null),
    nameless: await arrive(null, 5),
    priceless: await arrive('Vieja', null),
    negative: await arrive('Gratis', -5),
  };
  return { api, offers, token: await api.member(1), admin: await api.admin() };
}

test('an offer that was taken over without name, price or end is shown', async (t) => {
  const { api, offers, token, admin } = await takenOver(t);
  for (const [offer_id, name_friendly, lumis_cost] of [
    [offers.bare, '', 0],
    [offers.nameless, '', 5],
    [offers.priceless, 'Vieja', 0],
    [offers.negative, 'Gratis', -5],
  ] as const) {
    const facts = { offer_id, name_friendly, lumis_cost, valid_from: null, valid_to: null };
    const path = `/admin/offers/${offer_id}`;
    const row = await api.call('GET', path, { token: admin });
    assert.deepEqual([row.status, { ...row.body, ...facts }], [200, row.body]);
    const seen = await api.call('GET', `/rewards/offers/${offer_id}`, { token });
    assert.deepEqual([seen.status, { ...seen.body, ...facts }], [200, seen.body]);
    const { can_redeem, reasons, missing_lumis } = seen.body.availability;
    assert.deepEqual([can_redeem, reasons[0]], [false, 'offer_inactive']);
    assert.equal(missing_lumis, lumis_cost === 5 ? 5 : 0);
    const redeem = await api.call('POST', '/rewards/redemptions', { token, body: { offer_id } });
    assert.deepEqual([redeem.status, redeem.body.code], [409, 'offer_inactive']);
  }
  const all = await api.call('GET', '/admin/offers?is_active=false', { token: admin });
  assert.equal(all.body.data.length, 4);
  for (const sort of ['newest', 'cost_asc', 'cost_desc']) {
    const list = await api.call('GET', `/rewards/offers?sort=${sort}`, { token });
    assert.deepEqual([list.status, list.body.data], [200, []]);
  }
});

test('such an offer is activated once it has what it lacks, not before', async (t) => {
  const { api, offers, token, admin } = await takenOver(t);
  const patch = (id: string, body: object) =>
    api.call('PATCH', `/admin/offers/${id}`, { token: admin, body });
  for (const [offer_id, field] of [
    [offers.priceless, 'body.lumis_cost'],
    [offers.negative, 'body.lumis_cost'],
    [offers.nameless, 'body.name_friendly'],
  ] as const) {
    const { status, body } = await patch(offer_id, { is_active: true });
    assert.deepEqual([status, body.code], [400, 'invalid_request'], JSON.stringify(body));
    assert.deepEqual([body.errors.length, body.errors[0].field], [1, field]);
    assert.match(body.errors[0].detail, / /, 'a sentence');
  }
  const described = await patch(offers.bare, { description: 'todavía no' });
  assert.deepEqual([described.status, described.body.name_friendly], [200, '']);
  const kept =
    'SELECT name_friendly, lumis_cost FROM rewards.redemption_offers WHERE offer_id = $1';
  const nothing = { name_friendly: null, lumis_cost: null };
  assert.deepEqual(await sql(api, kept, offers.bare), [nothing], 'what is shown is not written');
  assert.equal((await patch(offers.bare, { lumis_cost: 3 })).body.lumis_cost, 3);
  const whole = await patch(offers.bare, { name_friendly: 'Nueva', is_active: true });
  assert.deepEqual([whole.status, whole.body.is_active], [200, true]);
  assert.equal((await patch(offers.priceless, { lumis_cost: 9, is_active: true })).status, 200);
  const { body } = await api.call('GET', '/rewards/offers?sort=cost_asc', { token });
  const costs = body.data.map((offer: { lumis_cost: number }) => offer.lumis_cost);
  assert.deepEqual(costs, [3, 9]);
});
