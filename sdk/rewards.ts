import { at, type CallOptions, type Connection, type KeyedOptions } from './request.ts';
import { type StreamEvent, type WatchOptions, watch } from './stream.ts';
import type {
  Balance,
  Cancelled,
  CatalogueOffer,
  CatalogueQuery,
  LedgerEntry,
  Page,
  PageQuery,
  Redeemed,
  Redemption,
  RedemptionEvent,
  RedemptionsQuery,
  Timeline,
} from './types.ts';

const REDEMPTIONS = '/rewards/redemptions';

/** What a member can do. The token is theirs. */
export function rewards(connection: Connection) {
  const { send } = connection;
  return {
    offers: (query?: CatalogueQuery, options?: CallOptions) =>
      send<Page<CatalogueOffer>>('GET', '/rewards/offers', { ...options, query }),
    offer: (offerId: string, options?: CallOptions) =>
      send<CatalogueOffer>('GET', at`/rewards/offers/${offerId}`, options),
    /** Takes the points and gives the code. */
    redeem: (body: { offer_id: string }, options: KeyedOptions) =>
      send<Redeemed>('POST', REDEMPTIONS, { ...options, body }),
    redemptions: (query?: RedemptionsQuery, options?: CallOptions) =>
      send<Page<Redemption>>('GET', REDEMPTIONS, { ...options, query }),
    redemption: (redemptionId: string, options?: CallOptions) =>
      send<Redemption>('GET', at`/rewards/redemptions/${redemptionId}`, options),
    /** The QR as the text of an SVG; `not_found` once it cannot be used any more. */
    qrSvg: (redemptionId: string, options?: CallOptions) =>
      send<string>('GET', at`/rewards/redemptions/${redemptionId}/qr.svg`, {
        ...options,
        as: 'image/svg+xml',
      }),
    /** Gives the points back while it is pending. */
    cancel: (redemptionId: string, options: KeyedOptions) =>
      send<Cancelled>('POST', at`/rewards/redemptions/${redemptionId}/cancel`, options),
    /** What became of it, oldest first. */
    timeline: (redemptionId: string, options?: CallOptions) =>
      send<Timeline>('GET', at`/rewards/redemptions/${redemptionId}/timeline`, options),
    balance: (options?: CallOptions) => send<Balance>('GET', '/rewards/balance', options),
    ledger: (query?: PageQuery, options?: CallOptions) =>
      send<Page<LedgerEntry>>('GET', '/rewards/ledger', { ...options, query }),
    /** Follows one redemption: all its events so far, or those after `lastEventId`, then live. */
    watch: (
      redemptionId: string,
      options: WatchOptions<StreamEvent<RedemptionEvent['type'], RedemptionEvent>>,
    ) => watch(connection, at`/rewards/redemptions/${redemptionId}/events`, options),
  };
}
