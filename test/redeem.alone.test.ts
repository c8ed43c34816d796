/** A wish that comes alone goes another way than those that come together, and gets the same. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Offer, OfferInput } from '../src/contract/offer.ts';
import { systemCaller } from '../src/core/actor.ts';
import type { Database } from '../src/db/pool.ts';
import { createOffer } from '../src/offers/save.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { checkedDatabase } from './support/database.ts';
import { wish } from './support/wish.ts';

const ISSUING = { ttl_minutes: 60, public_url: 'https://points.example' };
const NOBODY = '00000000-0000-4000-8000-000000000000';
const POINTS = 100;
/** What differs between two redemptions that are the same: ids, codes, and the moment. */
const OWN = /(id|code|url|token|key|date|fingerprint|latest_update|changed_by|_at)$/;

const { db, connect, sql } = await checkedDatabase();
let serial = 0;

/** An offer of a new merchant, unless it says otherwise. */
async function offerOf(input: Partial<OfferInput>) {
  const [{ merchant_id }] = (await sql(
    'INSERT INTO rewards.merchants (merchant_name) VALUES ($1) RETURNING merchant_id',
    `Merchant ${++serial}`,
  )) as [{ merchant_id: string }];
  const named = { name_friendly: `Offer ${++serial}`, lumis_cost: 10, merchant_id, ...input };
  return createOffer(db, systemCaller('test'), named);
}

/** A new member with points. */
async function memberWith(points: number) {
  const user_id = 1000 + ++serial;
  const text = 'INSERT INTO public.fact_accumulations (user_id, quantity) VALUES ($1, $2)';
  if (points > 0) await sql(text, user_id, points);
  return user_id;
}

/** The database; `names` tells the statements that went to it since it was last asked. */
function watched(onSent: (names: string[]) => void = () => undefined) {
  const names: string[] = [];
  const transaction: Database['transaction'] = (steps) => {
    names.push(...steps.map(({ name }) => name));
    onSent(names);
    return db.transaction(steps);
  };
  return { through: { ...db, transaction }, names: () => names.splice(0, names.length) };
}

/** Without what is each redemption's own; of the rest, lists as they are. */
function common(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(common);
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(([name, held]) => !OWN.test(name) || held === null);
  return Object.fromEntries(kept.map(([name, held]) => [name, common(held)]));
}

/** As JSON, without the names of an offer and its merchant: no two have the same. */
const nameless = (value: unknown, offer: Offer) =>
  JSON.stringify(value)
    .replaceAll(offer.name_friendly, 'the offer')
    .replaceAll(offer.merchant_name ?? 'no merchant', 'the merchant');

/** All that was written for a member, table by table. */
async function written(userId: number) {
  const [row] = await sql(
    `SELECT (SELECT jsonb_agg(to_jsonb(r) || jsonb_build_object(
        'lifetime', r.code_expires_at - r.created_at, 'of', r.changed_by - 'request_id'))
        FROM rewards.user_redemptions r WHERE r.user_id = $1) AS redemptions,
      (SELECT jsonb_agg(to_jsonb(f) ORDER BY f.date, f.quantity) FROM public.fact_accumulations f
        WHERE f.user_id = $1) AS ledger,
      (SELECT jsonb_agg(to_jsonb(e)) FROM lumis.events e WHERE e.user_id = $1) AS events,
      (SELECT jsonb_agg(to_jsonb(k)) FROM lumis.idempotency_keys k
        WHERE k.actor_id = $1::text) AS keys,
      (SELECT jsonb_agg(to_jsonb(a)) FROM rewards.redemption_audit_log a
        JOIN rewards.user_redemptions r USING (redemption_id) WHERE r.user_id = $1) AS audit,
      (SELECT balance FROM lumis.balances WHERE user_id = $1) AS balance`,
    userId,
  );
  return common(row);
}

const stockOf = async (offerId: string) => {
  const text =
    'SELECT stock_quantity, stock_held FROM rewards.redemption_offers WHERE offer_id = $1';
  return (await sql(text, offerId))[0];
};

const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
const GRANTED: Record<string, Partial<OfferInput>> = {
  'without end or limit': {},
  'all that is there': { lumis_cost: POINTS },
  'with stock': { stock_quantity: 7 },
  'the last unit': { stock_quantity: 1 },
  'with a limit': { max_redemptions_per_user: 1 },
  'with its own lifetime': { code_ttl_minutes: 7, on_expiry: 'forfeit' },
  'in its time': { valid_from: day(-1), valid_to: day(1) },
  'of no merchant': { merchant_id: null },
};

for (const [name, input] of Object.entries(GRANTED)) {
  test(`granted alone as in company: ${name}`, async () => {
    const [single, joint] = [await offerOf(input), await offerOf(input)];
    const other = await offerOf({});
    const [a, b] = [await memberWith(POINTS), await memberWith(POINTS)];
    const { through, names } = watched();
    const [alone] = await redeem(through, ISSUING, [wish(a, single.offer_id)]);
    assert.deepEqual(names(), ['redemptions.redeem_alone']);
    const wishes = [wish(b, joint.offer_id), wish(await memberWith(50), other.offer_id)];
    const [inCompany] = await redeem(through, ISSUING, wishes);
    assert.deepEqual(names(), ['redemptions.redeem']);
    assert.ok(alone?.done, JSON.stringify(alone));
    assert.deepEqual(nameless(common(alone), single), nameless(common(inCompany), joint));
    assert.deepEqual(Object.keys(alone.done), Object.keys(inCompany?.done ?? {}));
    assert.equal(nameless(await written(a), single), nameless(await written(b), joint));
    assert.deepEqual(await stockOf(single.offer_id), await stockOf(joint.offer_id));
  });
}

const REFUSED: Record<string, { input: Partial<OfferInput>; points?: number }> = {
  offer_inactive: { input: { is_active: false } },
  offer_not_started: { input: { valid_from: day(1) } },
  offer_ended: { input: { valid_from: day(-2), valid_to: day(-1) } },
  out_of_stock: { input: { stock_quantity: 0 } },
  insufficient_points: { input: { lumis_cost: POINTS + 1 } },
  'insufficient_points of nobody': { input: {}, points: 0 },
};

for (const [name, { input, points = POINTS }] of Object.entries(REFUSED)) {
  test(`refused alone as in company: ${name}`, async () => {
    const { offer_id } = await offerOf(input);
    const { through, names } = watched();
    const [a, b, other] = [await memberWith(points), await memberWith(points), 1];
    const [alone] = await redeem(through, ISSUING, [wish(a, offer_id)]);
    // the short way did nothing, and the long one tells why
    assert.deepEqual(names(), ['redemptions.redeem_alone', 'redemptions.redeem']);
    const [inCompany] = await redeem(db, ISSUING, [wish(b, offer_id), wish(other, NOBODY)]);
    assert.equal(alone?.refused, name.split(' ')[0]);
    assert.deepEqual(alone, inCompany);
    assert.deepEqual(await written(a), await written(b));
  });
}

test('a limit, an offer that is not there, a merchant who is closed', async () => {
  const { offer_id } = await offerOf({ max_redemptions_per_user: 2 });
  const user_id = await memberWith(POINTS);
  const told = [];
  for (const wanted of [offer_id, offer_id, offer_id, NOBODY]) {
    const [answer] = await redeem(db, ISSUING, [wish(user_id, wanted)]);
    told.push(answer?.refused ?? answer?.done?.balance);
  }
  assert.deepEqual(told, [90, 80, 'limit_member', 'unknown_offer']);
  await sql(
    `UPDATE rewards.merchants SET is_active = false WHERE merchant_id =
      (SELECT merchant_id FROM rewards.redemption_offers WHERE offer_id = $1)`,
    offer_id,
  );
  const [closed] = await redeem(db, ISSUING, [wish(await memberWith(POINTS), offer_id)]);
  assert.equal(closed?.refused, 'offer_inactive');
});

test('a key that was used: the same answer, or that it stands for something else', async () => {
  const [one, other] = [await offerOf({ stock_quantity: 5 }), await offerOf({})];
  const user_id = await memberWith(POINTS);
  const [first] = await redeem(db, ISSUING, [wish(user_id, one.offer_id, 'mine')]);
  const [again] = await redeem(db, ISSUING, [wish(user_id, one.offer_id, 'mine')]);
  const [reused] = await redeem(db, ISSUING, [wish(user_id, other.offer_id, 'mine')]);
  assert.deepEqual(again, first);
  assert.equal(reused?.refused, 'idempotency_key_reused');
  assert.deepEqual(await stockOf(one.offer_id), { stock_quantity: 4, stock_held: 1 });
});

test('a key that somebody holds is awaited as long as it was said', async () => {
  const { offer_id } = await offerOf({});
  const user_id = await memberWith(POINTS);
  const holder = await connect();
  await holder.query('BEGIN');
  await holder.query(
    `INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint, answer)
      VALUES ('user', $1, 'held', '', '{}')`,
    [user_id],
  );
  const began = performance.now();
  await assert.rejects(redeem(db.lane(200), ISSUING, [wish(user_id, offer_id, 'held')]), {
    code: 'idempotency_in_progress',
  });
  // the session's own patience is 2 s
  assert.ok(performance.now() - began < 1500);
  await holder.query('ROLLBACK');
  const [answer] = await redeem(db, ISSUING, [wish(user_id, offer_id, 'held')]);
  assert.equal(answer?.done?.balance, 90);
});

test('codes and links are those of the redemption', async () => {
  const { offer_id } = await offerOf({});
  const [answer] = await redeem(db, ISSUING, [wish(await memberWith(POINTS), offer_id)]);
  const { redemption_id = '', redemption_code, qr_landing_url, qr_image_url } = answer?.done ?? {};
  const [row] = await sql(
    'SELECT * FROM rewards.user_redemptions WHERE redemption_id = $1',
    redemption_id,
  );
  assert.match(redemption_code ?? '', /^LUMS(-[0-9A-Z]{4}){4}$/);
  assert.deepEqual(
    [row.redemption_code, row.qr_landing_url, row.qr_image_url],
    [redemption_code, qr_landing_url, qr_image_url],
  );
  assert.equal(qr_landing_url, `${ISSUING.public_url}/r/${row.landing_token}`);
  assert.ok(qr_image_url?.includes(redemption_id));
});

for (const [what, text] of [
  ['the member', 'SELECT FROM lumis.balances WHERE user_id = $1 FOR UPDATE'],
  ['the offer', 'SELECT FROM rewards.redemption_offers WHERE offer_id = $2 FOR UPDATE'],
] as const) {
  test(`${what} is in somebody's hands: waits for them the long way`, async () => {
    const { offer_id } = await offerOf({ stock_quantity: 1 });
    const user_id = await memberWith(POINTS);
    const holder = await connect();
    await holder.query('BEGIN');
    await holder.query(text.replace('$1', String(user_id)).replace('$2', `'${offer_id}'`));
    let release: Promise<unknown> | undefined;
    const { through, names } = watched((sent) => {
      if (sent.includes('ledger.lock_members')) release ??= holder.query('COMMIT');
    });
    const [answer] = await redeem(through, ISSUING, [wish(user_id, offer_id)]);
    await release;
    assert.equal(answer?.done?.balance, 90);
    assert.deepEqual(names(), [
      ...['redemptions.redeem_alone', 'redemptions.redeem'],
      ...['ledger.lock_members', 'offers.lock', 'redemptions.redeem'],
    ]);
  });
}
