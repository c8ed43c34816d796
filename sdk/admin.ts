import { counters } from './counters.ts';
import { at, type CallOptions, type Connection, type KeyedOptions } from './request.ts';
import type {
  Adjusted,
  AdjustInput,
  AuditEntry,
  AuditQuery,
  Balance,
  Cancelled,
  FoundRedemption,
  KeyEntry,
  KeyWithSecret,
  LedgerEntry,
  MemberEntry,
  MembersQuery,
  Merchant,
  MerchantChange,
  MerchantInput,
  MerchantsQuery,
  MerchantWithKey,
  Offer,
  OfferChange,
  OfferInput,
  OffersQuery,
  Page,
  PageQuery,
  Query,
  Reversed,
  ReverseInput,
  SearchQuery,
  StaffChange,
} from './types.ts';

/** What staff can do. The token is a JWT with `role: admin`. */
export function admin(connection: Connection) {
  return {
    offers: offersOf(connection),
    merchants: merchantsOf(connection),
    /** Branches, devices and pairings of one merchant. */
    counters: (merchantId: string) => counters(connection, at`/admin/merchants/${merchantId}`),
    members: membersOf(connection),
    redemptions: redemptionsOf(connection),
    audit: (query?: Query<AuditQuery>, options?: CallOptions) =>
      connection.send<Page<AuditEntry>>('GET', '/admin/audit', { ...options, query }),
    changes: (query?: PageQuery & { entity_id?: string }, options?: CallOptions) =>
      connection.send<Page<StaffChange>>('GET', '/admin/changes', { ...options, query }),
  };
}

function offersOf({ send }: Connection) {
  return {
    list: (query?: OffersQuery, options?: CallOptions) =>
      send<Page<Offer>>('GET', '/admin/offers', { ...options, query }),
    get: (offerId: string, options?: CallOptions) =>
      send<Offer>('GET', at`/admin/offers/${offerId}`, options),
    create: (body: OfferInput, options?: CallOptions) =>
      send<Offer>('POST', '/admin/offers', { ...options, body }),
    update: (offerId: string, body: OfferChange, options?: CallOptions) =>
      send<Offer>('PATCH', at`/admin/offers/${offerId}`, { ...options, body }),
    deactivate: (offerId: string, options?: CallOptions) =>
      send<void>('DELETE', at`/admin/offers/${offerId}`, options),
  };
}

function merchantsOf({ send }: Connection) {
  return {
    list: (query?: MerchantsQuery, options?: CallOptions) =>
      send<Page<Merchant>>('GET', '/admin/merchants', { ...options, query }),
    get: (merchantId: string, options?: CallOptions) =>
      send<Merchant>('GET', at`/admin/merchants/${merchantId}`, options),
    /** With its first key, which is shown once. */
    create: (body: MerchantInput, options?: CallOptions) =>
      send<MerchantWithKey>('POST', '/admin/merchants', { ...options, body }),
    update: (merchantId: string, body: MerchantChange, options?: CallOptions) =>
      send<Merchant>('PATCH', at`/admin/merchants/${merchantId}`, { ...options, body }),
    deactivate: (merchantId: string, options?: CallOptions) =>
      send<void>('DELETE', at`/admin/merchants/${merchantId}`, options),
    keys: (merchantId: string, options?: CallOptions) =>
      send<Page<KeyEntry>>('GET', at`/admin/merchants/${merchantId}/keys`, options),
    /** Its key is shown once. */
    createKey: (merchantId: string, body: { label?: string | null }, options?: CallOptions) =>
      send<KeyWithSecret>('POST', at`/admin/merchants/${merchantId}/keys`, { ...options, body }),
    revokeKey: (merchantId: string, keyId: string, options?: CallOptions) =>
      send<void>('DELETE', at`/admin/merchants/${merchantId}/keys/${keyId}`, options),
  };
}

function membersOf({ send }: Connection) {
  return {
    list: (query?: MembersQuery, options?: CallOptions) =>
      send<Page<MemberEntry>>('GET', '/admin/members', { ...options, query }),
    balance: (userId: number, options?: CallOptions) =>
      send<Balance>('GET', at`/admin/members/${userId}/balance`, options),
    ledger: (userId: number, query?: PageQuery, options?: CallOptions) =>
      send<Page<LedgerEntry>>('GET', at`/admin/members/${userId}/ledger`, { ...options, query }),
    /** Gives points, or takes them with a quantity below zero. */
    adjust: (userId: number, body: AdjustInput, options: KeyedOptions) =>
      send<Adjusted>('POST', at`/admin/members/${userId}/ledger`, { ...options, body }),
  };
}

function redemptionsOf({ send }: Connection) {
  return {
    search: (query?: SearchQuery, options?: CallOptions) =>
      send<Page<FoundRedemption>>('GET', '/admin/redemptions', { ...options, query }),
    get: (redemptionId: string, options?: CallOptions) =>
      send<FoundRedemption>('GET', at`/admin/redemptions/${redemptionId}`, options),
    cancel: (redemptionId: string, body: { reason: string }, options: KeyedOptions) =>
      send<Cancelled>('POST', at`/admin/redemptions/${redemptionId}/cancel`, { ...options, body }),
    reverse: (redemptionId: string, body: ReverseInput, options: KeyedOptions) =>
      send<Reversed>('POST', at`/admin/redemptions/${redemptionId}/reverse`, { ...options, body }),
  };
}
