import { Failure } from '../core/failure.ts';
import { inBites, rest } from '../db/batches.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** How many due ones are looked up at once: few enough that a look is no stall either. */
const WINDOW_ROWS = 10_000;
/**
 * How many are booked in one transaction, which keeps their members and offers locked until it
 * ends. That is how long a redeem of such an offer waits, and with it all that its node sends in
 * the same batch; and where cores are few, everybody waits for a bite that keeps one busy, or for
 * the log that it fills: just after a checkpoint, eight whole pages for each row. Of ten it takes
 * three to five milliseconds. Of 25 a third more would be booked in a second: that is the price.
 */
const BITE_ROWS = 10;

// Ordered by offer, so that a bite locks few offers, and each of them in few bites.
const DUE = prepared(
  'redemptions.due',
  `SELECT array_agg(d.redemption_id ORDER BY d.offer_id) AS ids,
     CASE WHEN count(*) = ${WINDOW_ROWS} THEN max(d.code_expires_at)::text END AS last
   FROM (
     SELECT r.redemption_id, r.offer_id, r.code_expires_at FROM rewards.user_redemptions r
     WHERE r.redemption_status = 'pending'
       AND r.code_expires_at BETWEEN coalesce($1::timestamptz, '-infinity') AND now()
     ORDER BY r.code_expires_at LIMIT ${WINDOW_ROWS}
   ) d`,
);
// The function judges again, after the locks. Whoever acts on one right now books it by itself.
const EXPIRE = prepared(
  'redemptions.expire',
  `SELECT lumis.expire_redemptions(ARRAY(
     SELECT r.redemption_id FROM rewards.user_redemptions r
     WHERE r.redemption_id = ANY ($1::uuid[]) AND r.redemption_status = 'pending'
     ORDER BY r.redemption_id FOR NO KEY UPDATE SKIP LOCKED), NULL) AS booked`,
);

/** After each bite it rests so many times as long: requests keep three quarters of a core. */
const RESTS = 3;

/**
 * Books all redemptions that are due, as rewards.expire_old_redemptions() does for cron and psql,
 * but in bites that requests hardly notice. Returns how many; stops early when `signal` fires (the
 * rest is due still). One that somebody made impossible stays as it is: the server's log says why.
 */
export async function expireOldRedemptions(db: Database, signal?: AbortSignal): Promise<number> {
  const look = async (from: string | null) => {
    const [due] = await db.query<{ ids: string[] | null; last: string | null }>(DUE(from));
    const ids = due?.ids ?? [];
    let rows = 0;
    for (let i = 0; i < ids.length && !signal?.aborted; i += BITE_ROWS) {
      const began = performance.now();
      rows += await book(db, ids.slice(i, i + BITE_ROWS));
      await rest(RESTS * (performance.now() - began), signal);
    }
    // ten thousand of one moment, of which none can be booked, would be found again for ever
    const isStuck = rows === 0 && due?.last === from;
    return { rows, last: isStuck ? null : (due?.last ?? null) };
  };
  return inBites(look, signal, 0);
}

/** One transaction; one for each when together they cannot be booked. */
async function book(db: Database, ids: string[]): Promise<number> {
  try {
    const [rows] = await db.transaction([EXPIRE(ids)]);
    return rows?.[0]?.booked ?? 0;
  } catch (error) {
    // a database that is busy or away is so for each of them
    if (!(error instanceof Failure) || error.code === 'overloaded') throw error;
    let booked = 0;
    for (const id of ids.length > 1 ? ids : []) booked += await book(db, [id]);
    return booked;
  }
}
