import type { FoundRedemption, SearchQuery } from '../contract/redemption.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { planned, prepared } from '../db/statement.ts';
import { parseCode } from './code.ts';

const FOUND = `SELECT r.redemption_id, r.user_id, r.offer_id, r.offer_name, r.merchant_id,
    m.merchant_name, r.validated_by_merchant_id, r.lumis_spent, r.redemption_status, r.created_at,
    r.code_expires_at, r.validated_at, r.closed_at, r.cancellation_reason, r.on_expiry
  FROM rewards.user_redemptions r
  LEFT JOIN rewards.merchants m ON m.merchant_id = coalesce(r.validated_by_merchant_id, r.merchant_id)`;

const SEARCH = planned(`${FOUND}
   WHERE ($1::text IS NULL OR r.redemption_status = $1)
     AND ($2::integer IS NULL OR r.user_id = $2)
     AND ($3::uuid IS NULL OR r.offer_id = $3)
     AND ($4::uuid IS NULL OR r.merchant_id = $4 OR r.validated_by_merchant_id = $4)
     AND ($5::text IS NULL OR r.redemption_code = $5)
     AND ($6::timestamptz IS NULL OR r.created_at >= $6)
     AND ($7::timestamptz IS NULL OR r.created_at < $7)
     AND ($8::timestamptz IS NULL OR (r.created_at, r.redemption_id) < ($8::timestamptz, $9::uuid))
   ORDER BY r.created_at DESC, r.redemption_id DESC LIMIT $10`);

/** All redemptions that fit the filter, newest first. A malformed code finds nothing. */
export async function searchRedemptions(
  db: Database,
  filter: SearchQuery,
): Promise<Page<FoundRedemption>> {
  const [time, id] = decodeCursor('search', ['time', 'uuid'], filter.cursor);
  const code = filter.code === undefined ? null : (parseCode(filter.code) ?? '');
  const { status, user_id, offer_id, merchant_id, from, to, limit } = filter;
  const wanted = [status, user_id, offer_id, merchant_id, code, from, to].map(
    (value) => value ?? null,
  );
  const rows = await db.query<FoundRedemption>(SEARCH(...wanted, time, id, limit + 1));
  return page('search', rows, limit, (row) => [row.created_at, row.redemption_id]);
}

const ONE = prepared('redemptions.one', `${FOUND} WHERE r.redemption_id = $1`);

/** One redemption; `not_found` when there is none. */
export async function findRedemption(db: Database, redemptionId: string): Promise<FoundRedemption> {
  const [row] = await db.query<FoundRedemption>(ONE(redemptionId));
  if (!row) throw new Failure('not_found');
  return row;
}
