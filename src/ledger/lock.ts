import { prepared, unseen } from '../db/statement.ts';

/**
 * R14: locks members' balances, sorted. A statement of its own, so that the one that decides reads
 * what the lock's last holder left. A member without a balance has nothing to spend.
 */
export const lockMembers = prepared(
  'ledger.lock_members',
  `SELECT FROM lumis.balances WHERE user_id = ANY (${unseen('$1::integer[]')})
   ORDER BY user_id FOR NO KEY UPDATE`,
);

/** The same for the members of these redemptions, whose rows are already locked. */
export const lockMembersOf = prepared(
  'ledger.lock_members_of',
  `SELECT FROM lumis.balances WHERE user_id IN (
     SELECT user_id FROM rewards.user_redemptions WHERE redemption_id = ANY (${unseen('$1::uuid[]')}))
   ORDER BY user_id FOR NO KEY UPDATE`,
);
