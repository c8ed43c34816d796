import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

const EXISTS = prepared('devices.merchant', 'SELECT FROM rewards.merchants WHERE merchant_id = $1');

/** Throws `not_found` when there is no such merchant. */
export async function requireMerchant(db: Database, merchantId: string): Promise<void> {
  if ((await db.query(EXISTS(merchantId))).length === 0) throw new Failure('not_found');
}
