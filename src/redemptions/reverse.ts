import type { Reversed } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import type { Answer } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';
import { ANSWER, CLAIM_COLUMNS, type Claim, claimKeys, STORED } from '../idempotency/claim.ts';
import { lockMembersOf } from '../ledger/lock.ts';
import { lockMerchantsOf } from '../merchants/lock.ts';
import { lockOffersOf } from '../offers/lock.ts';
import { answersOf, lockRedemptions } from './redemption.ts';

/** `merchant_id` is the merchant who asks; null when an administrator does. */
export interface Reverse extends Claim, Omit<MerchantCredential, 'merchant_id'> {
  redemption_id: string;
  merchant_id: string | null;
  reason: string;
  /** whether the unit goes back on the shelf */
  restock: boolean;
  changed_by: object;
}

/**
 * Takes a confirmation back: confirmed becomes cancelled, with actor and reason; the points return,
 * the unit of stock by choice, the merchant's totals shrink.
 *
 * Refusals: unknown_code (absent, or confirmed by another merchant), reversed, cancelled,
 * expired. One that is still pending is an invalid_request: there is nothing to take back.
 */
export async function reverse(db: Database, rows: readonly Reverse[]): Promise<Answer<Reversed>[]> {
  const ids = rows.map((row) => row.redemption_id);
  const results = await db.transaction([
    claimKeys(rows),
    lockRedemptions(ids),
    lockMembersOf(ids),
    lockOffersOf(ids),
    lockMerchantsOf(ids),
    REVERSE(batch(rows)),
  ]);
  return answersOf<Reversed>(results[5]) as Answer<Reversed>[];
}

const REVERSE = prepared(
  'redemptions.reverse',
  `WITH input AS MATERIALIZED (
    SELECT i.*, k.answer AS stored, k.fingerprint <> decode(i.fingerprint, 'hex') AS reused
    FROM json_to_recordset($1) AS i(ord integer, redemption_id uuid, merchant_id uuid, key_id text,
      proven_hash text, reason text, restock boolean, changed_by jsonb, ${CLAIM_COLUMNS})
    ${STORED}
  ), judged AS MATERIALIZED (
    SELECT i.ord, i.redemption_id, i.reason, i.restock, i.changed_by, r.lumis_spent,
      CASE
        WHEN i.merchant_id IS NOT NULL
          AND NOT lumis.merchant_may_act(i.merchant_id, i.key_id, i.proven_hash) THEN 'unauthorized'
        WHEN r.redemption_id IS NULL
          OR coalesce(r.validated_by_merchant_id, r.merchant_id) <> i.merchant_id THEN 'unknown_code'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status IN ('cancelled', 'expired') THEN r.redemption_status
        WHEN r.redemption_status = 'pending' THEN 'invalid_request'
      END AS refusal
    FROM input i
    LEFT JOIN rewards.user_redemptions r ON r.redemption_id = i.redemption_id
    WHERE i.stored IS NULL
  ), first AS MATERIALIZED (     -- of several in one batch, one wins
    SELECT DISTINCT ON (j.redemption_id) j.* FROM judged j WHERE j.refusal IS NULL
    ORDER BY j.redemption_id, j.ord
  ), closed AS MATERIALIZED (
    SELECT clock_timestamp() AS now, lumis.close_redemptions(array_agg(f.redemption_id),
      'cancelled', array_agg(f.changed_by), array_agg(f.reason), array_agg(f.restock)) AS rows
    FROM first f HAVING count(*) > 0
  ), decided AS (
    SELECT j.ord, j.refusal IS NULL OR j.refusal NOT IN ('unauthorized', 'invalid_request') AS keep,
      CASE WHEN f.ord IS NOT NULL THEN jsonb_build_object('done', jsonb_build_object(
        'redemption_id', j.redemption_id, 'redemption_status', 'cancelled',
        'lumis_refunded', j.lumis_spent, 'restocked', j.restock, 'closed_at', c.now))
      WHEN j.refusal = 'invalid_request' THEN jsonb_build_object('refused', j.refusal, 'fields',
        jsonb_build_array(jsonb_build_object('field', 'params.redemption_id', 'detail', 'pending')))
      ELSE jsonb_build_object('refused', coalesce(j.refusal, 'reversed')) END AS answer
    FROM judged j LEFT JOIN first f USING (ord) LEFT JOIN closed c ON true
  ), ${ANSWER}`,
);
