/** The columns of an Offer, from `rewards.redemption_offers o` joined with `rewards.merchants m`. */
export const OFFER_COLUMNS = `o.offer_id, o.name_friendly, o.description, o.lumis_cost,
  o.stock_quantity, o.stock_held, o.merchant_id, m.merchant_name, o.is_active, o.valid_from,
  o.valid_to, o.offer_category, o.max_redemptions_per_user, o.code_ttl_minutes, o.on_expiry,
  o.image_url, o.terms, o.created_at, o.updated_at`;
