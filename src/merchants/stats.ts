import type { MerchantStats } from '../contract/merchant.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

const STATS = prepared(
  'merchants.stats',
  `SELECT m.merchant_id, m.merchant_name, m.total_redemptions, m.total_lumis_redeemed, s.*,
     clock_timestamp() AS as_of
   FROM rewards.merchants m CROSS JOIN LATERAL (
     SELECT count(*) FILTER (WHERE r.validated_at >= d.today) AS today_redemptions,
       coalesce(sum(r.lumis_spent) FILTER (WHERE r.validated_at >= d.today), 0)
         AS today_lumis_redeemed,
       count(*) FILTER (WHERE r.validated_at >= d.week) AS this_week_redemptions,
       count(*) FILTER (WHERE r.validated_at >= d.month) AS this_month_redemptions
     FROM (SELECT date_trunc('day', now(), $4) AS today, date_trunc('week', now(), $4) AS week,
             date_trunc('month', now(), $4) AS month) d
     LEFT JOIN rewards.user_redemptions r ON r.validated_by_merchant_id = m.merchant_id
       AND r.redemption_status = 'confirmed' AND r.validated_at >= least(d.week, d.month)
   ) s
   WHERE m.merchant_id = $1 AND lumis.merchant_may_act($1, $2, $3)`,
);

/** This merchant's own figures: what it confirmed and did not reverse. Throws `unauthorized`. */
export async function merchantStats(
  db: Database,
  by: MerchantCredential,
  timeZone: string,
): Promise<MerchantStats> {
  const [row] = await db.query<MerchantStats>(
    STATS(by.merchant_id, by.key_id, by.proven_hash, timeZone),
  );
  if (!row) throw new Failure('unauthorized');
  return row;
}
