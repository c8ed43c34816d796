/** The nouns on the wire, as the server's own contract has them. Types alone: nothing is bundled. */

import type { Static } from 'typebox';
import type * as device from '../src/contract/device.ts';
import type * as ledger from '../src/contract/ledger.ts';
import type * as live from '../src/contract/live.ts';
import type * as merchant from '../src/contract/merchant.ts';
import type * as offer from '../src/contract/offer.ts';
import type * as redemption from '../src/contract/redemption.ts';

export type { AuditEntry, AuditQuery, StaffChange } from '../src/contract/audit.ts';
export type { Problem } from '../src/contract/common.ts';
export type {
  Branch,
  BranchChange,
  BranchInput,
  DeviceEntry,
  OwnDevice,
  Paired,
  Pairing,
  PairingInput,
  Scope,
} from '../src/contract/device.ts';
export type { Adjusted, Balance, LedgerEntry, MemberEntry } from '../src/contract/ledger.ts';
export type {
  CounterRedemption,
  Day,
  RedemptionEvent,
  Timeline,
} from '../src/contract/live.ts';
export type {
  KeyEntry,
  Merchant,
  MerchantChange,
  MerchantInput,
  MerchantStats,
} from '../src/contract/merchant.ts';
export type { CatalogueOffer, Offer, OfferChange, OfferInput } from '../src/contract/offer.ts';
export type {
  Cancelled,
  Confirmed,
  FoundRedemption,
  MerchantRedemption,
  Redeemed,
  Redemption,
  Reversed,
  Validated,
} from '../src/contract/redemption.ts';

/** A page of a list: go on with `cursor: next_cursor` until that is null. */
export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** A query as one writes it: what has a default, or is not wanted, may be left out. */
export type Query<T> = { [Name in keyof T]?: T[Name] | undefined };
export type PageQuery = Query<Static<typeof ledger.LedgerQuery>>;
export type CatalogueQuery = Query<offer.CatalogueQuery>;
export type OffersQuery = Query<offer.OffersQuery>;
export type RedemptionsQuery = Query<Static<typeof redemption.RedemptionsQuery>>;
export type SearchQuery = Query<redemption.SearchQuery>;
export type MerchantsQuery = Query<merchant.MerchantsQuery>;
export type MembersQuery = Query<Static<typeof ledger.MembersQuery>>;
export type BranchesQuery = Query<device.BranchesQuery>;
export type DevicesQuery = Query<device.DevicesQuery>;
export type DayQuery = Query<live.DayQuery>;

export type DeviceChange = Static<typeof device.DeviceChange>;
export type PairInput = Static<typeof device.PairInput>;
export type AdjustInput = Static<typeof ledger.AdjustInput>;
export type ReverseInput = Static<typeof redemption.ReverseInput>;
export type MerchantWithKey = Static<typeof merchant.MerchantWithKey>;
export type KeyWithSecret = Static<typeof merchant.KeyWithSecret>;
export type SiteConfig = Static<typeof live.SiteConfig>;
export type DemoMembers = Static<typeof live.DemoMembers>;
export type DemoToken = Static<typeof live.DemoToken>;
