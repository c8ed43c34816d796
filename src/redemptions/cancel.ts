import type { Cancelled } from '../contract/redemption.ts';
import type { Answer } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, byKey, prepared } from '../db/statement.ts';
import { ANSWER, type Claim, input, underKeys } from '../idempotency/claim.ts';
import { lockMembersOf } from '../ledger/lock.ts';
import { lockOffersOf } from '../offers/lock.ts';
import { answersOf, expireDue, lockRedemptions, ONE_WINS } from './redemption.ts';

/** `user_id` is the member who asks; null when an administrator does. */
export interface Cancel extends Claim {
  redemption_id: string;
  user_id: number | null;
  reason: string | null;
  changed_by: object;
}

/**
 * Pending becomes cancelled: points and the unit of stock go back.
 *
 * Refusals: not_found (absent or another member's), already_redeemed (with the time of first use),
 * expired, cancelled, reversed.
 */
export async function cancel(db: Database, rows: readonly Cancel[]): Promise<Answer<Cancelled>[]> {
  const ids = rows.map((row) => row.redemption_id);
  const results = await db.transaction([
    lockRedemptions(ids),
    lockMembersOf(ids),
    lockOffersOf(ids),
    // after all locks: it takes the members and offers of the due ones alone
    expireDue(ids, null),
    underKeys(CANCEL(batch(rows), db.lockTimeoutMs)),
  ]);
  return answersOf<Cancelled>(results[4]) as Answer<Cancelled>[];
}

const CANCEL = prepared(
  'redemptions.cancel',
  `WITH ${input('redemption_id uuid, user_id integer, reason text, changed_by jsonb')}, judged AS (
    SELECT i.*, r.user_id AS member_id, r.lumis_spent, r.validated_at, b.balance, CASE
        WHEN i.stored IS NOT NULL THEN 'stored'
        WHEN r.redemption_id IS NULL OR r.user_id <> i.user_id THEN 'not_found'
        WHEN r.redemption_status = 'confirmed' THEN 'already_redeemed'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status <> 'pending' THEN r.redemption_status
      END AS refusal
    FROM input i
    LEFT JOIN ${byKey('rewards.user_redemptions', 'redemption_id = i.redemption_id')} r ON true
    LEFT JOIN ${byKey('lumis.balances', 'user_id = r.user_id')} b ON true
  ), ranked AS MATERIALIZED (
    ${ONE_WINS}
  ), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
  ), closed AS MATERIALIZED (
    SELECT c.now, lumis.close_redemptions(array_agg(k.redemption_id),
      'cancelled', c.now, array_agg(k.changed_by), array_agg(k.reason), array_agg(true)) AS rows
    FROM ranked k CROSS JOIN clock c WHERE k.wins GROUP BY c.now
  ), decided AS MATERIALIZED (
    SELECT k.*, true AS keep, CASE
      WHEN k.wins THEN jsonb_build_object('done', jsonb_build_object(
        'redemption_id', k.redemption_id, 'redemption_status', 'cancelled',
        'lumis_refunded', k.lumis_spent, 'balance', coalesce(k.balance, 0)
          + sum(k.lumis_spent) FILTER (WHERE k.wins) OVER (PARTITION BY k.member_id ORDER BY k.ord),
        'closed_at', c.now))
      WHEN k.refusal = 'already_redeemed' THEN jsonb_build_object('refused', k.refusal,
        'data', jsonb_build_object('redeemed_at', k.validated_at))
      ELSE jsonb_build_object('refused', coalesce(k.refusal, 'cancelled'))
    END AS answer
    FROM ranked k LEFT JOIN closed c ON true
  ), ${ANSWER}`,
);
