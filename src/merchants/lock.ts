import { prepared, unseen } from '../db/statement.ts';

/** R14: locks merchants, sorted, last of all: their totals change with a confirm or a reversal. */
export const lockMerchants = prepared(
  'merchants.lock',
  `SELECT FROM rewards.merchants WHERE merchant_id = ANY (${unseen('$1::uuid[]')})
   ORDER BY merchant_id FOR NO KEY UPDATE`,
);

/** The same for the merchants that confirmed these redemptions, whose rows are already locked. */
export const lockMerchantsOf = prepared(
  'merchants.lock_of',
  `SELECT FROM rewards.merchants WHERE merchant_id IN (
     SELECT validated_by_merchant_id FROM rewards.user_redemptions
     WHERE redemption_id = ANY (${unseen('$1::uuid[]')}))
   ORDER BY merchant_id FOR NO KEY UPDATE`,
);
