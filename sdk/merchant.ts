import { at, type CallOptions, type Connection, type KeyedOptions } from './request.ts';
import { type StreamEvent, type WatchOptions, watch } from './stream.ts';
import type {
  Confirmed,
  CounterRedemption,
  Day,
  DayQuery,
  MerchantRedemption,
  MerchantStats,
  OwnDevice,
  Page,
  RedemptionsQuery,
  Reversed,
  ReverseInput,
  Validated,
} from './types.ts';

/**
 * `ready`: it begins now. `reset`: what happened meanwhile cannot be told event by event; read the
 * day again.
 */
export type CounterEvent =
  | StreamEvent<'redemption.confirmed' | 'redemption.reversed', CounterRedemption>
  | StreamEvent<'ready' | 'reset', Record<string, never>>;

/** What a counter can do. The token is a merchant key or a device's. */
export function merchant(connection: Connection) {
  const { send } = connection;
  return {
    /** What is this code, and may it be handed over? Moves nothing; everything but 200 is a no. */
    validate: (body: { code: string }, options?: CallOptions) =>
      send<Validated>('POST', '/merchant/validate', { ...options, body, isSafe: true }),
    /** Wins once. Hand over when it resolves, not before. */
    confirm: (redemptionId: string, options: KeyedOptions) =>
      send<Confirmed>('POST', at`/merchant/redemptions/${redemptionId}/confirm`, options),
    /** Takes a confirmation back: the points return. */
    reverse: (redemptionId: string, body: ReverseInput, options: KeyedOptions) =>
      send<Reversed>('POST', at`/merchant/redemptions/${redemptionId}/reverse`, {
        ...options,
        body,
      }),
    /** A day at this counter, and what it comes to. */
    day: (query?: DayQuery, options?: CallOptions) =>
      send<Day>('GET', '/merchant/day', { ...options, query }),
    stats: (options?: CallOptions) => send<MerchantStats>('GET', '/merchant/stats', options),
    redemptions: (query?: RedemptionsQuery, options?: CallOptions) =>
      send<Page<MerchantRedemption>>('GET', '/merchant/redemptions', { ...options, query }),
    /** Follows what is confirmed and reversed; a device's: at its branch. */
    watch: (options: WatchOptions<CounterEvent>) => watch(connection, '/merchant/events', options),
    /** The device that asks. */
    device: (options?: CallOptions) => send<OwnDevice>('GET', '/merchant/device', options),
    /** The device that asks gives up its token. */
    signOutDevice: (options?: CallOptions) => send<void>('DELETE', '/merchant/device', options),
  };
}
