import Type, { type Static } from 'typebox';
import { Closed, Nullable, OneOf, PageQuery, Time, Uuid } from './common.ts';
import { Status } from './redemption.ts';

/** What can happen to a redemption, as its events say it. */
export const EVENT_TYPES = [
  'redemption.created',
  'redemption.confirmed',
  'redemption.cancelled',
  'redemption.expired',
  'redemption.reversed',
] as const;

/** One event of a redemption's stream: SSE's `data`; `id` is the sequence, `event` the type. */
export const RedemptionEvent = Closed({
  redemption_id: Uuid,
  sequence: Type.Integer({ description: 'per redemption: 1 created, 2 closed, 3 reversed' }),
  type: OneOf(EVENT_TYPES),
  redemption_status: Status,
  at: Time,
  offer_name: Nullable(Type.String()),
  merchant_name: Nullable(Type.String()),
  branch_name: Nullable(Type.String()),
  lumis_spent: Nullable(Type.Integer()),
  lumis_refunded: Nullable(Type.Integer()),
  reason: Nullable(Type.String({ description: 'with cancelled and reversed' })),
});
export type RedemptionEvent = Static<typeof RedemptionEvent>;

/**
 * What a counter sees of a redemption that it confirmed: a row of the day's list, and SSE's `data` of
 * a merchant's stream.
 */
export const CounterRedemption = Closed({
  redemption_id: Uuid,
  offer_name: Nullable(Type.String()),
  lumis_spent: Type.Integer(),
  redemption_status: Status,
  validated_at: Time,
  closed_at: Nullable(Time),
  code_ending: Type.String({ description: "the code's last four symbols" }),
  device_name: Nullable(Type.String()),
  branch_name: Nullable(Type.String()),
});
export type CounterRedemption = Static<typeof CounterRedemption>;

export const DayQuery = Closed({
  date: Type.Optional(
    Type.String({
      format: 'date',
      pattern: '^(?!0000)', // a year that PostgreSQL has not
      description: 'today in that time zone, when absent',
    }),
  ),
  branch_id: Type.Optional(Uuid),
  ...PageQuery,
});
export type DayQuery = Static<typeof DayQuery>;

/** A counter's day: figures of what was confirmed and not reversed, and a page of the list. */
export const Day = Closed({
  date: Type.String({ format: 'date', examples: ['2026-11-22'] }),
  time_zone: Type.String({ examples: ['America/Panama'] }),
  as_of: Time,
  count: Type.Integer({ description: 'confirmed on that day and not reversed' }),
  lumis: Type.Integer({ description: 'what those cost' }),
  data: Type.Array(CounterRedemption),
  next_cursor: Nullable(Type.String()),
});
export type Day = Static<typeof Day>;

export const TIMELINE_ACTIONS = [
  'created',
  'validated',
  'confirmed',
  'cancelled',
  'reversed',
  'expired',
] as const;

/** What became of a redemption, oldest first. */
export const Timeline = Closed({
  data: Type.Array(
    Closed({
      action: OneOf(TIMELINE_ACTIONS),
      at: Time,
      merchant_name: Nullable(Type.String()),
      branch_name: Nullable(Type.String()),
      lumis: Nullable(Type.Number({ description: 'points that moved: spent below zero' })),
    }),
  ),
});
export type Timeline = Static<typeof Timeline>;

/** What a web app needs to know before anybody has signed in. */
export const SiteConfig = Closed({
  demo: Type.Boolean({ description: 'there are demo members to sign in as' }),
  time_zone: Type.String(),
  embed_origins: Type.Array(Type.String(), { description: 'whose pages may embed the wallet' }),
  redemption_ttl_minutes: Type.Integer({ description: 'of codes whose offer says nothing else' }),
  version: Type.String(),
});

export const DemoMembers = Closed({
  data: Type.Array(
    Closed({
      user_id: Type.Integer(),
      display_name: Nullable(Type.String()),
      balance: Type.Number(),
    }),
  ),
});

export const DemoSignIn = Closed({ user_id: Type.Integer({ minimum: 1 }) });
export const DemoToken = Closed({ token: Type.String(), expires_at: Time });
