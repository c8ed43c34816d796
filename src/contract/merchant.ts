import Type, { type Static } from 'typebox';
import { Closed, Nullable, PageQuery, Time, Uuid } from './common.ts';

const EDITABLE = {
  merchant_name: Type.String({ minLength: 1, maxLength: 255, pattern: '\\S' }),
  merchant_type: Nullable(Type.String({ minLength: 1, maxLength: 50 })),
  contact_email: Nullable(Type.String({ maxLength: 255, format: 'email' })),
  contact_phone: Nullable(Type.String({ minLength: 1, maxLength: 50 })),
  webhook_url: Nullable(Type.String({ maxLength: 2000, pattern: '^https://[^\\s@<>"]+$' })),
  is_active: Type.Boolean(),
};
const { merchant_name, ...optional } = EDITABLE;

/** What an administrator may say about a merchant. */
export const MerchantInput = Closed({
  merchant_name,
  ...Type.Partial(Type.Object(optional)).properties,
});
export type MerchantInput = Static<typeof MerchantInput>;

/** A change of a merchant: what is left out stays. */
export const MerchantChange = Closed(Type.Partial(Type.Object(EDITABLE)).properties, {
  minProperties: 1,
});
export type MerchantChange = Static<typeof MerchantChange>;

/** A merchant as administrators see it; the key's hash is never read. */
export const Merchant = Closed({
  merchant_id: Uuid,
  merchant_name: Type.String(),
  merchant_type: Nullable(Type.String()),
  contact_email: Nullable(Type.String()),
  contact_phone: Nullable(Type.String()),
  webhook_url: Nullable(Type.String()),
  is_active: Type.Boolean(),
  total_redemptions: Type.Integer(),
  total_lumis_redeemed: Type.Integer(),
  created_at: Time,
  updated_at: Time,
});
export type Merchant = Static<typeof Merchant>;

const ApiKey = Type.String({ description: 'shown here and never again' });
export const MerchantWithKey = Closed({ ...Merchant.properties, api_key: ApiKey });

/** A merchant key as it is listed: never its secret. */
export const KeyEntry = Closed({
  key_id: Type.String(),
  merchant_id: Uuid,
  label: Nullable(Type.String()),
  created_by: Type.String(),
  created_at: Time,
  revoked_at: Nullable(Time),
});
export type KeyEntry = Static<typeof KeyEntry>;
export const KeyWithSecret = Closed({ ...KeyEntry.properties, api_key: ApiKey });
export const KeyInput = Closed({
  label: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 100 }))),
});

export const MerchantsQuery = Closed({ is_active: Type.Optional(Type.Boolean()), ...PageQuery });
export type MerchantsQuery = Static<typeof MerchantsQuery>;

/** A merchant's figures; days begin at midnight of the business time zone, weeks on Monday. */
export const MerchantStats = Closed({
  merchant_id: Uuid,
  merchant_name: Type.String(),
  total_redemptions: Type.Integer(),
  total_lumis_redeemed: Type.Integer(),
  today_redemptions: Type.Integer(),
  today_lumis_redeemed: Type.Integer(),
  this_week_redemptions: Type.Integer(),
  this_month_redemptions: Type.Integer(),
  as_of: Time,
});
export type MerchantStats = Static<typeof MerchantStats>;
