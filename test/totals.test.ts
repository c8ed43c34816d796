/** A merchant's totals are its confirmed redemptions, whoever changes them, and how many at once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshDatabase } from './support/database.ts';

const TOTALS = `SELECT merchant_name AS name, total_redemptions AS redemptions,
    total_lumis_redeemed::integer AS lumis FROM rewards.merchants ORDER BY merchant_name`;
const CONFIRM = `UPDATE rewards.user_redemptions r SET redemption_status = 'confirmed',
    validated_by_merchant_id = r.merchant_id, validated_at = now()
  WHERE r.lumis_spent = ANY ($1)`;

test('one statement that confirms and reverses at several merchants', async (t) => {
  const { connect } = await freshDatabase(t);
  const client = await connect();
  const look = async () => (await client.query(TOTALS)).rows;
  await client.query(`INSERT INTO public.fact_accumulations (user_id, quantity) VALUES (1, 1000);
    INSERT INTO rewards.merchants (merchant_name) VALUES ('A'), ('B');
    INSERT INTO rewards.redemption_offers (name_friendly, lumis_cost, merchant_id, stock_held)
      SELECT 'Offer', cost, merchant_id, 1 FROM rewards.merchants CROSS JOIN (VALUES (10), (30)) v (cost);
    INSERT INTO rewards.user_redemptions
      (user_id, offer_id, lumis_spent, redemption_code, code_expires_at, merchant_id)
      SELECT 1, offer_id, lumis_cost, offer_id::text, now() + interval '1 day', merchant_id
      FROM rewards.redemption_offers`);
  await client.query(CONFIRM, [[10]]);
  const one = { redemptions: 1, lumis: 10 };
  assert.deepEqual(await look(), [
    { name: 'A', ...one },
    { name: 'B', ...one },
  ]);
  // as many confirmed as reversed: the number stays, the points do not
  await client.query(`UPDATE rewards.user_redemptions r SET cancellation_reason = 'test',
      validated_by_merchant_id = r.merchant_id, validated_at = now(), redemption_status =
        CASE redemption_status WHEN 'pending' THEN 'confirmed' ELSE 'cancelled' END
    FROM rewards.merchants m WHERE m.merchant_id = r.merchant_id AND m.merchant_name = 'A'`);
  assert.deepEqual(await look(), [
    { name: 'A', redemptions: 1, lumis: 30 },
    { name: 'B', ...one },
  ]);
  await client.query(CONFIRM, [[30]]);
  await client.query(`UPDATE rewards.user_redemptions SET code_expires_at = now()`);
  assert.deepEqual(await look(), [
    { name: 'A', redemptions: 1, lumis: 30 },
    { name: 'B', redemptions: 2, lumis: 40 },
  ]);
});
