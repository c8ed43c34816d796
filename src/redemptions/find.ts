import type { MerchantRedemption, Redemption } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { requireMayAct } from '../merchants/authenticate.ts';

/**
 * A member's redemptions; code and QR only while they can be used. Each column has the very type
 * that it has in PURCHASES: only then does the planner merge the two in order, without a sort.
 */
const REDEMPTIONS = `SELECT r.redemption_id, 'lumis'::text AS source, NULL::bigint AS legacy_id,
    r.offer_id, r.offer_name::text, r.merchant_id, m.merchant_name::text,
    r.lumis_spent::numeric, r.redemption_status::text, r.created_at, r.code_expires_at,
    r.validated_at, r.closed_at, r.cancellation_reason, r.on_expiry,
    CASE WHEN o.open THEN r.redemption_code::text END AS redemption_code,
    CASE WHEN o.open THEN r.qr_image_url END AS qr_image_url,
    CASE WHEN o.open THEN r.qr_landing_url END AS qr_landing_url
  FROM rewards.user_redemptions r
  LEFT JOIN rewards.merchants m ON m.merchant_id = coalesce(r.validated_by_merchant_id, r.merchant_id)
  CROSS JOIN LATERAL (
    SELECT r.redemption_status = 'pending' AND r.code_expires_at > clock_timestamp() AS open) o`;

/**
 * What the member bought in the system that was taken over; where there was none the view is empty,
 * and the planner knows it. That system could write NULL, infinite times and NaN points: in the
 * order what has no time, or one before 1970, counts as of 1970, and what is no number is 0 points.
 */
const PURCHASES = `SELECT p.purchase_id, 'legacy'::text, p.legacy_id::bigint,
    p.offer_id, p.offer_name, NULL::uuid, NULL::text,
    CASE WHEN abs(p.points) < 1e300 THEN p.points ELSE 0 END,
    'confirmed'::text, t.bought_at, coalesce(p.expires_at, t.bought_at),
    p.bought_at, NULL::timestamptz, NULL::text, 'forfeit'::text,
    NULL::text, NULL::text, NULL::text
  FROM lumis.past_purchases p
  CROSS JOIN LATERAL (
    SELECT least(greatest(p.bought_at, '1970-01-01 00:00Z'), '9999-12-31 23:59:59.999999Z')
      AS bought_at) t`;

const OF_MEMBER = prepared(
  'redemptions.of_member',
  `SELECT * FROM (
    (${REDEMPTIONS}
     WHERE r.user_id = $1 AND ($2::text IS NULL OR r.redemption_status = $2)
       AND ($3::timestamptz IS NULL
            OR (r.created_at, r.redemption_id) < ($3::timestamptz, $4::uuid))
     ORDER BY r.created_at DESC, r.redemption_id DESC LIMIT $5)
    UNION ALL
    (${PURCHASES}
     WHERE p.user_id = $1 AND ($2::text IS NULL OR $2 = 'confirmed')
       AND ($3::timestamptz IS NULL OR (t.bought_at, p.purchase_id) < ($3::timestamptz, $4::uuid))
     ORDER BY t.bought_at DESC, p.purchase_id DESC LIMIT $5)
  ) both_kinds
  ORDER BY created_at DESC, redemption_id DESC LIMIT $5`,
);

/** A member's redemptions and purchases before them, newest first. */
export async function redemptionsOfMember(
  db: Database,
  userId: number,
  filter: { status?: string | undefined; limit: number; cursor?: string | undefined },
): Promise<Page<Redemption>> {
  const [time, id] = decodeCursor('member', ['time', 'uuid'], filter.cursor);
  const rows = await db.query<Redemption>(
    OF_MEMBER(userId, filter.status ?? null, time, id, filter.limit + 1),
  );
  return page('member', rows.map(withoutNulls), filter.limit, (row) => [
    row.created_at,
    row.redemption_id,
  ]);
}

const ONE_OF_MEMBER = prepared(
  'redemptions.one_of_member',
  `${REDEMPTIONS} WHERE r.redemption_id = $1 AND r.user_id = $2
   UNION ALL
   ${PURCHASES} WHERE p.purchase_id = $1 AND p.user_id = $2`,
);

/** One redemption or past purchase of this member; `not_found` when absent or another's. */
export async function redemptionOfMember(
  db: Database,
  userId: number,
  redemptionId: string,
): Promise<Redemption> {
  const [row] = await db.query<Redemption>(ONE_OF_MEMBER(redemptionId, userId));
  if (!row) throw new Failure('not_found');
  return withoutNulls(row);
}

/** Code and QR are absent, not null, when there is nothing to show. */
function withoutNulls(row: Redemption): Redemption {
  const { redemption_code, qr_image_url, qr_landing_url, ...rest } = row;
  if (!redemption_code) return rest;
  return {
    ...rest,
    redemption_code,
    ...(qr_image_url ? { qr_image_url } : {}),
    ...(qr_landing_url ? { qr_landing_url } : {}),
  };
}

const OF_MERCHANT = prepared(
  'redemptions.of_merchant',
  `SELECT r.redemption_id, r.offer_id, r.offer_name, r.lumis_spent, r.redemption_status,
     r.created_at, r.validated_at, r.closed_at, r.cancellation_reason
   FROM rewards.user_redemptions r
   WHERE r.validated_by_merchant_id = $1 AND lumis.merchant_may_act($1, $2, $3)
     AND ($4::text IS NULL OR r.redemption_status = $4)
     AND ($5::timestamptz IS NULL
          OR (r.validated_at, r.redemption_id) < ($5::timestamptz, $6::uuid))
   ORDER BY r.validated_at DESC, r.redemption_id DESC LIMIT $7`,
);

/** What this merchant confirmed (reversed ones too), last confirmed first. Never a code. */
export async function redemptionsOfMerchant(
  db: Database,
  by: MerchantCredential,
  filter: { status?: string | undefined; limit: number; cursor?: string | undefined },
): Promise<Page<MerchantRedemption>> {
  const [time, id] = decodeCursor('merchant', ['time', 'uuid'], filter.cursor);
  const { merchant_id, key_id, proven_hash } = by;
  const rows = await db.query<MerchantRedemption>(
    OF_MERCHANT(
      merchant_id,
      key_id,
      proven_hash,
      filter.status ?? null,
      time,
      id,
      filter.limit + 1,
    ),
  );
  // none is also what a credential sees that holds no longer
  if (rows.length === 0) await requireMayAct(db, by);
  return page('merchant', rows, filter.limit, (row) => [row.validated_at, row.redemption_id]);
}
