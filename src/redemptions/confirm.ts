import type { Confirmed } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';
import { ANSWER, CLAIM_COLUMNS, type Claim, claimKeys, STORED } from '../idempotency/claim.ts';
import { lockMerchants } from '../merchants/lock.ts';
import { answersOf, expireDue, lockRedemptions } from './redemption.ts';

/** One merchant's word that the goods were handed over. */
export interface Confirm extends Claim, MerchantCredential {
  redemption_id: string;
  changed_by: object;
}

/**
 * Merchant confirms: pending becomes confirmed, once, on any number of nodes. Moves no points.
 *
 * Refusals: unknown_code (absent or another merchant's), already_redeemed (with the time of first
 * use, for the owner), expired, cancelled, reversed; unauthorized when the key no longer holds.
 */
export async function confirm(
  db: Database,
  rows: readonly Confirm[],
): Promise<Answer<Confirmed>[]> {
  // Undecided is a row that fell due while its transaction waited for the merchant's lock.
  return decideAll(rows, async (open) => {
    const ids = open.map((row) => row.redemption_id);
    const results = await db.transaction([
      claimKeys(open),
      lockRedemptions(ids),
      expireDue(ids, null),
      lockMerchants(open.map((row) => row.merchant_id)),
      CONFIRM(batch(open)),
    ]);
    return answersOf<Confirmed>(results[4]);
  });
}

const CONFIRM = prepared(
  'redemptions.confirm',
  `WITH input AS MATERIALIZED (
    SELECT i.*, k.answer AS stored, k.fingerprint <> decode(i.fingerprint, 'hex') AS reused
    FROM json_to_recordset($1) AS i(ord integer, redemption_id uuid, merchant_id uuid, key_id text,
      proven_hash text, changed_by jsonb, ${CLAIM_COLUMNS})
    ${STORED}
  ), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
  ), judged AS (
    SELECT i.*, c.now,
      CASE
        WHEN NOT lumis.merchant_may_act(i.merchant_id, i.key_id, i.proven_hash) THEN 'unauthorized'
        WHEN r.redemption_id IS NULL OR r.merchant_id <> i.merchant_id THEN 'unknown_code'
        WHEN r.redemption_status = 'confirmed' THEN 'already_redeemed'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status <> 'pending' THEN r.redemption_status
        WHEN r.code_expires_at <= c.now THEN 'undecided'
      END AS refusal,
      CASE WHEN r.redemption_status = 'pending' THEN c.now
           WHEN i.merchant_id IN (r.merchant_id, r.validated_by_merchant_id) THEN r.validated_at
      END AS redeemed_at
    FROM input i CROSS JOIN clock c
    LEFT JOIN rewards.user_redemptions r ON r.redemption_id = i.redemption_id
    WHERE i.stored IS NULL
  ), first AS (     -- of several in one batch, one wins
    SELECT DISTINCT ON (j.redemption_id) j.* FROM judged j WHERE j.refusal IS NULL
    ORDER BY j.redemption_id, j.ord
  ), confirmed AS (
    UPDATE rewards.user_redemptions r
    SET redemption_status = 'confirmed', validated_by_merchant_id = j.merchant_id,
      validated_at = j.now, changed_by = j.changed_by
    FROM first j WHERE r.redemption_id = j.redemption_id
    RETURNING j.ord, r.*
  ), event AS (
    INSERT INTO lumis.events
      (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
    SELECT 'redemption.confirmed', c.redemption_id, 2, c.user_id, c.validated_by_merchant_id,
      c.offer_id, jsonb_build_object('lumis_spent', c.lumis_spent, 'offer_name', c.offer_name,
        'validated_at', c.validated_at)
    FROM confirmed c
  ), decided AS (
    SELECT j.ord, coalesce(j.refusal NOT IN ('unauthorized', 'undecided'), true) AS keep,
      CASE
        WHEN j.refusal = 'undecided' THEN NULL
        WHEN c.redemption_id IS NOT NULL THEN jsonb_build_object('done', jsonb_build_object(
          'redemption_id', c.redemption_id, 'offer_name', c.offer_name,
          'lumis_spent', c.lumis_spent, 'redemption_status', c.redemption_status,
          'validated_at', c.validated_at))
        WHEN coalesce(j.refusal, 'already_redeemed') = 'already_redeemed' THEN
          jsonb_build_object('refused', 'already_redeemed', 'data',
            jsonb_strip_nulls(jsonb_build_object('redeemed_at', j.redeemed_at)))
        ELSE jsonb_build_object('refused', j.refusal)
      END AS answer
    FROM judged j LEFT JOIN confirmed c USING (ord)
  ), ${ANSWER}`,
);
