import type { Redeemed } from '../contract/redemption.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import { landingToken, uuidV7 } from '../core/ids.ts';
import type { Database } from '../db/pool.ts';
import { batch, byKey, prepared } from '../db/statement.ts';
import { ANSWER, type Claim, input, underKeys } from '../idempotency/claim.ts';
import { lockMembers } from '../ledger/lock.ts';
import { lockOffers } from '../offers/lock.ts';
import { LIVE_OF } from '../offers/offer.ts';
import { newCode } from './code.ts';
import { answersOf } from './redemption.ts';

/** One member's wish for one offer. */
export interface Redeem extends Claim {
  user_id: number;
  offer_id: string;
  changed_by: object;
}

/** How codes are issued: lifetime where the offer says none, and where QRs lead to. */
export interface Issuing {
  ttl_minutes: number;
  public_url: string;
}

/**
 * Member spends points, gets a code: takes a unit of stock, writes the spend, the redemption
 * (pending, with what the offer said frozen into it), its audit row and its event, all or nothing.
 *
 * Refusals: unknown_offer, offer_inactive, offer_not_started, offer_ended, out_of_stock,
 * limit_member, insufficient_points (with missing_lumis). Price, merchant and limits come from the
 * offer's row; stock and balance are cumulative over the batch, in its order.
 */
export async function redeem(
  db: Database,
  issuing: Issuing,
  rows: readonly Redeem[],
): Promise<Answer<Redeemed>[]> {
  // Undecided is a row that an earlier one of the same member may have made too dear.
  return decideAll(rows, async (open) => {
    const issued = open.map((row) => ({
      ...row,
      redemption_id: uuidV7(),
      code: newCode(),
      token: landingToken(),
    }));
    const results = await db.transaction([
      lockMembers(open.map((row) => row.user_id)),
      lockOffers(open.map((row) => row.offer_id)),
      underKeys(REDEEM(batch(issued), issuing.ttl_minutes, issuing.public_url)),
    ]);
    return answersOf<Redeemed>(results[2]);
  });
}

const REDEEM = prepared(
  'redemptions.redeem',
  `WITH ${input(`user_id integer, offer_id uuid, redemption_id uuid, code text, token text,
      changed_by jsonb`)}, clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
  ), alone AS (     -- what each row would be told if it were the only one
    SELECT i.*, o.name_friendly, o.merchant_id, m.merchant_name, o.lumis_cost, o.stock_quantity,
      o.on_expiry, c.now, a.allowance, coalesce(b.balance, 0) AS balance,
      c.now + make_interval(mins => coalesce(o.code_ttl_minutes, $2)) AS expires_at,
      CASE WHEN i.stored IS NOT NULL THEN 'stored'
           WHEN o.offer_id IS NULL THEN 'unknown_offer'
           WHEN w.refusal IS NOT NULL THEN w.refusal
           WHEN a.allowance <= 0 THEN 'limit_member'
           WHEN floor(coalesce(b.balance, 0)) < o.lumis_cost THEN 'insufficient_points'
      END AS refusal
    FROM input i CROSS JOIN clock c
    LEFT JOIN ${byKey('rewards.redemption_offers', 'offer_id = i.offer_id')} o ON true
    LEFT JOIN ${byKey('rewards.merchants', 'merchant_id = o.merchant_id')} m ON true
    LEFT JOIN ${byKey('lumis.balances', 'user_id = i.user_id')} b ON true
    CROSS JOIN LATERAL (SELECT lumis.offer_refusal(
      o.is_active AND coalesce(m.is_active, true), o.valid_from, o.valid_to, o.stock_quantity, c.now) AS refusal) w
    LEFT JOIN LATERAL (
      SELECT o.max_redemptions_per_user - count(*) AS allowance
      FROM ${LIVE_OF('i.user_id')} r
      WHERE o.max_redemptions_per_user IS NOT NULL AND r.offer_id = i.offer_id
    ) a ON o.max_redemptions_per_user IS NOT NULL
  ), together AS (  -- and what the member's earlier rows of this batch leave over for it
    SELECT a.*, a.refusal IS NULL AND (
        floor(a.balance) < sum(a.lumis_cost) FILTER (WHERE a.refusal IS NULL) OVER member
        OR coalesce(count(*) FILTER (WHERE a.refusal IS NULL) OVER same_offer > a.allowance, false)
      ) AS undecided
    FROM alone a
    WINDOW member AS (PARTITION BY a.user_id ORDER BY a.ord),
           same_offer AS (PARTITION BY a.user_id, a.offer_id ORDER BY a.ord)
  ), placed AS (    -- the stock goes to the first that may have it
    SELECT t.*, coalesce(t.refusal, CASE WHEN t.undecided THEN 'undecided'
        WHEN t.stock_quantity < count(*) FILTER (WHERE t.refusal IS NULL AND NOT t.undecided)
          OVER (PARTITION BY t.offer_id ORDER BY t.ord) THEN 'out_of_stock' END) AS verdict
    FROM together t
  ), decided AS MATERIALIZED (
    SELECT p.*, p.verdict IS DISTINCT FROM 'undecided' AS keep, CASE
      WHEN p.verdict IS NULL THEN jsonb_build_object('done', jsonb_build_object(
        'redemption_id', p.redemption_id, 'offer_id', p.offer_id, 'offer_name', p.name_friendly,
        'merchant_id', p.merchant_id, 'merchant_name', p.merchant_name,
        'lumis_spent', p.lumis_cost, 'redemption_status', 'pending', 'redemption_code', p.code,
        'qr_image_url', $3 || '/api/v1/rewards/redemptions/' || p.redemption_id || '/qr.png',
        'qr_landing_url', $3 || '/r/' || p.token, 'created_at', p.now,
        'code_expires_at', p.expires_at, 'validated_at', NULL, 'closed_at', NULL,
        'cancellation_reason', NULL, 'on_expiry', p.on_expiry,
        'balance', p.balance - sum(p.lumis_cost) FILTER (WHERE p.verdict IS NULL)
          OVER (PARTITION BY p.user_id ORDER BY p.ord)))
      WHEN p.verdict = 'insufficient_points' THEN jsonb_build_object('refused', p.verdict,
        'data', jsonb_build_object('missing_lumis', p.lumis_cost - floor(p.balance)))
      WHEN p.verdict <> 'undecided' THEN jsonb_build_object('refused', p.verdict)
    END AS answer
    FROM placed p
  ), winner AS (
    SELECT d.*, d.answer->'done' AS made FROM decided d WHERE d.verdict IS NULL
  ), redemption AS (
    INSERT INTO rewards.user_redemptions (redemption_id, user_id, offer_id, lumis_spent,
      redemption_code, qr_image_url, qr_landing_url, code_expires_at, created_at, offer_name,
      merchant_id, on_expiry, landing_token, changed_by)
    SELECT w.redemption_id, w.user_id, w.offer_id, w.lumis_cost, w.code,
      w.made->>'qr_image_url', w.made->>'qr_landing_url', w.expires_at, w.now, w.name_friendly,
      w.merchant_id, w.on_expiry, w.token, w.changed_by
    FROM winner w
  ), spend AS (
    INSERT INTO public.fact_accumulations
      (user_id, accum_type, dtype, quantity, date, redemption_id, kind)
    SELECT w.user_id, 'redemption', 'points', -w.lumis_cost, w.now, w.redemption_id, 'spend'
    FROM winner w
  ), taken AS (
    UPDATE rewards.redemption_offers o
    SET stock_quantity = o.stock_quantity - t.units, stock_held = o.stock_held + t.units
    FROM (SELECT w.offer_id, count(*)::integer AS units FROM winner w GROUP BY w.offer_id) t
    WHERE o.offer_id = t.offer_id
  ), event AS (
    INSERT INTO lumis.events
      (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
    SELECT 'redemption.created', w.redemption_id, 1, w.user_id, w.merchant_id, w.offer_id,
      jsonb_build_object('lumis_spent', w.lumis_cost, 'offer_name', w.name_friendly)
    FROM winner w
  ), ${ANSWER}`,
);
