import type { MerchantCredential } from '../core/actor.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

const STILL = prepared(
  'merchants.still_may_act',
  `SELECT lumis.merchant_may_act(c.merchant_id, c.key_id, c.proven_hash) AS may
   FROM unnest($1::uuid[], $2::text[], $3::text[])
     WITH ORDINALITY AS c(merchant_id, key_id, proven_hash, ord)
   ORDER BY c.ord`,
);

/** Whether each credential, once proven, holds still, in their order: for what goes on for long. */
export async function stillMayAct(
  db: Database,
  credentials: readonly MerchantCredential[],
): Promise<boolean[]> {
  const rows = await db.query<{ may: boolean }>(
    STILL(
      credentials.map((one) => one.merchant_id),
      credentials.map((one) => one.key_id),
      credentials.map((one) => one.proven_hash),
    ),
  );
  return rows.map((row) => row.may);
}
