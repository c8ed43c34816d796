import type { Offer, OfferChange, OfferInput } from '../contract/offer.ts';
import { type Caller, changedBy } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import { uuidV7 } from '../core/ids.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { lockOffers } from './lock.ts';
import { OFFER_COLUMNS } from './offer.ts';

const EDITABLE = [
  'name_friendly',
  'description',
  'lumis_cost',
  'stock_quantity',
  'merchant_id',
  'is_active',
  'valid_from',
  'valid_to',
  'offer_category',
  'max_redemptions_per_user',
  'code_ttl_minutes',
  'on_expiry',
  'image_url',
  'terms',
];

const NEW_OFFER = { is_active: true, on_expiry: 'refund' };

/** The change goes to the staff log in the statement that makes it. */
const LOGGED = `logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, before, after)
    SELECT $3, s.offer_id::text, $2::jsonb, (SELECT to_jsonb(b.was) FROM before b), to_jsonb(s)
    FROM saved s
  )
  SELECT ${OFFER_COLUMNS} FROM saved o LEFT JOIN rewards.merchants m USING (merchant_id)`;

const CREATE = prepared(
  'offers.create',
  `WITH before AS (SELECT NULL::rewards.redemption_offers AS was), saved AS (
    INSERT INTO rewards.redemption_offers (offer_id, ${EDITABLE.join(', ')})
    SELECT (i).offer_id, ${EDITABLE.map((column) => `(i).${column}`).join(', ')}
    FROM (SELECT jsonb_populate_record(NULL::rewards.redemption_offers, $1::jsonb) AS i) x
    RETURNING *
  ), ${LOGGED}`,
);

// jsonb_populate_record starts from the row as it is: what the input leaves out stays.
const UPDATE = prepared(
  'offers.update',
  `WITH before AS MATERIALIZED (
    SELECT o AS was FROM rewards.redemption_offers o
    WHERE o.offer_id = ($1::jsonb->>'offer_id')::uuid
  ), saved AS (
    UPDATE rewards.redemption_offers o
    SET ${EDITABLE.map((column) => `${column} = (n.i).${column}`).join(', ')}, updated_at = now()
    FROM (SELECT jsonb_populate_record(b.was, $1::jsonb) AS i FROM before b) n
    WHERE o.offer_id = (n.i).offer_id
    RETURNING o.*
  ), ${LOGGED}`,
);

/** Adds an offer. Throws `invalid_request` when its merchant does not exist or its dates cross. */
export async function createOffer(db: Database, caller: Caller, input: OfferInput): Promise<Offer> {
  const row = JSON.stringify({ ...NEW_OFFER, ...input, offer_id: uuidV7() });
  const [offer] = await db.query<Offer>(CREATE(row, changedBy(caller), 'offer.created'));
  return offer as Offer;
}

/**
 * Changes an offer; what is left out stays as it is. Issued codes keep what they were issued with.
 * Throws `unknown_offer`, or `invalid_request` as for createOffer.
 */
export async function updateOffer(
  db: Database,
  caller: Caller,
  offerId: string,
  input: OfferChange,
  action = 'offer.updated',
): Promise<Offer> {
  const change = JSON.stringify({ ...input, offer_id: offerId });
  const [, rows] = await db.transaction([
    lockOffers([offerId]),
    UPDATE(change, changedBy(caller), action),
  ]);
  const offer = rows?.[0] as Offer | undefined;
  if (!offer) throw new Failure('unknown_offer');
  return offer;
}

/** Takes an offer out of the catalogue. Its row stays: issued codes and the ledger refer to it. */
export async function retireOffer(db: Database, caller: Caller, offerId: string): Promise<void> {
  await updateOffer(db, caller, offerId, { is_active: false }, 'offer.retired');
}
