import type { Cancelled } from '../contract/redemption.ts';
import type { Answer } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';
import { ANSWER, CLAIM_COLUMNS, type Claim, claimKeys, STORED } from '../idempotency/claim.ts';
import { lockMembersOf } from '../ledger/lock.ts';
import { lockOffersOf } from '../offers/lock.ts';
import { answersOf, expireDue, lockRedemptions } from './redemption.ts';

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
    claimKeys(rows),
    lockRedemptions(ids),
    expireDue(ids, null),
    lockMembersOf(ids),
    lockOffersOf(ids),
    CANCEL(batch(rows)),
  ]);
  return answersOf<Cancelled>(results[5]) as Answer<Cancelled>[];
}

const CANCEL = prepared(
  'redemptions.cancel',
  `WITH input AS MATERIALIZED (
    SELECT i.*, k.answer AS stored, k.fingerprint <> decode(i.fingerprint, 'hex') AS reused
    FROM json_to_recordset($1) AS i(ord integer, redemption_id uuid, user_id integer, reason text,
      changed_by jsonb, ${CLAIM_COLUMNS})
    ${STORED}
  ), judged AS MATERIALIZED (
    SELECT i.ord, i.redemption_id, i.reason, i.changed_by, r.user_id, r.lumis_spent,
      r.validated_at, b.balance,
      CASE
        WHEN r.redemption_id IS NULL OR r.user_id <> i.user_id THEN 'not_found'
        WHEN r.redemption_status = 'confirmed' THEN 'already_redeemed'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status <> 'pending' THEN r.redemption_status
      END AS refusal
    FROM input i
    LEFT JOIN rewards.user_redemptions r ON r.redemption_id = i.redemption_id
    LEFT JOIN lumis.balances b ON b.user_id = r.user_id
    WHERE i.stored IS NULL
  ), first AS MATERIALIZED (     -- of several in one batch, one wins
    SELECT o.*, o.balance + sum(o.lumis_spent) OVER (PARTITION BY o.user_id ORDER BY o.ord)
      AS balance_after
    FROM (SELECT DISTINCT ON (j.redemption_id) j.* FROM judged j WHERE j.refusal IS NULL
          ORDER BY j.redemption_id, j.ord) o
  ), closed AS MATERIALIZED (
    SELECT clock_timestamp() AS now, lumis.close_redemptions(array_agg(f.redemption_id),
      'cancelled', array_agg(f.changed_by), array_agg(f.reason), array_agg(true)) AS rows
    FROM first f HAVING count(*) > 0
  ), decided AS (
    SELECT j.ord, true AS keep, CASE
      WHEN f.ord IS NOT NULL THEN jsonb_build_object('done', jsonb_build_object(
        'redemption_id', j.redemption_id, 'redemption_status', 'cancelled',
        'lumis_refunded', j.lumis_spent, 'balance', f.balance_after, 'closed_at', c.now))
      WHEN j.refusal = 'already_redeemed' THEN jsonb_build_object('refused', j.refusal,
        'data', jsonb_build_object('redeemed_at', j.validated_at))
      ELSE jsonb_build_object('refused', coalesce(j.refusal, 'cancelled'))
    END AS answer
    FROM judged j LEFT JOIN first f USING (ord) LEFT JOIN closed c ON true
  ), ${ANSWER}`,
);
