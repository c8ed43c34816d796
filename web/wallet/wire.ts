/** What comes over the wire, by the names that it has there. */
export type {
  Balance,
  CatalogueOffer,
  LedgerEntry,
  Redemption,
  SiteConfig,
  Timeline,
} from '../../sdk/index.ts';
