import { activeOf, type Size } from './names.ts';
import {
  codeOf,
  DAYS,
  isForfeit,
  keyOf,
  nameOf,
  PENDING_HOURS,
  PUBLIC_URL,
  priceOf,
  symbolsOf,
  TILL,
  tokenOf,
  uuidOf,
  WALLET,
} from './words.ts';

/**
 * Writes redemptions with all that hangs on them, as the engine and its triggers would have: those
 * at the places $1 to $2 in time, seen from $3, a timestamptz. First come the ended ones, the
 * oldest foremost, then the pending ones. Ids of ledger entries, audit rows and events follow from
 * the place, so that sessions side by side need no sequence.
 */
export const redemptionsSql = (size: Size): string => `WITH ${story(size)}, redemption AS (
    INSERT INTO rewards.user_redemptions (redemption_id, user_id, offer_id, lumis_spent,
      redemption_code, qr_image_url, qr_landing_url, redemption_status, validated_by_merchant_id,
      validated_at, code_expires_at, created_at, offer_name, merchant_id, on_expiry, landing_token,
      closed_at, cancellation_reason, changed_by)
    SELECT s.redemption_id, s.member, s.offer_id, s.price, ${codeOf('s.symbols', 's.code_md5')},
      '${PUBLIC_URL}/api/v1/rewards/redemptions/' || s.redemption_id || '/qr.png',
      '${PUBLIC_URL}/r/' || s.token,
      CASE s.outcome WHEN 'reversed' THEN 'cancelled' ELSE s.outcome END,
      CASE WHEN s.used_at IS NOT NULL THEN s.merchant_id END, s.used_at, s.expires_at,
      s.created_at, s.offer_name, s.merchant_id, s.on_expiry, s.token, s.closed_at, s.reason,
      CASE WHEN s.used_at IS NULL THEN s.by_member ELSE s.by_merchant END
    FROM story s
  ), entry AS (
    INSERT INTO public.fact_accumulations
      (id, user_id, accum_type, dtype, quantity, date, redemption_id, kind)
    SELECT ${size.members} + s.place * 2 + w.nth, s.member, 'redemption', 'points', w.quantity,
      w.at, s.redemption_id, w.kind
    FROM story s CROSS JOIN LATERAL (VALUES (-1, -s.price, s.created_at, 'spend'),
      (0, s.refund, s.closed_at, 'refund')) AS w(nth, quantity, at, kind)
    WHERE w.quantity <> 0
  ), audit AS (
    INSERT INTO rewards.redemption_audit_log (log_id, redemption_id, action, actor_type, actor_id,
      ip_address, user_agent, request_id, metadata, created_at)
    SELECT s.place * 3 + c.nth, s.redemption_id, c.action, coalesce(c.by->>'type', 'system'),
      coalesce(c.by->>'id', session_user), (c.by->>'ip')::inet, c.by->>'agent',
      c.by->>'request_id', s.facts || CASE WHEN c.nth = 0 AND s.reason IS NOT NULL
        THEN jsonb_build_object('reason', s.reason) ELSE '{}' END
        || coalesce(c.by->'details', '{}'), c.at
    FROM story s CROSS JOIN LATERAL (${changes('s')}) c
  ), event AS (
    INSERT INTO lumis.events (id, type, redemption_id, sequence, user_id, merchant_id, offer_id,
      payload, created_at) OVERRIDING SYSTEM VALUE
    SELECT s.place * 3 + c.nth, 'redemption.' || c.action, s.redemption_id, c.sequence, s.member,
      s.merchant_id, s.offer_id,
      jsonb_build_object('lumis_spent', s.price, 'offer_name', s.offer_name) || CASE c.action
        WHEN 'created' THEN '{}'
        WHEN 'confirmed' THEN jsonb_build_object('validated_at', s.used_at)
        ELSE jsonb_strip_nulls(jsonb_build_object('lumis_refunded', s.refund, 'reason', s.reason))
      END, c.at
    FROM story s CROSS JOIN LATERAL (${changes('s')}) c
  )
  SELECT count(*) FROM story`;

/** What a redemption went through, each with the place of its audit row and event among three. */
const changes = (s: string) => `SELECT v.* FROM (VALUES
      (-2, 1, 'created', ${s}.created_at, ${s}.by_member),
      (-1, 2, 'confirmed', ${s}.used_at, ${s}.by_merchant),
      (0, CASE ${s}.outcome WHEN 'reversed' THEN 3 ELSE 2 END, ${s}.outcome, ${s}.closed_at,
        CASE ${s}.outcome WHEN 'reversed' THEN ${s}.by_merchant
          WHEN 'cancelled' THEN ${s}.by_member END)
    ) AS v(nth, sequence, action, at, by) WHERE v.at IS NOT NULL`;

/** CTEs down to `story`, a row for each redemption. Materialized: each value is computed once. */
function story(size: Size): string {
  const { offers, merchants, members, redemptions, pending } = size;
  const active = activeOf(size);
  const apart = Math.floor(members / active);
  const ended = redemptions - pending;
  const seconds = { all: DAYS * 86_400, last: PENDING_HOURS * 3600 };
  return `numbered AS MATERIALIZED (
    SELECT p.place, p.n, hashint8(p.n) & 2147483647 AS dice, 1 + p.n % ${offers} AS offer,
      (1 + (p.n * 7919 + p.n / ${active} * 104729) % ${active} * ${apart})::integer AS member
    FROM (SELECT g AS place, CASE WHEN g <= ${ended} THEN ${pending} + g ELSE g - ${ended} END AS n
      FROM generate_series($1::bigint, $2::bigint) AS g) p
  ), drawn AS MATERIALIZED (
    SELECT p.*, 1 + (p.offer - 1) % ${merchants} AS merchant, ${priceOf('p.offer')} AS price,
      CASE WHEN p.place > ${ended} THEN 'pending' WHEN p.dice % 100 < 70 THEN 'confirmed'
        WHEN p.dice % 100 < 72 THEN 'reversed' WHEN p.dice % 100 < 85 THEN 'cancelled'
        ELSE 'expired' END AS outcome,
      $3::timestamptz + make_interval(secs => CASE WHEN p.place <= ${ended}
        THEN ${seconds.all - seconds.last}::float8 * p.place / ${Math.max(ended, 1)} - ${seconds.all}
        ELSE ${seconds.last}::float8 * (p.place - ${redemptions}) / ${Math.max(pending, 1)} END)
        AS created_at,
      make_interval(secs => 60 + p.dice / 100 % 6000) AS later
    FROM numbered p
  ), dated AS MATERIALIZED (
    SELECT d.*, d.created_at + CASE d.outcome WHEN 'expired' THEN interval '1 hour'
        WHEN 'pending' THEN make_interval(hours => 720 + d.dice % 720)
        ELSE interval '24 hours' END AS expires_at,
      CASE WHEN d.outcome IN ('confirmed', 'reversed') THEN d.created_at + d.later END AS used_at,
      CASE d.outcome WHEN 'cancelled' THEN d.created_at + d.later
        WHEN 'reversed' THEN d.created_at + d.later + interval '1 hour'
        WHEN 'expired' THEN d.created_at + interval '61 minutes' END AS closed_at,
      ${uuidOf('redemption', 'd.n')} AS redemption_id, ${uuidOf('offer', 'd.offer')} AS offer_id,
      ${uuidOf('merchant', 'd.merchant')} AS merchant_id, md5('address ' || d.n)::uuid AS request
    FROM drawn d
  ), story AS MATERIALIZED (
    SELECT d.*, ${nameOf('d.offer')} AS offer_name,
      CASE WHEN ${isForfeit('d.offer')} THEN 'forfeit' ELSE 'refund' END AS on_expiry,
      CASE WHEN d.outcome IN ('cancelled', 'reversed')
        OR d.outcome = 'expired' AND NOT ${isForfeit('d.offer')} THEN d.price ELSE 0 END AS refund,
      CASE d.outcome WHEN 'reversed' THEN 'wrong item handed over' END AS reason,
      md5('code ' || d.n) AS code_md5, ${symbolsOf(`md5('code ' || d.n)`)} AS symbols,
      ${tokenOf(`md5('token ' || d.n)`)} AS token,
      jsonb_build_object('user_id', d.member, 'offer_id', d.offer_id, 'lumis_spent', d.price)
        AS facts,
      jsonb_build_object('type', 'user', 'id', d.member::text, 'ip', '10.' || d.dice % 250 || '.'
        || d.dice / 250 % 250 || '.7', 'agent', '${WALLET}', 'request_id', d.request) AS by_member,
      jsonb_build_object('type', 'merchant', 'id', d.merchant_id, 'ip', '192.0.2.'
        || d.merchant % 250, 'agent', '${TILL}', 'request_id', d.request,
        'details', jsonb_build_object('key_id', ${keyOf('d.merchant')})) AS by_merchant
    FROM dated d
  )`;
}
