import type { Availability, CatalogueOffer, CatalogueQuery } from '../contract/offer.ts';
import { type CursorPart, decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure, type Refusal } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { contains, planned, prepared, type Statement, unseen } from '../db/statement.ts';
import { LIVE_OF, OFFER_TIME, SHOWN_COLUMNS } from './offer.ts';

/** An offer as everybody sees it, and why nobody can redeem it now (null: somebody can). */
export type ListedOffer = Omit<CatalogueOffer, 'availability'> & { refusal: Refusal | null };

/** What stands for or against a member: whole points, and live redemptions of limited offers. */
export interface Standing {
  user_id: number;
  balance: number;
  live: Record<string, number>;
}

/** Whether this member may redeem it, and all that stands against it, in the order of redeem. */
export function availabilityOf(offer: ListedOffer, { balance, live }: Standing): Availability {
  const { offer_id, refusal, max_redemptions_per_user: max, lumis_cost } = offer;
  const missing_lumis = Math.max(lumis_cost - balance, 0);
  const reasons: Refusal[] = refusal ? [refusal] : [];
  if (max !== null && (live[offer_id] ?? 0) >= max) reasons.push('limit_member');
  if (missing_lumis > 0) reasons.push('insufficient_points');
  return { can_redeem: reasons.length === 0, reasons, missing_lumis };
}

const STANDINGS = prepared(
  'offers.standings',
  `SELECT u.user_id, floor(coalesce(b.balance, 0)) AS balance, coalesce(l.live, '{}') AS live
   FROM unnest(${unseen('$1::integer[]')}) u (user_id)
   LEFT JOIN lumis.balances b ON b.user_id = u.user_id
   CROSS JOIN LATERAL (
     SELECT jsonb_object_agg(t.offer_id, t.units) AS live FROM (
       SELECT r.offer_id, count(*) AS units FROM ${LIVE_OF('u.user_id')} r
       JOIN rewards.redemption_offers o ON o.offer_id = r.offer_id
       WHERE o.max_redemptions_per_user IS NOT NULL GROUP BY r.offer_id) t
   ) l`,
);

/** How these members stand, each of them once. */
export function readStandings(db: Database, userIds: readonly number[]): Promise<Standing[]> {
  return db.query<Standing>(STANDINGS(userIds));
}

// The predicate that the redeem statement uses.
const LISTED_OFFERS = `rewards.redemption_offers o
  LEFT JOIN rewards.merchants m ON m.merchant_id = o.merchant_id
  CROSS JOIN LATERAL (SELECT lumis.offer_refusal(
    o.is_active AND coalesce(m.is_active, true), o.valid_from, o.valid_to, o.stock_quantity,
    clock_timestamp()) AS refusal) w`;

// Sold out stays visible (with its reason); inactive, ended and not yet started does not.
const VISIBLE = `SELECT ${SHOWN_COLUMNS}, w.refusal FROM ${LISTED_OFFERS}
  WHERE o.is_active AND (w.refusal IS NULL OR w.refusal = 'out_of_stock')`;

const FILTERED = `${VISIBLE} AND ($1::text IS NULL OR o.offer_category = $1)
    AND ($2::uuid IS NULL OR o.merchant_id = $2)
    AND ($3::integer IS NULL OR o.lumis_cost >= $3)
    AND ($4::integer IS NULL OR o.lumis_cost <= $4)
    AND ($5::text IS NULL OR o.name_friendly ILIKE $5 OR o.description ILIKE $5)`;

interface Order {
  parts: readonly CursorPart[];
  after: string;
  by: string;
}
const ORDERS: Record<CatalogueQuery['sort'], Order> = {
  newest: {
    parts: ['time', 'uuid'],
    after: `($6::timestamptz IS NULL OR (${OFFER_TIME}, o.offer_id) < ($6::timestamptz, $7::uuid))`,
    by: `${OFFER_TIME} DESC, o.offer_id DESC`,
  },
  cost_asc: {
    parts: ['integer', 'uuid'],
    after: '($6::integer IS NULL OR (o.lumis_cost, o.offer_id) > ($6::integer, $7::uuid))',
    by: 'o.lumis_cost, o.offer_id',
  },
  cost_desc: {
    parts: ['integer', 'uuid'],
    after: '($6::integer IS NULL OR (o.lumis_cost, o.offer_id) < ($6::integer, $7::uuid))',
    by: 'o.lumis_cost DESC, o.offer_id DESC',
  },
};

/** What most look at, the beginning of a list, is prepared: for it planning costs as much again. */
const BEGIN_ROWS = 20;
const beginningOf = ({ by }: Order, sort: string) =>
  prepared(`offers.${sort}`, `${VISIBLE} ORDER BY ${by} LIMIT ${BEGIN_ROWS + 1}`)();

/**
 * Reads a page of the list from its beginning, or from where its cursor leaves off. Throws
 * `invalid_request` for a cursor of another list, or of none.
 */
export async function readPage(db: Database, filter: CatalogueQuery): Promise<Page<ListedOffer>> {
  const position = positionOf(filter);
  const rows = await db.query<ListedOffer>(statementOf(filter, position));
  return page(`offers.${filter.sort}`, rows, filter.limit, (row) => [
    filter.sort === 'newest' ? row.created_at : row.lumis_cost,
    row.offer_id,
  ]);
}

/** What the filter's cursor says. Throws `invalid_request` for one of another list, or of none. */
export function positionOf({ sort, cursor }: CatalogueQuery): (string | null)[] {
  return decodeCursor(`offers.${sort}`, ORDERS[sort].parts, cursor);
}

function statementOf(filter: CatalogueQuery, position: (string | null)[]): Statement {
  const { sort, limit, category, merchant_id, min_cost, max_cost, q } = filter;
  const order = ORDERS[sort];
  const wanted = [category, merchant_id, min_cost, max_cost, q && contains(q)];
  const isBeginning = [...wanted, position[0] ?? undefined].every((value) => value === undefined);
  if (isBeginning && limit === BEGIN_ROWS) return beginningOf(order, sort);
  const list = planned(`${FILTERED} AND ${order.after} ORDER BY ${order.by} LIMIT $8`);
  return list(...wanted.map((value) => value ?? null), ...position, limit + 1);
}

// Who redeemed much has many rows to count; only an offer with a limit asks for them.
const ONE = prepared(
  'offers.one',
  `SELECT ${SHOWN_COLUMNS}, w.refusal, floor(coalesce(b.balance, 0)) AS balance,
     CASE WHEN o.max_redemptions_per_user IS NULL THEN 0 ELSE (
       SELECT count(*) FROM ${LIVE_OF('$2')} l WHERE l.offer_id = o.offer_id) END AS units
   FROM ${LISTED_OFFERS} LEFT JOIN lumis.balances b ON b.user_id = $2::integer
   WHERE o.offer_id = $1`,
);

/** One offer, also when it cannot be redeemed (its reasons say why); `unknown_offer` when absent. */
export async function findOffer(
  db: Database,
  userId: number,
  offerId: string,
): Promise<CatalogueOffer> {
  const [row] = await db.query<ListedOffer & { balance: number; units: number }>(
    ONE(offerId, userId),
  );
  if (!row) throw new Failure('unknown_offer');
  const { refusal: _, balance, units, ...offer } = row;
  const standing = { user_id: userId, balance, live: { [offerId]: units } };
  return { ...offer, availability: availabilityOf(row, standing) };
}
