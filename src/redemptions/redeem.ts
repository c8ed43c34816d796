import type { Redeemed } from '../contract/redemption.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import { landingToken, uuidV7 } from '../core/ids.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';
import { ANSWER, CLAIM_COLUMNS, type Claim, claimKeys, STORED } from '../idempotency/claim.ts';
import { lockMembers } from '../ledger/lock.ts';
import { lockOffers } from '../offers/lock.ts';
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
    const input = open.map((row) => ({
      ...row,
      redemption_id: uuidV7(),
      code: newCode(),
      token: landingToken(),
    }));
    const results = await db.transaction([
      claimKeys(open),
      lockMembers(open.map((row) => row.user_id)),
      lockOffers(open.map((row) => row.offer_id)),
      REDEEM(batch(input), issuing.ttl_minutes, issuing.public_url),
    ]);
    return answersOf<Redeemed>(results[3]);
  });
}

const REDEEM = prepared(
  'redemptions.redeem',
  `WITH input AS MATERIALIZED (
    SELECT i.*, k.answer AS stored, k.fingerprint <> decode(i.fingerprint, 'hex') AS reused
    FROM json_to_recordset($1) AS i(ord integer, user_id integer, offer_id uuid,
      redemption_id uuid, code text, token text, changed_by jsonb, ${CLAIM_COLUMNS})
    ${STORED}
  ), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
  ), alone AS (     -- what each row would be told if it were the only one
    SELECT i.*, o.name_friendly, o.merchant_id, o.lumis_cost, o.stock_quantity, o.on_expiry,
      c.now, c.now + make_interval(mins => coalesce(o.code_ttl_minutes, $2)) AS expires_at,
      coalesce(b.balance, 0) AS balance, floor(coalesce(b.balance, 0)) - o.lumis_cost AS rest,
      a.allowance,
      CASE WHEN o.offer_id IS NULL THEN 'unknown_offer'
           WHEN a.allowance <= 0 THEN coalesce(w.refusal, 'limit_member')
           WHEN floor(coalesce(b.balance, 0)) < o.lumis_cost
             THEN coalesce(w.refusal, 'insufficient_points')
           ELSE w.refusal END AS refusal
    FROM input i CROSS JOIN clock c
    LEFT JOIN rewards.redemption_offers o ON o.offer_id = i.offer_id
    LEFT JOIN lumis.balances b ON b.user_id = i.user_id
    CROSS JOIN LATERAL (SELECT lumis.offer_refusal(
      o.is_active, o.valid_from, o.valid_to, o.stock_quantity, c.now) AS refusal) w
    LEFT JOIN LATERAL (
      SELECT o.max_redemptions_per_user - count(*) AS allowance
      FROM rewards.user_redemptions r
      WHERE r.user_id = i.user_id AND r.offer_id = i.offer_id
        AND r.redemption_status IN ('pending', 'confirmed')
    ) a ON o.max_redemptions_per_user IS NOT NULL
    WHERE i.stored IS NULL
  ), together AS (  -- and what the member's earlier rows of this batch leave over for it
    SELECT a.*, a.balance - sum(a.lumis_cost) OVER member AS balance_left,
      floor(a.balance) < sum(a.lumis_cost) OVER member
        OR coalesce(row_number() OVER same_offer > a.allowance, false) AS undecided
    FROM alone a WHERE a.refusal IS NULL
    WINDOW member AS (PARTITION BY a.user_id ORDER BY a.ord),
           same_offer AS (PARTITION BY a.user_id, a.offer_id ORDER BY a.ord)
  ), ranked AS (
    SELECT t.*, row_number() OVER (PARTITION BY t.offer_id ORDER BY t.ord) AS place
    FROM together t WHERE NOT t.undecided
  ), winner AS (
    SELECT * FROM ranked WHERE stock_quantity IS NULL OR place <= stock_quantity
  ), redemption AS (
    INSERT INTO rewards.user_redemptions (redemption_id, user_id, offer_id, lumis_spent,
      redemption_code, qr_image_url, qr_landing_url, code_expires_at, created_at, offer_name,
      merchant_id, on_expiry, landing_token, changed_by)
    SELECT w.redemption_id, w.user_id, w.offer_id, w.lumis_cost, w.code,
      $3 || '/api/v1/rewards/redemptions/' || w.redemption_id || '/qr.png',
      $3 || '/r/' || w.token, w.expires_at, w.now, w.name_friendly,
      w.merchant_id, w.on_expiry, w.token, w.changed_by
    FROM winner w
    RETURNING *
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
  ), decided AS (
    SELECT i.ord, i.stored IS NULL AND coalesce(t.undecided, false) IS FALSE AS keep,
      CASE
        WHEN r.redemption_id IS NOT NULL THEN jsonb_build_object('done', jsonb_build_object(
          'redemption_id', r.redemption_id, 'offer_id', r.offer_id, 'offer_name', r.offer_name,
          'merchant_id', r.merchant_id, 'merchant_name', m.merchant_name,
          'lumis_spent', r.lumis_spent, 'redemption_status', r.redemption_status,
          'redemption_code', r.redemption_code, 'qr_image_url', r.qr_image_url,
          'qr_landing_url', r.qr_landing_url, 'created_at', r.created_at,
          'code_expires_at', r.code_expires_at, 'validated_at', r.validated_at,
          'closed_at', r.closed_at, 'cancellation_reason', r.cancellation_reason,
          'on_expiry', r.on_expiry, 'balance', t.balance_left))
        WHEN t.undecided THEN NULL
        WHEN a.refusal = 'insufficient_points' THEN jsonb_build_object(
          'refused', a.refusal, 'data', jsonb_build_object('missing_lumis', -a.rest))
        ELSE jsonb_build_object('refused', coalesce(a.refusal, 'out_of_stock'))
      END AS answer
    FROM input i
    LEFT JOIN alone a USING (ord)
    LEFT JOIN together t USING (ord)
    LEFT JOIN redemption r ON r.redemption_id = i.redemption_id
    LEFT JOIN rewards.merchants m ON m.merchant_id = r.merchant_id
    WHERE i.stored IS NULL
  ), ${ANSWER}`,
);
