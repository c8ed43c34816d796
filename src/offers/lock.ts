import { prepared, unseen } from '../db/statement.ts';

/** R14: locks offers, sorted, before the statement that counts their stock. */
export const lockOffers = prepared(
  'offers.lock',
  `SELECT FROM rewards.redemption_offers WHERE offer_id = ANY (${unseen('$1::uuid[]')})
   ORDER BY offer_id FOR NO KEY UPDATE`,
);

/** The same for the offers of these redemptions, whose rows are already locked. */
export const lockOffersOf = prepared(
  'offers.lock_of',
  `SELECT FROM rewards.redemption_offers WHERE offer_id IN (
     SELECT offer_id FROM rewards.user_redemptions WHERE redemption_id = ANY (${unseen('$1::uuid[]')}))
   ORDER BY offer_id FOR NO KEY UPDATE`,
);
