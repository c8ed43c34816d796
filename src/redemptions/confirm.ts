import type { Confirmed } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, byKey, prepared } from '../db/statement.ts';
import { ANSWER, type Claim, input, underKeys } from '../idempotency/claim.ts';
import { lockMerchants } from '../merchants/lock.ts';
import {
  answersOf,
  branchOf,
  deviceOf,
  expireDue,
  lockRedemptions,
  ONE_WINS,
} from './redemption.ts';

/** One merchant's word that the goods were handed over. */
export interface Confirm extends Claim, MerchantCredential {
  redemption_id: string;
  changed_by: object;
}

/**
 * Merchant confirms: pending becomes confirmed, once, on any number of nodes. Moves no points.
 *
 * Refusals: unknown_code (absent or another merchant's), already_redeemed (with time and
 * branch of first use, for the owner), expired (with the time), cancelled, reversed; unauthorized
 * when the key or the device no longer holds.
 */
export async function confirm(
  db: Database,
  rows: readonly Confirm[],
): Promise<Answer<Confirmed>[]> {
  // Undecided is a row that fell due while its transaction waited for the merchant's lock.
  return decideAll(rows, async (open) => {
    const ids = open.map((row) => row.redemption_id);
    const results = await db.transaction([
      lockRedemptions(ids),
      expireDue(ids, null),
      lockMerchants(open.map((row) => row.merchant_id)),
      underKeys(CONFIRM(batch(open))),
    ]);
    return answersOf<Confirmed>(results[3]);
  });
}

const CONFIRM = prepared(
  'redemptions.confirm',
  `WITH ${input(`redemption_id uuid, merchant_id uuid, key_id text, proven_hash text,
      changed_by jsonb`)}, clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
  ), judged AS MATERIALIZED (
    SELECT i.*, c.now, r.offer_id, r.offer_name, r.lumis_spent, r.user_id,
      r.merchant_id AS owner_id, r.validated_by_merchant_id, r.validated_at, r.code_expires_at,
      r.changed_by AS changed_before,
      CASE
        WHEN i.stored IS NOT NULL THEN 'stored'
        WHEN NOT lumis.merchant_may_act(i.merchant_id, i.key_id, i.proven_hash) THEN 'unauthorized'
        WHEN r.redemption_id IS NULL OR r.merchant_id <> i.merchant_id THEN 'unknown_code'
        WHEN r.redemption_status = 'confirmed' THEN 'already_redeemed'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status <> 'pending' THEN r.redemption_status
        WHEN r.code_expires_at <= c.now THEN 'undecided'
      END AS refusal
    FROM input i CROSS JOIN clock c
    LEFT JOIN ${byKey('rewards.user_redemptions', 'redemption_id = i.redemption_id')} r ON true
  ), ranked AS (
    ${ONE_WINS}
  ), used AS (      -- who used it first, and when: the others of this batch are told so
    SELECT k.*,
      coalesce(k.validated_by_merchant_id::text,
        max(k.merchant_id::text) FILTER (WHERE k.wins) OVER (PARTITION BY k.redemption_id)) AS user,
      coalesce(k.validated_at, k.now) AS used_at,
      CASE WHEN k.validated_at IS NOT NULL THEN ${deviceOf('k.changed_before')}
        ELSE max(${deviceOf('k.changed_by')}) FILTER (WHERE k.wins)
          OVER (PARTITION BY k.redemption_id) END AS used_by
    FROM ranked k
  ), decided AS MATERIALIZED (
    SELECT u.*, coalesce(u.refusal NOT IN ('unauthorized', 'undecided'), true) AS keep, CASE
      WHEN u.wins THEN jsonb_build_object('done', jsonb_build_object(
        'redemption_id', u.redemption_id, 'offer_name', u.offer_name,
        'lumis_spent', u.lumis_spent, 'redemption_status', 'confirmed', 'validated_at', u.now))
      WHEN u.refusal = 'undecided' THEN NULL
      WHEN coalesce(u.refusal, 'already_redeemed') = 'already_redeemed' THEN
        jsonb_build_object('refused', 'already_redeemed', 'data', CASE
          WHEN u.merchant_id::text IN (u.owner_id::text, u.user)
          THEN jsonb_strip_nulls(jsonb_build_object('redeemed_at', u.used_at,
            'redeemed_branch', ${branchOf('u.used_by')})) ELSE '{}' END)
      WHEN u.refusal = 'expired' THEN jsonb_build_object('refused', u.refusal,
        'data', jsonb_build_object('expired_at', u.code_expires_at))
      ELSE jsonb_build_object('refused', u.refusal)
    END AS answer
    FROM used u
  ), confirmed AS (
    UPDATE rewards.user_redemptions r
    SET redemption_status = 'confirmed', validated_by_merchant_id = d.merchant_id,
      validated_at = d.now, changed_by = d.changed_by
    FROM decided d WHERE d.wins AND r.redemption_id = d.redemption_id
  ), event AS (
    INSERT INTO lumis.events
      (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
    SELECT 'redemption.confirmed', d.redemption_id, 2, d.user_id, d.merchant_id, d.offer_id,
      jsonb_build_object('lumis_spent', d.lumis_spent, 'offer_name', d.offer_name,
        'validated_at', d.now) || jsonb_strip_nulls(jsonb_build_object(
          'device_id', ${deviceOf('d.changed_by')},
          'branch_id', d.changed_by->'details'->>'branch_id'))
    FROM decided d WHERE d.wins
  ), ${ANSWER}`,
);
