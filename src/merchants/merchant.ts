/** The columns of a Merchant, from `rewards.merchants m`; the key's hash is never read. */
export const MERCHANT_COLUMNS = `m.merchant_id, m.merchant_name, m.merchant_type, m.contact_email,
  m.contact_phone, m.webhook_url, m.is_active, m.total_redemptions, m.total_lumis_redeemed,
  m.created_at, m.updated_at`;
