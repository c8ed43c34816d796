/** A redeem that is asked again under its key is told what it was told, whatever happened since. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemCaller } from '../src/core/actor.ts';
import { createOffer, updateOffer } from '../src/offers/save.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { checkedDatabase } from './support/database.ts';
import { wish } from './support/wish.ts';

const ISSUING = { ttl_minutes: 60, public_url: 'https://points.example' };
const CALLER = systemCaller('test');
const { db, connect, sql } = await checkedDatabase();
let member = 100;

/** A member with points, an offer of a merchant, and what the member was told of one redeemed. */
async function redeemed() {
  const user_id = ++member;
  await sql('INSERT INTO public.fact_accumulations (user_id, quantity) VALUES ($1, 100)', user_id);
  const [{ merchant_id }] = (await sql(
    'INSERT INTO rewards.merchants (merchant_name) VALUES ($1) RETURNING merchant_id',
    `Merchant ${user_id}`,
  )) as [{ merchant_id: string }];
  const input = { name_friendly: `Offer ${user_id}`, lumis_cost: 10, merchant_id };
  const { offer_id } = await createOffer(db, CALLER, { ...input, on_expiry: 'forfeit' });
  const [answer] = await redeem(db, ISSUING, [wish(user_id, offer_id, 'mine')]);
  assert.ok(answer?.done, JSON.stringify(answer));
  const again = async (id = offer_id, issuing = ISSUING) => {
    const alone = await redeem(db, issuing, [wish(user_id, id, 'mine')]);
    const other = wish(++member, offer_id); // has no points
    const inCompany = await redeem(db, issuing, [other, wish(user_id, id, 'mine')]);
    assert.deepEqual(inCompany[1], alone[0]);
    return alone[0];
  };
  return { user_id, merchant_id, offer_id, first: answer, done: answer.done, again };
}

test('whatever became of offer, merchant, member and redemption', async () => {
  const { user_id, merchant_id, offer_id, first, done, again } = await redeemed();
  assert.deepEqual(await again(), first);
  await redeem(db, ISSUING, [wish(user_id, offer_id)]);
  await updateOffer(db, CALLER, offer_id, { name_friendly: 'Renamed', lumis_cost: 20 });
  await updateOffer(db, CALLER, offer_id, { on_expiry: 'refund', is_active: false });
  await sql(
    "UPDATE rewards.merchants SET merchant_name = 'Sold' WHERE merchant_id = $1",
    merchant_id,
  );
  await sql(
    `UPDATE rewards.user_redemptions SET code_expires_at = now() - interval '1 hour'
      WHERE redemption_id = $1`,
    done.redemption_id,
  );
  await sql("SELECT lumis.expire_redemptions(ARRAY[$1::uuid], '{}')", done.redemption_id);
  assert.deepEqual(
    await again(offer_id, { ...ISSUING, public_url: 'https://moved.example' }),
    first,
  );
  const names = Object.keys(done);
  assert.deepEqual(Object.keys((await again())?.done ?? {}).sort(), names.sort());
});

test('an answer that was kept whole is told as it is', async () => {
  const { user_id, first, done, again } = await redeemed();
  const whole = { done: { ...done, offer_name: 'As it was', balance: 7 } };
  await sql(
    'UPDATE lumis.idempotency_keys SET answer = $2 WHERE actor_id = $1::text',
    user_id,
    JSON.stringify(whole).replaceAll('Z"', '+00:00"'), // as PostgreSQL writes times
  );
  assert.deepEqual(await again(), whole);
  assert.notDeepEqual(whole, first);
});

test('of a redemption that was deleted nothing is told', async () => {
  const { done, again } = await redeemed();
  const by = await connect();
  await by.query("SET session_replication_role = 'replica'"); // it comes back as it was
  const { rows } = await by.query(
    'DELETE FROM rewards.user_redemptions WHERE redemption_id = $1 RETURNING *',
    [done.redemption_id],
  );
  assert.deepEqual(await again(), { refused: 'not_found' });
  await by.query(
    'INSERT INTO rewards.user_redemptions SELECT * FROM json_populate_record(NULL::rewards.user_redemptions, $1)',
    [JSON.stringify(rows[0])],
  );
});
