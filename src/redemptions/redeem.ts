import type { Redeemed } from '../contract/redemption.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import { landingToken, uuidV7 } from '../core/ids.ts';
import type { Database } from '../db/pool.ts';
import { batch, byKey, prepared, type Statement } from '../db/statement.ts';
import {
  answerWith,
  type Claim,
  input,
  isUnused,
  keepAnswers,
  underKeys,
} from '../idempotency/claim.ts';
import { lockMembers } from '../ledger/lock.ts';
import { lockOffers } from '../offers/lock.ts';
import { LIVE_OF } from '../offers/offer.ts';
import { newCode } from './code.ts';
import { AGAIN, FACTS, KEPT, QR, toldTo } from './redeemed.ts';

/** One member's wish for one offer. */
export interface Redeem extends Claim {
  user_id: number;
  offer_id: string;
  changed_by: object;
}

/** What a redeem locks. */
export const subjectsOfRedeem = ({ offer_id, user_id }: Redeem) => [
  offer_id.toLowerCase(),
  String(user_id),
];

/** A row with what its redemption will be known by. */
const issue = (row: Redeem) => ({
  redemption_id: uuidV7(),
  code: newCode(),
  token: landingToken(),
  ...row,
});
type Issued = ReturnType<typeof issue>;

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
 * offer's row. Stock goes to the rows of a batch in their order, but for those that somebody is in the
 * way of; a member's own rows are decided one after the other.
 */
export async function redeem(
  db: Database,
  issuing: Issuing,
  rows: readonly Redeem[],
): Promise<Answer<Redeemed>[]> {
  // One of a member at a time: what it leaves is what the next one finds.
  const apart = (row: Redeem) => row.user_id;
  return decideAll(rows, apart, async (open, isAgain) => {
    const { ttl_minutes, public_url } = issuing;
    const given = [db.lockTimeoutMs, ttl_minutes, public_url];
    const issued = open.map(issue);
    const [first] = issued;
    if (first && open.length === 1 && !isAgain) {
      const [granted] = await db.transaction([underKeys(redeemAlone(first, given))]);
      if (granted?.length) return toldTo(issued, granted);
    }
    const locks = isAgain
      ? [lockMembers(open.map((row) => row.user_id)), lockOffers(open.map((row) => row.offer_id))]
      : [];
    const results = await db.transaction([...locks, underKeys(REDEEM(batch(issued), ...given))]);
    return toldTo(issued, results.at(-1) ?? []);
  });
}

/** What of an offer decides, and what a redemption keeps of it. */
const TERMS = `o.offer_id, o.name_friendly, o.merchant_id, o.lumis_cost, o.stock_quantity, o.is_active,
      o.valid_from, o.valid_to, o.max_redemptions_per_user, o.code_ttl_minutes, o.on_expiry`;

/** CTEs that write what each `winner` gets, but for the stock. */
const GRANTED = `redemption AS (
    INSERT INTO rewards.user_redemptions (redemption_id, user_id, offer_id, lumis_spent,
      redemption_code, qr_image_url, qr_landing_url, code_expires_at, created_at, offer_name,
      merchant_id, on_expiry, landing_token, changed_by)
    SELECT w.redemption_id, w.user_id, w.offer_id, w.lumis_cost, w.code,
      w.qr_image_url, w.qr_landing_url, w.expires_at, w.now, w.name_friendly,
      w.merchant_id, w.on_expiry, w.token, w.changed_by
    FROM winner w
  ), spend AS (
    INSERT INTO public.fact_accumulations
      (user_id, accum_type, dtype, quantity, date, redemption_id, kind)
    SELECT w.user_id, 'redemption', 'points', -w.lumis_cost, w.now, w.redemption_id, 'spend'
    FROM winner w
  ), event AS (
    INSERT INTO lumis.events
      (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
    SELECT 'redemption.created', w.redemption_id, 1, w.user_id, w.merchant_id, w.offer_id,
      jsonb_build_object('lumis_spent', w.lumis_cost, 'offer_name', w.name_friendly)
    FROM winner w
  )`;

const REDEEM = prepared(
  'redemptions.redeem',
  `WITH ${input(
    'user_id integer, offer_id uuid, redemption_id uuid, code text, token text, changed_by jsonb',
    AGAIN,
  )}, member AS MATERIALIZED (
    SELECT b.user_id, b.balance, b.updated_at FROM lumis.balances b
    WHERE b.user_id = ANY (ARRAY(SELECT i.user_id FROM input i)) FOR NO KEY UPDATE SKIP LOCKED
  ), offer AS MATERIALIZED (
    SELECT ${TERMS}
    FROM rewards.redemption_offers o
    WHERE o.offer_id = ANY (ARRAY(SELECT i.offer_id FROM input i)) FOR NO KEY UPDATE SKIP LOCKED
  ), clock AS MATERIALIZED (     -- R7: read when the locks are there
    SELECT clock_timestamp() AS now
    FROM (SELECT count(*) FROM member) m CROSS JOIN (SELECT count(*) FROM offer) o
  ), judged AS MATERIALIZED (  -- what each row would be told if it were the only one
    SELECT i.*, o.name_friendly, o.merchant_id, m.merchant_name, o.lumis_cost, o.stock_quantity,
      o.on_expiry, c.now, coalesce(b.balance, 0) AS balance,
      c.now + make_interval(mins => coalesce(o.code_ttl_minutes, $3)) AS expires_at,
      CASE WHEN i.stored IS NOT NULL THEN 'stored'
           WHEN o.offer_id IS NULL THEN coalesce((SELECT 'undecided'
             FROM rewards.redemption_offers x WHERE x.offer_id = i.offer_id), 'unknown_offer')
           WHEN w.refusal IS NOT NULL THEN w.refusal
           WHEN (b.user_id IS NULL OR o.max_redemptions_per_user IS NOT NULL) AND (
             SELECT (x.balance, x.updated_at) IS DISTINCT FROM (b.balance, b.updated_at)
             FROM lumis.balances x WHERE x.user_id = i.user_id) THEN 'undecided'
           WHEN o.max_redemptions_per_user IS NOT NULL AND o.max_redemptions_per_user <= (
             SELECT count(*) FROM ${LIVE_OF('i.user_id')} l WHERE l.offer_id = i.offer_id)
             THEN 'limit_member'
           WHEN floor(coalesce(b.balance, 0)) < o.lumis_cost THEN 'insufficient_points'
      END AS refusal
    FROM input i CROSS JOIN clock c
    LEFT JOIN offer o USING (offer_id)
    LEFT JOIN member b USING (user_id)
    LEFT JOIN ${byKey('rewards.merchants', 'merchant_id = o.merchant_id')} m ON true
    CROSS JOIN LATERAL (SELECT lumis.offer_refusal(o.is_active AND coalesce(m.is_active, true),
      o.valid_from, o.valid_to, o.stock_quantity, c.now) AS refusal) w
  ), placed AS (    -- the stock goes to the first that may have it
    SELECT j.*, coalesce(j.refusal, CASE WHEN j.stock_quantity < count(*)
        FILTER (WHERE j.refusal IS NULL) OVER (PARTITION BY j.offer_id ORDER BY j.ord)
        THEN 'out_of_stock' END) AS verdict
    FROM judged j
  ), decided AS MATERIALIZED (
    SELECT p.*, ${QR}, p.verdict IS DISTINCT FROM 'undecided' AS keep, CASE
      WHEN p.verdict IS NULL THEN ${KEPT}
      WHEN p.verdict = 'insufficient_points' THEN jsonb_build_object('refused', p.verdict,
        'data', jsonb_build_object('missing_lumis', p.lumis_cost - floor(p.balance)))
      WHEN p.verdict <> 'undecided' THEN jsonb_build_object('refused', p.verdict)
    END AS answer
    FROM placed p
  ), winner AS (
    SELECT d.* FROM decided d WHERE d.verdict IS NULL
  ), taken AS (     -- from what was locked: this view of the row may be older, and lack the stock
    UPDATE rewards.redemption_offers o
    SET stock_quantity = t.stock_quantity - t.units, stock_held = o.stock_held + t.units
    FROM (SELECT w.offer_id, w.stock_quantity, count(*)::integer AS units
          FROM winner w GROUP BY w.offer_id, w.stock_quantity) t
    WHERE o.offer_id = t.offer_id
  ), ${GRANTED}, ${answerWith(...FACTS)}`,
);

/**
 * One row, granted: what comes alone needs no sharing out, and most can be granted, for three quarters
 * of the work of REDEEM. Where anything speaks against it nothing is written and no row answers.
 * `given` is what both statements have as $2 to $4.
 */
function redeemAlone(row: Issued, given: unknown[]): Statement {
  return REDEEM_ALONE(
    row.user_id,
    ...given,
    row.offer_id,
    row.redemption_id,
    row.code,
    row.token,
    row.changed_by,
    row.actor_type,
    row.actor_id,
    row.key,
    row.fingerprint,
  );
}

/** Its idempotency key, among the parameters. */
const KEY = '$10, $11, $12';

const REDEEM_ALONE = prepared(
  'redemptions.redeem_alone',
  `WITH offer AS MATERIALIZED (  -- R7: nobody is waited for, so the time is that of the locks
    SELECT ${TERMS}, clock_timestamp() AS now
    FROM rewards.redemption_offers o
    WHERE o.offer_id = $5 AND o.is_active AND o.stock_quantity IS DISTINCT FROM 0
    FOR NO KEY UPDATE SKIP LOCKED
  ), member AS MATERIALIZED (    -- sought then: who has locked anything waits for the disk at the end
    SELECT b.user_id, b.balance, b.updated_at, set_config('lock_timeout', $2::integer::text, true)
    FROM lumis.balances b WHERE b.user_id = $1 AND EXISTS (SELECT FROM offer)
    FOR NO KEY UPDATE SKIP LOCKED
  ), free AS (
    SELECT o.*, m.merchant_name, b.user_id, b.balance, $6::uuid AS redemption_id, $7 AS code,
      $8 AS token, o.now + make_interval(mins => coalesce(o.code_ttl_minutes, $3)) AS expires_at
    FROM member b CROSS JOIN offer o
    LEFT JOIN ${byKey('rewards.merchants', 'merchant_id = o.merchant_id')} m ON true
    WHERE o.lumis_cost <= floor(b.balance)
      AND lumis.offer_refusal(o.is_active AND coalesce(m.is_active, true),
        o.valid_from, o.valid_to, o.stock_quantity, o.now) IS NULL
      AND ${isUnused(KEY)}
      AND (o.max_redemptions_per_user IS NULL OR (
        SELECT (x.balance, x.updated_at) IS NOT DISTINCT FROM (b.balance, b.updated_at)
        FROM lumis.balances x WHERE x.user_id = b.user_id) AND o.max_redemptions_per_user > (
        SELECT count(*) FROM ${LIVE_OF('b.user_id')} l WHERE l.offer_id = o.offer_id))
  ), winner AS MATERIALIZED (
    SELECT p.*, $9::jsonb AS changed_by, ${QR}, ${KEPT} AS answer FROM free p
  ), taken AS (
    UPDATE rewards.redemption_offers o
    SET stock_quantity = w.stock_quantity - 1, stock_held = o.stock_held + 1
    FROM winner w WHERE o.offer_id = w.offer_id
  ), ${GRANTED}, kept AS (
    ${keepAnswers(KEY, '$13', 'w.answer', 'winner w')}
  )
  SELECT ${FACTS.map((column) => `w.${column}, `).join('')}w.answer FROM winner w`,
);
