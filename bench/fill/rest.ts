import type { Size } from './names.ts';
import { categoryOf, DAYS, GRANT, isForfeit, keyOf, nameOf, priceOf, uuidOf } from './words.ts';

/** Members $1 to $2, seen from $3, each with the opening entry of its ledger. */
export const membersSql = `WITH member AS (
    INSERT INTO lumis.members (user_id, display_name, email, locale, created_at, updated_at)
    SELECT u, 'Member ' || u, 'member' || u || '@example.com',
      CASE WHEN u % 3 = 0 THEN 'en' ELSE 'es' END, w.at, w.at
    FROM generate_series($1::integer, $2::integer) AS u,
      (SELECT $3::timestamptz - make_interval(days => ${DAYS + 10}) AS at) w
  )
  INSERT INTO public.fact_accumulations (id, user_id, accum_type, dtype, quantity, date, kind)
  SELECT u, u, 'opening', 'points', ${GRANT},
    $3::timestamptz - make_interval(days => ${DAYS + 1}), 'opening'
  FROM generate_series($1::integer, $2::integer) AS u`;

/** What the redemptions hold and have used, by offer: read once, for offers and merchants. */
export const usedSql = `CREATE TABLE bench.used AS
  SELECT offer_id, validated_by_merchant_id AS merchant_id,
    count(*) FILTER (WHERE redemption_status IN ('pending', 'confirmed')) AS live,
    count(*) FILTER (WHERE redemption_status = 'confirmed') AS confirmed,
    sum(lumis_spent) FILTER (WHERE redemption_status = 'confirmed') AS lumis
  FROM rewards.user_redemptions GROUP BY 1, 2`;

/** All balances, each the sum of its ledger. */
export const balancesSql = `INSERT INTO lumis.balances (user_id, balance, updated_at)
  SELECT user_id, sum(quantity), max(date) FROM public.fact_accumulations
  GROUP BY user_id ORDER BY user_id`;

/** Hashes of BENCH_SECRET, as keys and as devices keep them. */
export interface Hashes {
  key: string;
  device: Buffer;
}

/**
 * Merchants, each with a key, a branch and a device; and offers, of which half have stock, a quarter
 * has a member limit, and one in 97 cannot be redeemed. `now` is the time they are seen from.
 */
export const catalogueSql = (
  { offers, merchants }: Size,
  now: string,
  hashes: Hashes,
): { text: string; values: unknown[] }[] => [
  {
    values: [now],
    text: `INSERT INTO rewards.merchants (merchant_id, merchant_name, merchant_type, contact_email,
    contact_phone, total_redemptions, total_lumis_redeemed, created_at, updated_at)
  SELECT w.id, 'Comercio ' || lpad(n::text, 4, '0'), ${categoryOf('n')},
    'caja' || n || '@example.com', '+507 6' || lpad(n::text, 7, '0'), coalesce(u.confirmed, 0),
    coalesce(u.lumis, 0), w.at, w.at
  FROM generate_series(1, ${merchants}) AS n
  CROSS JOIN LATERAL (SELECT ${uuidOf('merchant', 'n')} AS id,
    $1::timestamptz - make_interval(days => ${DAYS + 20}) AS at) w
  LEFT JOIN (SELECT merchant_id, sum(confirmed) AS confirmed, sum(lumis) AS lumis FROM bench.used
    GROUP BY 1) u ON u.merchant_id = w.id`,
  },
  {
    values: [now, hashes.key],
    text: `INSERT INTO lumis.merchant_keys (key_id, merchant_id, secret_hash, label, created_by, created_at)
  SELECT ${keyOf('n')}, ${uuidOf('merchant', 'n')}, $2, 'till', '1',
    $1::timestamptz - make_interval(days => ${DAYS + 20})
  FROM generate_series(1, ${merchants}) AS n`,
  },
  {
    values: [now],
    text: `INSERT INTO lumis.branches
    (branch_id, merchant_id, branch_name, time_zone, created_at, updated_at)
  SELECT ${uuidOf('branch', 'n')}, ${uuidOf('merchant', 'n')}, 'Centro', 'America/Panama', w.at, w.at
  FROM generate_series(1, ${merchants}) AS n,
    (SELECT $1::timestamptz - make_interval(days => ${DAYS + 20}) AS at) w`,
  },
  {
    values: [now, hashes.device],
    text: `INSERT INTO lumis.devices (device_id, merchant_id, branch_id, device_name, scopes, secret_hash,
    created_by, created_at)
  SELECT 'phone' || lpad(n::text, 7, '0'), ${uuidOf('merchant', 'n')}, ${uuidOf('branch', 'n')},
    'Caja 1', '{scan,reverse}', $2, '1', $1::timestamptz - make_interval(days => ${DAYS + 20})
  FROM generate_series(1, ${merchants}) AS n`,
  },
  {
    values: [now],
    text: `INSERT INTO rewards.redemption_offers (offer_id, name_friendly, description, lumis_cost,
    stock_quantity, stock_held, merchant_id, is_active, valid_from, valid_to, offer_category,
    max_redemptions_per_user, on_expiry, image_url, terms, created_at, updated_at)
  SELECT w.id, ${nameOf('n')}, 'Se muestra el código en la caja. Válido en todas las sucursales.',
    ${priceOf('n')}, CASE WHEN n = 1 THEN 1000000000 WHEN n % 2 = 0 THEN 1000000 END,
    coalesce(u.live, 0), ${uuidOf('merchant', `1 + (n - 1) % ${merchants}`)}, f.fault <> 'inactive',
    CASE WHEN f.fault = 'early' THEN $1::timestamptz + interval '1 year'
      WHEN f.fault = 'ended' OR n % 3 = 0 THEN w.at END,
    CASE WHEN f.fault = 'ended' THEN $1::timestamptz - interval '1 day'
      WHEN f.fault = 'early' OR n % 3 = 0 THEN $1::timestamptz + interval '2 years' END,
    ${categoryOf('n')}, CASE WHEN n % 4 = 3 THEN 1000 END,
    CASE WHEN ${isForfeit('n')} THEN 'forfeit' ELSE 'refund' END,
    'https://images.example.com/' || ${categoryOf('n')} || '/' || n || '.webp',
    'Una unidad por código. No se canjea por dinero.', w.at, w.at
  FROM generate_series(1, ${offers}) AS n
  CROSS JOIN LATERAL (SELECT ${uuidOf('offer', 'n')} AS id, $1::timestamptz
    - make_interval(days => ${DAYS + 10}, mins => n % 14400) AS at) w
  CROSS JOIN LATERAL (SELECT CASE WHEN n % 97 > 0 THEN 'none'
    ELSE (ARRAY['ended', 'early', 'inactive'])[1 + n / 97 % 3] END AS fault) f
  LEFT JOIN (SELECT offer_id, sum(live) AS live FROM bench.used GROUP BY 1) u ON u.offer_id = w.id`,
  },
];

/**
 * Stored answers of redemptions $1 to $2, as a redeem leaves them, seen from $3: made evenly over
 * the last 20 hours.
 */
export const keysSql = (size: Size): string => `INSERT INTO lumis.idempotency_keys
    (actor_type, actor_id, key, fingerprint, answer, created_at)
  SELECT 'user', r.user_id::text, gen_random_uuid()::text, sha256(r.redemption_id::text::bytea),
    jsonb_build_object('done', jsonb_build_object('redemption_id', r.redemption_id,
      'offer_id', r.offer_id, 'offer_name', r.offer_name, 'merchant_id', r.merchant_id,
      'merchant_name', m.merchant_name, 'lumis_spent', r.lumis_spent,
      'redemption_status', 'pending', 'redemption_code', r.redemption_code,
      'qr_image_url', r.qr_image_url, 'qr_landing_url', r.qr_landing_url,
      'created_at', r.created_at, 'code_expires_at', r.code_expires_at, 'validated_at', NULL,
      'closed_at', NULL, 'cancellation_reason', NULL, 'on_expiry', r.on_expiry,
      'balance', ${GRANT})),
    $3::timestamptz - make_interval(secs => 72000::float8 * n / ${size.keys ?? 1})
  FROM generate_series($1::bigint, $2::bigint) AS n
  JOIN rewards.user_redemptions r ON r.redemption_id = ${uuidOf('redemption', 'n')}
  JOIN rewards.merchants m ON m.merchant_id = r.merchant_id`;
