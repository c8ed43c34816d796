import type { CatalogueOffer, CatalogueQuery, SORTS } from '../contract/offer.ts';
import { type CursorPart, decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { contains, planned, prepared } from '../db/statement.ts';
import { LIVE_OF, OFFER_TIME, SHOWN_COLUMNS } from './offer.ts';

/**
 * What a member is shown, and whether it can be redeemed: the predicate that the redeem statement
 * uses (lumis.offer_refusal), then the member's limit and balance, in the same order.
 */
const SHOWN = `SELECT ${SHOWN_COLUMNS}, jsonb_build_object(
      'can_redeem', w.refusal IS NULL AND coalesce(a.allowance > 0, true) AND p.missing <= 0,
      'reasons', array_remove(ARRAY[w.refusal, CASE WHEN a.allowance <= 0 THEN 'limit_member' END,
        CASE WHEN p.missing > 0 THEN 'insufficient_points' END], NULL),
      'missing_lumis', greatest(p.missing, 0)) AS availability
  FROM rewards.redemption_offers o
  LEFT JOIN rewards.merchants m ON m.merchant_id = o.merchant_id
  LEFT JOIN lumis.balances b ON b.user_id = $1
  CROSS JOIN LATERAL (SELECT o.lumis_cost - floor(coalesce(b.balance, 0)) AS missing) p
  CROSS JOIN LATERAL (SELECT lumis.offer_refusal(
    o.is_active AND coalesce(m.is_active, true), o.valid_from, o.valid_to, o.stock_quantity,
    clock_timestamp()) AS refusal) w
  LEFT JOIN LATERAL (
    SELECT o.max_redemptions_per_user - count(*) AS allowance FROM ${LIVE_OF('$1')} r
    WHERE o.max_redemptions_per_user IS NOT NULL AND r.offer_id = o.offer_id
  ) a ON o.max_redemptions_per_user IS NOT NULL`;

// Sold out stays visible (with its reason); inactive, ended and not yet started does not.
const LISTED = `${SHOWN}
  WHERE o.is_active AND (w.refusal IS NULL OR w.refusal = 'out_of_stock')
    AND ($2::text IS NULL OR o.offer_category = $2)
    AND ($3::uuid IS NULL OR o.merchant_id = $3)
    AND ($4::integer IS NULL OR o.lumis_cost >= $4)
    AND ($5::integer IS NULL OR o.lumis_cost <= $5)
    AND ($6::boolean IS NOT TRUE OR p.missing <= 0)
    AND ($7::text IS NULL OR o.name_friendly ILIKE $7 OR o.description ILIKE $7)`;

const ORDERS = {
  newest: {
    parts: ['time', 'uuid'],
    list: planned(`${LISTED}
       AND ($8::timestamptz IS NULL OR (${OFFER_TIME}, o.offer_id) < ($8::timestamptz, $9::uuid))
       ORDER BY ${OFFER_TIME} DESC, o.offer_id DESC LIMIT $10`),
  },
  cost_asc: {
    parts: ['integer', 'uuid'],
    list: planned(`${LISTED}
       AND ($8::integer IS NULL OR (o.lumis_cost, o.offer_id) > ($8::integer, $9::uuid))
       ORDER BY o.lumis_cost, o.offer_id LIMIT $10`),
  },
  cost_desc: {
    parts: ['integer', 'uuid'],
    list: planned(`${LISTED}
       AND ($8::integer IS NULL OR (o.lumis_cost, o.offer_id) < ($8::integer, $9::uuid))
       ORDER BY o.lumis_cost DESC, o.offer_id DESC LIMIT $10`),
  },
} as const satisfies Record<
  (typeof SORTS)[number],
  { parts: readonly CursorPart[]; list: unknown }
>;

/** The offers a member can see now, each with its availability for this member. */
export async function listOffers(
  db: Database,
  userId: number,
  filter: CatalogueQuery,
): Promise<Page<CatalogueOffer>> {
  const { parts, list } = ORDERS[filter.sort];
  const name = `offers.${filter.sort}`;
  const [key, id] = decodeCursor(name, parts, filter.cursor);
  const { category, merchant_id, min_cost, max_cost, affordable } = filter;
  const wanted = [
    category,
    merchant_id,
    min_cost,
    max_cost,
    affordable,
    filter.q && contains(filter.q),
  ];
  const rows = await db.query<CatalogueOffer>(
    list(userId, ...wanted.map((value) => value ?? null), key, id, filter.limit + 1),
  );
  return page(name, rows, filter.limit, (row) => [
    filter.sort === 'newest' ? row.created_at : row.lumis_cost,
    row.offer_id,
  ]);
}

const ONE = prepared('offers.one', `${SHOWN} WHERE o.offer_id = $2`);

/** One offer, also when it cannot be redeemed (its reasons say why); `unknown_offer` when absent. */
export async function findOffer(
  db: Database,
  userId: number,
  offerId: string,
): Promise<CatalogueOffer> {
  const [row] = await db.query<CatalogueOffer>(ONE(userId, offerId));
  if (!row) throw new Failure('unknown_offer');
  return row;
}
