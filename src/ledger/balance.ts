import type { Balance } from '../contract/ledger.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

const BALANCE = prepared(
  'ledger.balance',
  `SELECT coalesce((SELECT balance FROM lumis.balances WHERE user_id = $1), 0) AS balance,
     coalesce((SELECT sum(lumis_spent) FROM rewards.user_redemptions
               WHERE user_id = $1 AND redemption_status = 'pending'), 0) AS held,
     clock_timestamp() AS as_of`,
);

/** A member's points; zero for somebody the ledger has never seen. */
export async function balanceOf(db: Database, userId: number): Promise<Balance> {
  const [row] = await db.query<Balance>(BALANCE(userId));
  return row as Balance;
}
