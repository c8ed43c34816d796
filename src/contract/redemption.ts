import Type, { type Static } from 'typebox';
import { Closed, Nullable, OneOf, PageQuery, Time, UserId, Uuid } from './common.ts';

/** The only statuses there are; a reversal is `cancelled` with `validated_at` set. */
export const STATUSES = ['pending', 'confirmed', 'cancelled', 'expired'] as const;
export const Status = OneOf(STATUSES);

const FACTS = {
  redemption_id: Uuid,
  offer_id: Uuid,
  offer_name: Nullable(Type.String()),
  merchant_id: Nullable(Uuid),
  merchant_name: Nullable(Type.String()),
  lumis_spent: Type.Integer(),
  redemption_status: Status,
  created_at: Time,
  code_expires_at: Time,
  validated_at: Nullable(Time),
  closed_at: Nullable(Time),
  cancellation_reason: Nullable(Type.String()),
  on_expiry: OneOf(['refund', 'forfeit']),
};

/** There only while the code can be used. */
const CODE = {
  redemption_code: Type.Optional(Type.String({ examples: ['LUMS-7K4M-92QX-H3TD-0A5Z'] })),
  qr_image_url: Type.Optional(Type.String()),
  qr_landing_url: Type.Optional(Type.String()),
};

export const SOURCES = ['lumis', 'legacy'] as const;

/**
 * A redemption as its member sees it, or a purchase in the system that Lümis took over: history,
 * always `confirmed`, perhaps of an offer that the catalogue does not know, perhaps with fractions.
 */
export const Redemption = Closed({
  ...FACTS,
  source: OneOf(SOURCES, { description: 'legacy: bought in the system that was taken over' }),
  legacy_id: Nullable(Type.Integer({ description: "that purchase's number there" })),
  offer_id: Nullable(Uuid),
  lumis_spent: Type.Number(),
  ...CODE,
});
export type Redemption = Static<typeof Redemption>;

/** The answer to a redeem: the redemption with its code, and what is left. */
export const Redeemed = Closed({ ...FACTS, ...CODE, balance: Type.Number() });
export type Redeemed = Static<typeof Redeemed>;

export const RedeemInput = Closed({ offer_id: Uuid });

export const Cancelled = Closed({
  redemption_id: Uuid,
  redemption_status: Status,
  lumis_refunded: Type.Integer(),
  balance: Type.Number({ description: 'with the refund in it' }),
  closed_at: Time,
});
export type Cancelled = Static<typeof Cancelled>;

export const RedemptionsQuery = Closed({ status: Type.Optional(Status), ...PageQuery });

export const ValidateInput = Closed({
  code: Type.String({
    minLength: 1,
    description: 'a code as typed or scanned, a landing URL, or its token',
  }),
});

/** What to hand over. */
export const Validated = Closed({
  redemption_id: Uuid,
  redemption_status: Status,
  offer_id: Uuid,
  offer_name: Nullable(Type.String()),
  lumis_spent: Type.Integer(),
  created_at: Time,
  code_expires_at: Time,
});
export type Validated = Static<typeof Validated>;

export const Confirmed = Closed({
  redemption_id: Uuid,
  offer_name: Nullable(Type.String()),
  lumis_spent: Type.Integer(),
  redemption_status: Status,
  validated_at: Time,
});
export type Confirmed = Static<typeof Confirmed>;

const Reason = Type.String({ minLength: 1, maxLength: 500, pattern: '\\S' });
export const CancelInput = Closed({ reason: Reason });
export const ReverseInput = Closed({
  reason: Reason,
  restock: Type.Optional(
    Type.Boolean({ default: true, description: 'whether the unit goes back on the shelf' }),
  ),
});

export const Reversed = Closed({
  redemption_id: Uuid,
  redemption_status: Status,
  lumis_refunded: Type.Integer(),
  restocked: Type.Boolean(),
  closed_at: Time,
});
export type Reversed = Static<typeof Reversed>;

/** What a merchant confirmed; never a code. */
export const MerchantRedemption = Closed({
  redemption_id: Uuid,
  offer_id: Uuid,
  offer_name: Nullable(Type.String()),
  lumis_spent: Type.Integer(),
  redemption_status: Status,
  created_at: Time,
  validated_at: Time,
  closed_at: Nullable(Time),
  cancellation_reason: Nullable(Type.String()),
});
export type MerchantRedemption = Static<typeof MerchantRedemption>;

/** A redemption as administrators see it: with its member, never with its code. */
export const FoundRedemption = Closed({
  ...FACTS,
  user_id: UserId,
  validated_by_merchant_id: Nullable(Uuid),
});
export type FoundRedemption = Static<typeof FoundRedemption>;

export const SearchQuery = Closed({
  status: Type.Optional(Status),
  user_id: Type.Optional(UserId),
  offer_id: Type.Optional(Uuid),
  merchant_id: Type.Optional(Uuid),
  code: Type.Optional(Type.String({ maxLength: 100, description: 'a whole code, as typed' })),
  from: Type.Optional(Type.String({ format: 'date-time', description: 'created at or after' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'created before' })),
  ...PageQuery,
});
export type SearchQuery = Static<typeof SearchQuery>;
