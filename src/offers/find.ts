import type { Offer, OffersQuery } from '../contract/offer.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { planned, prepared } from '../db/statement.ts';
import { OFFER_COLUMNS, OFFER_TIME } from './offer.ts';

const FROM = 'FROM rewards.redemption_offers o LEFT JOIN rewards.merchants m USING (merchant_id)';

const ALL = planned(`SELECT ${OFFER_COLUMNS} ${FROM}
   WHERE ($1::boolean IS NULL OR o.is_active = $1)
     AND ($2::uuid IS NULL OR o.merchant_id = $2)
     AND ($3::timestamptz IS NULL OR (${OFFER_TIME}, o.offer_id) < ($3::timestamptz, $4::uuid))
   ORDER BY ${OFFER_TIME} DESC, o.offer_id DESC LIMIT $5`);

/** All offers, for administrators, newest first. */
export async function allOffers(db: Database, filter: OffersQuery): Promise<Page<Offer>> {
  const [time, id] = decodeCursor('offers', ['time', 'uuid'], filter.cursor);
  const { is_active = null, merchant_id = null, limit } = filter;
  const rows = await db.query<Offer>(ALL(is_active, merchant_id, time, id, limit + 1));
  return page('offers', rows, limit, (row) => [row.created_at, row.offer_id]);
}

const ONE = prepared('offers.row', `SELECT ${OFFER_COLUMNS} ${FROM} WHERE o.offer_id = $1`);

/** One offer as administrators see it; `unknown_offer` when absent. */
export async function findOfferRow(db: Database, offerId: string): Promise<Offer> {
  const [row] = await db.query<Offer>(ONE(offerId));
  if (!row) throw new Failure('unknown_offer');
  return row;
}
