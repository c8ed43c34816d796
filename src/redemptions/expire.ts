import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

const EXPIRE = prepared('redemptions.expire', 'SELECT rewards.expire_old_redemptions() AS booked');

/**
 * Books all redemptions that are due, in the batches of the SQL function that cron and psql call
 * too. Returns how many; stops early when `signal` fires (the rest is due still).
 */
export async function expireOldRedemptions(db: Database, signal?: AbortSignal): Promise<number> {
  let all = 0;
  for (let booked = -1; booked !== 0 && !signal?.aborted; all += booked) {
    const [rows] = await db.transaction([EXPIRE()]);
    booked = rows?.[0]?.booked ?? 0;
  }
  return all;
}
