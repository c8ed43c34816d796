/** When an offer was made, as lists go by it: one that was taken over may not know. Indexed so. */
export const OFFER_TIME = `(CASE WHEN isfinite(o.created_at) THEN o.created_at
  ELSE '1970-01-01Z'::timestamptz END)`;

/**
 * What everybody is shown of an offer, from `rewards.redemption_offers o` joined with
 * `rewards.merchants m`. In a catalogue that was taken over an offer that is not active may lack
 * name and price, and have infinite dates, which RFC 3339 cannot say.
 */
export const SHOWN_COLUMNS = `o.offer_id, coalesce(o.name_friendly, '') AS name_friendly,
  o.description, coalesce(o.lumis_cost, 0) AS lumis_cost, o.stock_quantity, o.merchant_id,
  m.merchant_name, CASE WHEN isfinite(o.valid_from) THEN o.valid_from END AS valid_from,
  CASE WHEN isfinite(o.valid_to) THEN o.valid_to END AS valid_to, o.offer_category,
  o.max_redemptions_per_user, o.code_ttl_minutes, o.on_expiry, o.image_url, o.terms,
  ${OFFER_TIME} AS created_at`;

/** The columns of an Offer, from the same tables. */
export const OFFER_COLUMNS = `${SHOWN_COLUMNS}, o.stock_held, o.is_active, o.updated_at`;

/**
 * SQL: a member's live redemptions (R5), of any offer. OFFSET 0 is a fence: the member's few rows
 * come first, by the member's index. The planner may think as well of the offer's index, and a hot
 * offer has as many live redemptions as there are members.
 */
export const LIVE_OF = (userId: string) => `(SELECT l.offer_id FROM rewards.user_redemptions l
    WHERE l.user_id = ${userId} AND l.redemption_status IN ('pending', 'confirmed') OFFSET 0)`;
