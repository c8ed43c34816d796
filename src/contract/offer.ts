import Type, { type Static } from 'typebox';
import { REFUSALS } from '../core/failure.ts';
import { Closed, Nullable, OneOf, PageQuery, Points, Time, Uuid } from './common.ts';

const MINUTES_MAX = 5_256_000; // ten years
const COUNT_MAX = 2_147_483_647;
/** Below what the column holds, so that what comes back always has room. */
const STOCK_MAX = 1_000_000_000;

const EDITABLE = {
  name_friendly: Type.String({ minLength: 1, maxLength: 255, pattern: '\\S' }),
  description: Nullable(Type.String({ maxLength: 5000 })),
  lumis_cost: Points,
  stock_quantity: Nullable(
    Type.Integer({ minimum: 0, maximum: STOCK_MAX, description: 'what is left; null = unlimited' }),
  ),
  merchant_id: Nullable(Uuid),
  is_active: Type.Boolean(),
  valid_from: Nullable(Time),
  valid_to: Nullable(Time),
  offer_category: Nullable(Type.String({ minLength: 1, maxLength: 100 })),
  max_redemptions_per_user: Nullable(Type.Integer({ minimum: 1, maximum: COUNT_MAX })),
  code_ttl_minutes: Nullable(Type.Integer({ minimum: 1, maximum: MINUTES_MAX })),
  on_expiry: OneOf(['refund', 'forfeit'], { description: 'what becomes of the points on expiry' }),
  image_url: Nullable(Type.String({ maxLength: 2000, pattern: '^https://[^\\s<>"]+$' })),
  terms: Nullable(Type.String({ maxLength: 10_000 })),
};

const { name_friendly, lumis_cost, ...optional } = EDITABLE;

/** What an administrator may say about an offer. */
export const OfferInput = Closed({
  name_friendly,
  lumis_cost,
  ...Type.Partial(Type.Object(optional)).properties,
});
export type OfferInput = Static<typeof OfferInput>;

/** A change of an offer: what is left out stays. */
export const OfferChange = Closed(Type.Partial(Type.Object(EDITABLE)).properties, {
  minProperties: 1,
});
export type OfferChange = Static<typeof OfferChange>;

const SHOWN = {
  offer_id: Uuid,
  name_friendly: Type.String({ description: "'' while one that was taken over has no name" }),
  description: Nullable(Type.String()),
  lumis_cost: Type.Integer({ description: '0 while one that was taken over has no price' }),
  stock_quantity: Nullable(Type.Integer()),
  merchant_id: Nullable(Uuid),
  merchant_name: Nullable(Type.String()),
  valid_from: Nullable(Time),
  valid_to: Nullable(Time),
  offer_category: Nullable(Type.String()),
  max_redemptions_per_user: Nullable(Type.Integer()),
  code_ttl_minutes: Nullable(Type.Integer()),
  on_expiry: OneOf(['refund', 'forfeit']),
  image_url: Nullable(Type.String()),
  terms: Nullable(Type.String()),
  created_at: Time,
};

/** An offer as administrators see it: the row of the catalogue. */
export const Offer = Closed({
  ...SHOWN,
  is_active: Type.Boolean(),
  stock_held: Type.Integer({ description: 'live redemptions: pending and confirmed' }),
  updated_at: Time,
});
export type Offer = Static<typeof Offer>;

/** Whether a member may redeem an offer now, and all that stands against it. */
export const Availability = Closed({
  can_redeem: Type.Boolean(),
  reasons: Type.Array(OneOf(REFUSALS)),
  missing_lumis: Type.Integer(),
});
export type Availability = Static<typeof Availability>;

/** An offer as a member sees it, with whether they may redeem it now and all that stands against it. */
export const CatalogueOffer = Closed({
  ...SHOWN,
  availability: Availability,
});
export type CatalogueOffer = Static<typeof CatalogueOffer>;

export const SORTS = ['newest', 'cost_asc', 'cost_desc'] as const;

export const CatalogueQuery = Closed({
  category: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  merchant_id: Type.Optional(Uuid),
  min_cost: Type.Optional(Type.Integer({ minimum: 0, maximum: COUNT_MAX })),
  max_cost: Type.Optional(Type.Integer({ minimum: 0, maximum: COUNT_MAX })),
  affordable: Type.Optional(
    Type.Boolean({ description: "true: only what the member's balance covers" }),
  ),
  q: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'found in name or description' }),
  ),
  sort: OneOf(SORTS, { default: 'newest' }),
  ...PageQuery,
});
export type CatalogueQuery = Static<typeof CatalogueQuery>;

/** What administrators may ask of the list of offers. */
export const OffersQuery = Closed({
  is_active: Type.Optional(Type.Boolean()),
  merchant_id: Type.Optional(Uuid),
  ...PageQuery,
});
export type OffersQuery = Static<typeof OffersQuery>;
