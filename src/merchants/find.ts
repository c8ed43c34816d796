import { UUID_PATTERN } from '../contract/common.ts';
import type { Merchant, MerchantsQuery } from '../contract/merchant.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { planned, prepared } from '../db/statement.ts';
import { MERCHANT_COLUMNS } from './merchant.ts';

const ALL = planned(`SELECT ${MERCHANT_COLUMNS} FROM rewards.merchants m
   WHERE ($1::boolean IS NULL OR m.is_active = $1)
     AND ($2::timestamptz IS NULL OR (m.created_at, m.merchant_id) < ($2::timestamptz, $3::uuid))
   ORDER BY m.created_at DESC, m.merchant_id DESC LIMIT $4`);

/** All merchants, newest first. */
export async function allMerchants(db: Database, filter: MerchantsQuery): Promise<Page<Merchant>> {
  const [time, id] = decodeCursor('merchants', ['time', 'uuid'], filter.cursor);
  const rows = await db.query<Merchant>(ALL(filter.is_active ?? null, time, id, filter.limit + 1));
  return page('merchants', rows, filter.limit, (row) => [row.created_at, row.merchant_id]);
}

const ONE = prepared(
  'merchants.one',
  `SELECT ${MERCHANT_COLUMNS} FROM rewards.merchants m WHERE m.merchant_id = $1`,
);

/** One merchant; `not_found` when absent. */
export async function findMerchant(db: Database, merchantId: string): Promise<Merchant> {
  const [row] = await db.query<Merchant>(ONE(merchantId));
  if (!row) throw new Failure('not_found');
  return row;
}

const NAMED = prepared(
  'merchants.named',
  `SELECT ${MERCHANT_COLUMNS} FROM rewards.merchants m
   WHERE m.merchant_id = $1::uuid OR m.merchant_name = $2`,
);
const UUID = new RegExp(UUID_PATTERN);

/** The merchant with this name, or this id; undefined when there is none. */
export async function findMerchantNamed(db: Database, text: string): Promise<Merchant | undefined> {
  const [row] = await db.query<Merchant>(NAMED(UUID.test(text) ? text : null, text));
  return row;
}
