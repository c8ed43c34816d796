import type { Reversed } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import type { Answer } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, byKey, prepared } from '../db/statement.ts';
import { ANSWER, type Claim, input, underKeys } from '../idempotency/claim.ts';
import { lockMembersOf } from '../ledger/lock.ts';
import { lockMerchantsOf } from '../merchants/lock.ts';
import { lockOffersOf } from '../offers/lock.ts';
import { answersOf, lockRedemptions, ONE_WINS } from './redemption.ts';

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
    lockRedemptions(ids),
    lockMembersOf(ids),
    lockOffersOf(ids),
    lockMerchantsOf(ids),
    underKeys(REVERSE(batch(rows), db.lockTimeoutMs)),
  ]);
  return answersOf<Reversed>(results[4]) as Answer<Reversed>[];
}

const REVERSE = prepared(
  'redemptions.reverse',
  `WITH ${input(`redemption_id uuid, merchant_id uuid, key_id text, proven_hash text, reason text,
      restock boolean, changed_by jsonb`)}, judged AS MATERIALIZED (
    SELECT i.*, r.lumis_spent, CASE
        WHEN i.stored IS NOT NULL THEN 'stored'
        WHEN i.merchant_id IS NOT NULL
          AND NOT lumis.merchant_may_act(i.merchant_id, i.key_id, i.proven_hash) THEN 'unauthorized'
        WHEN r.redemption_id IS NULL
          OR coalesce(r.validated_by_merchant_id, r.merchant_id) <> i.merchant_id THEN 'unknown_code'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status IN ('cancelled', 'expired') THEN r.redemption_status
        WHEN r.redemption_status = 'pending' THEN 'invalid_request'
      END AS refusal
    FROM input i
    LEFT JOIN ${byKey('rewards.user_redemptions', 'redemption_id = i.redemption_id')} r ON true
  ), ranked AS MATERIALIZED (
    ${ONE_WINS}
  ), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
  ), closed AS MATERIALIZED (
    SELECT c.now, lumis.close_redemptions(array_agg(k.redemption_id),
      'cancelled', c.now, array_agg(k.changed_by), array_agg(k.reason), array_agg(k.restock)) AS rows
    FROM ranked k CROSS JOIN clock c WHERE k.wins GROUP BY c.now
  ), decided AS MATERIALIZED (
    SELECT k.*, coalesce(k.refusal NOT IN ('unauthorized', 'invalid_request'), true) AS keep, CASE
      WHEN k.wins THEN jsonb_build_object('done', jsonb_build_object(
        'redemption_id', k.redemption_id, 'redemption_status', 'cancelled',
        'lumis_refunded', k.lumis_spent, 'restocked', k.restock, 'closed_at', c.now))
      WHEN k.refusal = 'invalid_request' THEN jsonb_build_object('refused', k.refusal, 'fields',
        jsonb_build_array(jsonb_build_object('field', 'params.redemption_id', 'detail', 'pending')))
      ELSE jsonb_build_object('refused', coalesce(k.refusal, 'reversed'))
    END AS answer
    FROM ranked k LEFT JOIN closed c ON true
  ), ${ANSWER}`,
);
