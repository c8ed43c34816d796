import type { Invariant } from './invariant.ts';

/** Redemptions, and the offers and limits they count against. */
export const REDEMPTIONS: readonly Invariant[] = [
  {
    id: 'I5',
    name: 'stock-held-is-live',
    reason: 'Stock never falls below zero, and the units held are the pending and the confirmed.',
    scoped: true,
    sql: `SELECT o.offer_id::text AS subject,
  format('%s held, %s live redemptions, %s left', o.stock_held, live.units,
    coalesce(o.stock_quantity::text, 'unlimited')) AS detail
FROM offer o
CROSS JOIN LATERAL (
  SELECT count(*) AS units FROM rewards.user_redemptions r
  WHERE r.offer_id = o.offer_id AND r.redemption_status IN ('pending', 'confirmed')
) live
WHERE o.stock_held <> live.units OR o.stock_quantity < 0`,
  },
  {
    id: 'I6',
    name: 'member-limit-kept',
    reason: 'A member never gets more live redemptions of an offer than the offer allows.',
    scoped: true,
    // A limit that was lowered later is no fault, and its old value is nowhere: only redemptions
    // issued since the offer was last edited are judged. The minute is for an edit that waited for
    // the offer's lock: its time is older than the redemptions that it waited for.
    sql: `SELECT l.user_id || ' ' || l.offer_id AS subject,
  format('%s live redemptions, %s allowed, the last one %s', max(l.nth), l.allowed,
    (array_agg(l.redemption_id ORDER BY l.nth DESC))[1]) AS detail
FROM (
  SELECT w.user_id, w.offer_id, w.redemption_id, o.max_redemptions_per_user AS allowed,
    o.updated_at = o.created_at OR w.created_at > o.updated_at + interval '1 minute' AS judged,
    row_number() OVER (PARTITION BY w.user_id, w.offer_id
      ORDER BY w.created_at, w.redemption_id) AS nth
  FROM wallet w JOIN rewards.redemption_offers o ON o.offer_id = w.offer_id
  WHERE o.max_redemptions_per_user IS NOT NULL
    AND w.redemption_status IN ('pending', 'confirmed')
) l
WHERE l.nth > l.allowed AND l.judged
GROUP BY l.user_id, l.offer_id, l.allowed`,
  },
  {
    id: 'I7',
    name: 'confirmed-by-somebody',
    reason: 'Time and merchant of the first use are there exactly when it was used, and stay.',
    scoped: true,
    sql: `SELECT r.redemption_id::text AS subject,
  format('%s, validated at %s by %s', r.redemption_status,
    coalesce(r.validated_at::text, 'no time'),
    coalesce(r.validated_by_merchant_id::text, 'nobody')) AS detail
FROM redemption r
WHERE CASE r.redemption_status
  WHEN 'confirmed' THEN num_nonnulls(r.validated_at, r.validated_by_merchant_id) <> 2
  WHEN 'cancelled' THEN num_nonnulls(r.validated_at, r.validated_by_merchant_id) = 1
  ELSE num_nonnulls(r.validated_at, r.validated_by_merchant_id) <> 0 END`,
  },
  {
    id: 'I12',
    name: 'confirmed-in-time-and-place',
    reason: 'Nobody but the merchant of a redemption confirms it, and never after its expiry.',
    scoped: true,
    sql: `SELECT r.redemption_id::text AS subject,
  format('of merchant %s until %s, confirmed by %s at %s', coalesce(r.merchant_id::text, 'any'),
    r.code_expires_at, r.validated_by_merchant_id, r.validated_at) AS detail
FROM redemption r
WHERE r.validated_by_merchant_id <> r.merchant_id
  OR r.validated_at > r.code_expires_at`,
  },
  {
    id: 'I17',
    name: 'closed-when-ended',
    reason: 'The time of the end is there exactly when it ended; a reversal also says why.',
    scoped: true,
    sql: `SELECT r.redemption_id::text AS subject,
  format('%s, closed at %s, reason %s', r.redemption_status,
    coalesce(r.closed_at::text, 'no time'), coalesce(r.cancellation_reason, 'none')) AS detail
FROM redemption r
WHERE (r.closed_at IS NOT NULL) <> (r.redemption_status IN ('cancelled', 'expired'))
  OR (r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL
    AND r.cancellation_reason IS NULL)`,
  },
  {
    id: 'I18',
    name: 'codes-canonical',
    reason: 'A scan finds its redemption only by the one form in which codes and tokens are kept.',
    scoped: true,
    // Whoever inserts by SQL may bring a code of another shape, but then without a landing token.
    sql: `SELECT r.redemption_id::text AS subject,
  CASE WHEN r.redemption_code !~ '^LUMS(-[0-9A-HJKMNP-TV-Z]{4}){4}$' THEN 'code is not canonical'
    WHEN r.landing_token !~ '^[A-Za-z0-9_-]{21}[AQgw]$' THEN 'landing token is not canonical'
    ELSE 'QR does not lead to the landing token' END AS detail
FROM redemption r
WHERE r.landing_token IS NOT NULL
  AND (r.redemption_code !~ '^LUMS(-[0-9A-HJKMNP-TV-Z]{4}){4}$'
    OR r.landing_token !~ '^[A-Za-z0-9_-]{21}[AQgw]$'
    OR right(r.qr_landing_url, 25) <> '/r/' || r.landing_token)`,
  },
];
