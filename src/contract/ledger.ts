import Type, { type Static } from 'typebox';
import { Closed, Nullable, OneOf, PageQuery, Time, UserId, Uuid } from './common.ts';

export const Balance = Closed({
  balance: Type.Number({ description: 'what can be spent, by its whole part' }),
  held: Type.Integer({ description: 'what pending redemptions took and would give back' }),
  as_of: Time,
});
export type Balance = Static<typeof Balance>;

/** A row of the ledger; `kind` is null for what other systems booked, and theirs may lack more. */
export const LedgerEntry = Closed({
  id: Type.Integer(),
  accum_type: Nullable(Type.String()),
  accum_key: Nullable(Type.String()),
  dtype: Nullable(Type.String({ description: 'only entries of dtype points move points' })),
  quantity: Type.Number(),
  date: Nullable(Time),
  redemption_id: Nullable(Uuid),
  kind: Nullable(
    OneOf(['spend', 'refund', 'grant', 'adjustment', 'opening'], {
      description: 'opening: what the balance that was taken over had beyond its entries',
    }),
  ),
});
export type LedgerEntry = Static<typeof LedgerEntry>;

export const LedgerQuery = Closed(PageQuery);

export const AdjustInput = Closed({
  quantity: Type.Integer({
    minimum: -1_000_000_000,
    maximum: 1_000_000_000,
    not: { const: 0 },
    description: 'positive gives, negative takes; not zero',
  }),
  reason: Type.String({ minLength: 1, maxLength: 500, pattern: '\\S' }),
});

export const Adjusted = Closed({
  id: Type.Integer(),
  user_id: UserId,
  quantity: Type.Integer(),
  kind: OneOf(['grant', 'adjustment']),
  balance: Type.Number(),
});
export type Adjusted = Static<typeof Adjusted>;

export const MemberEntry = Closed({
  user_id: UserId,
  display_name: Nullable(Type.String()),
  email: Nullable(Type.String()),
  locale: Nullable(Type.String()),
  balance: Type.Number(),
  created_at: Time,
});
export type MemberEntry = Static<typeof MemberEntry>;
export const MembersQuery = Closed({
  q: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  ...PageQuery,
});
