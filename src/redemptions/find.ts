import type { MerchantRedemption, Redemption } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { requireMayAct } from '../merchants/authenticate.ts';

/** What a redemption shows everybody who may see it. */
const COLUMNS = `r.redemption_id, r.offer_id, r.offer_name, r.merchant_id, m.merchant_name,
  r.lumis_spent, r.redemption_status, r.created_at, r.code_expires_at, r.validated_at, r.closed_at,
  r.cancellation_reason, r.on_expiry`;

/** The member sees the code only while it can be used. */
const SECRETS = `CASE WHEN open THEN r.redemption_code END AS redemption_code,
  CASE WHEN open THEN r.qr_image_url END AS qr_image_url,
  CASE WHEN open THEN r.qr_landing_url END AS qr_landing_url`;

const MEMBER_FROM = `FROM rewards.user_redemptions r
  LEFT JOIN rewards.merchants m ON m.merchant_id = coalesce(r.validated_by_merchant_id, r.merchant_id)
  CROSS JOIN LATERAL (
    SELECT r.redemption_status = 'pending' AND r.code_expires_at > clock_timestamp() AS open) o`;

const OF_MEMBER = prepared(
  'redemptions.of_member',
  `SELECT ${COLUMNS}, ${SECRETS} ${MEMBER_FROM}
   WHERE r.user_id = $1 AND ($2::text IS NULL OR r.redemption_status = $2)
     AND ($3::timestamptz IS NULL OR (r.created_at, r.redemption_id) < ($3::timestamptz, $4::uuid))
   ORDER BY r.created_at DESC, r.redemption_id DESC LIMIT $5`,
);

/** A member's redemptions, newest first. */
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
  `SELECT ${COLUMNS}, ${SECRETS} ${MEMBER_FROM} WHERE r.redemption_id = $1 AND r.user_id = $2`,
);

/** One redemption of this member; `not_found` when absent or another's. */
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
