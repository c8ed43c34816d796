/** The rows of the legacy database. `@` stands for its schema; nothing here depends on the day. */

/** No number fits int4, no name, several of one address, ids that are no member's. */
export const USER_ROWS = `
  INSERT INTO public.dim_users (id, name, email, is_active, account_status) VALUES
    (-5, 'Prueba', 'test@example.com', true, NULL), (0, 'Nadie', NULL, NULL, NULL),
    (1, 'Ana', 'ana@example.com', true, 'active'), (2, NULL, 'ana@example.com', true, 'active'),
    (3, '', '', false, 'deleted'), (4, '   ', NULL, NULL, NULL),
    (5, 'José <b>&amp;</b> 🇵🇦', 'jose@example.com', true, 'active'), (6, NULL, NULL, NULL, NULL),
    (7, repeat('x', 400), repeat('y', 400) || '@example.com', true, NULL),
    (2147483647, 'El último', NULL, true, NULL), (2147483648, 'Uno más', NULL, true, NULL),
    (5000000000, 'Grande', 'grande@example.com', true, 'active');
  INSERT INTO public.dim_users (id, name)
    SELECT m, 'Socio ' || m FROM generate_series(1001, 1020) m;`;

/**
 * Which offer arrives active, and why each of the others does not, in the words of the take-over;
 * `null` is active. The keys are the ids of the catalogue.
 */
export const OFFER_FAULTS: Record<number, string | null> = {
  0: 'price is not positive',
  1: null,
  2: null,
  3: 'no price',
  5: 'price is not positive',
  6: 'price is not positive',
  7: null,
  8: 'no name',
  9: 'no name',
  10: 'ends before it begins',
  11: 'date out of range',
  12: 'date out of range',
  13: null,
  14: null,
  15: null,
  16: null,
  17: 'date out of range',
  18: 'no name',
  19: null,
  20: null,
  21: 'ends before it begins',
  22: null,
  100: null,
  101: null,
};

/** The id that the next new offer gets. */
export const NEXT_OFFER = 102;

export const DIM_ROWS = `
  INSERT INTO @.dim_redemptions (id, name, name_friendly, points, valid_from, valid_to) VALUES
    (0, 'radar', 'Radar de ofertas', 0, '2020-01-01Z', '2099-01-01Z'),
    (1, 'red_cafe', 'Café', 50, '2020-01-01Z', '2099-01-01Z'),
    (2, 'product_search', 'Búsqueda de productos', 100, '2020-01-01Z', NULL),
    (3, 'sin_precio', 'Sin precio', NULL, '2020-01-01Z', NULL),
    (5, 'gratis', 'Gratis', 0, NULL, NULL),
    (6, 'negativa', 'Al revés', -20, NULL, NULL),
    (7, 'enorme', 'Un carro', 2147483647, NULL, NULL),
    (8, 'sin_nombre', NULL, 10, NULL, NULL),
    (9, 'en_blanco', '   ', 10, NULL, NULL),
    (10, 'cruzada', 'Cruzada', 10, '2030-01-01Z', '2020-01-01Z'),
    (11, 'sin_fin', 'Sin fin', 10, '2020-01-01Z', 'infinity'),
    (12, 'sin_principio', 'Sin principio', 10, '-infinity', '2099-01-01Z'),
    (13, 'vencida', 'Vencida', 10, '2020-01-01Z', '2021-01-01Z'),
    (14, 'sin_creacion', 'Sin fecha de creación', 10, NULL, NULL),
    (15, 'red_cafe', 'Café', 55, NULL, NULL),
    (16, 'red_cafe', 'Café', 55, NULL, NULL),
    (17, 'lejana', 'Lejana', 10, '2020-01-01Z', '10000-01-02Z'),
    (18, 'vacia', '', 10, NULL, NULL),
    (19, 'larga', repeat('ü', 255), 10, NULL, NULL),
    (20, 'cine', 'Cine', 20, '2020-01-01Z', NULL),
    (21, 'instante', 'Un instante', 10, '2025-01-01Z', '2025-01-01Z'),
    (22, 'futura', 'Futura', 10, '2090-01-01Z', NULL),
    (100, 'regalo', 'Regalo', 700, NULL, NULL),
    (101, 'paseo', 'Paseo <script>alert(1)</script> 🎁', 30, NULL, NULL);
  UPDATE @.dim_redemptions SET description_friendly = 'Descripción de ' || name,
    img = 'https://img.example.com/' || id || '.png', created_at = '2025-01-01 10:00Z',
    update_date = '2025-02-02 20:00Z', cond_1_key = 'tier', cond_1_value = 'oro',
    duration_value = 30, duration_unit = 'days', segment = 'todos', weight = id / 3.0;
  UPDATE @.dim_redemptions SET created_at = NULL, update_date = NULL WHERE id = 14;
  UPDATE @.dim_redemptions SET description_friendly = repeat('d', 500),
    img = 'C:\\imagenes\\' || repeat('i', 480) WHERE id = 19;
  UPDATE @.dim_redemptions SET description_friendly = NULL, img = NULL WHERE id IN (15, 18);
  SELECT setval(pg_get_serial_sequence('@.dim_redemptions', 'id'), 101)
    WHERE pg_get_serial_sequence('@.dim_redemptions', 'id') IS NOT NULL;`;

/** Purchases of points, and what lives in the same table: subscriptions and entitlements. */
export const PURCHASE_ROWS = `
  INSERT INTO @.fact_redemptions
    (user_id, redem_id, quantity, date, expiration_date, condition1) VALUES
    (1, '1', 30, '2025-05-01Z', NULL, 'Canjeado'),
    (2, '1', 0.25, '2025-05-02Z', NULL, 'Canjeado'),
    (7, '20', 20, '2025-05-03Z', NULL, 'Canjeado'),
    (9, '1', 3, '2025-05-04Z', NULL, 'Canjeado'),
    (11, '1', 10, '2025-05-05Z', NULL, 'Canjeado'),
    (14, '1', 50, '2025-05-06Z', NULL, 'Canjeado'), (14, '1', 50, '2025-05-06Z', NULL, 'Canjeado'),
    (14, '1', 1.5, '2025-05-07Z', NULL, 'canjeado'), (14, '100', NULL, NULL, NULL, 'CANJEADO'),
    (14, '100', 0, '2025-05-08Z', 'infinity', 'Canjeado'),
    (25, '999', 5, '2025-05-09Z', NULL, 'Canjeado'), (25, 'abc', 5, '2025-05-10Z', NULL, 'Canjeado'),
    (25, '', 1, '2025-05-11Z', NULL, 'Canjeado'), (25, NULL, 1, '2025-05-12Z', NULL, 'Canjeado'),
    (25, ' 1 ', 1, '2025-05-13Z', NULL, 'Canjeado'), (25, '007', 1, '2025-05-14Z', NULL, 'Canjeado'),
    (25, '1.0', 1, '2025-05-15Z', NULL, 'Canjeado'),
    (25, '99999999999999999999', 1, '2025-05-16Z', NULL, 'Canjeado'),
    (25, '-1', 1, '2025-05-17Z', NULL, 'Canjeado'),
    (26, '1', 4, '2025-05-18Z', NULL, 'Canjeado '), (26, '1', 4, '-infinity', NULL, NULL),
    (26, '1', -4, 'infinity', NULL, 'Devuelto'),
    (NULL, '1', 50, '2025-05-19Z', NULL, 'Canjeado'), (2147483647, '1', 1, '2025-05-20Z', NULL, 'Canjeado'),
    (15, 'red_radarofertas', 1, '2025-01-01Z', '2035-01-01Z', NULL),
    (16, '2', 10, '2025-01-01Z', '2090-01-01Z', 'activo'), (16, '2', 10, '2020-01-01Z', '2020-02-01Z', NULL),
    (16, '0', 1, '2025-01-01Z', '2090-01-01Z', 'electrónica'), (16, '0', 1, '2025-01-02Z', '2090-01-01Z', 'moda'),
    (16, '0', 0, '2025-01-03Z', '2090-01-01Z', 'moda'), (16, '0', NULL, '2020-01-03Z', '2020-02-01Z', 'viajes'),
    (16, '0', 0, NULL, 'infinity', NULL), (1001, 'red_radarofertas', 0, '2020-01-01Z', '2020-12-31Z', NULL);`;

/** Entries of all kinds; the rule's name is their type. */
export const LEDGER_ROWS = `
  INSERT INTO @.fact_accumulations
    (user_id, accum_id, accum_type, accum_key, dtype, quantity, balance, date) VALUES
    (1, 0, 'receipts', 'CUFE-1', 'points', 100, 100, '2025-04-01 05:00Z'),
    (2, 0, 'receipts', 'CUFE-2', 'points', 0.5, NULL, '2025-04-02Z'),
    (2, NULL, 'survey', NULL, 'points', 0.75, NULL, '2025-04-02Z'),
    (3, 0, 'receipts', 'CUFE-3', 'points', 10, 10, '2025-04-03Z'),
    (4, NULL, 'gamification', 'streak', 'points', 50, NULL, '2025-04-04Z'),
    (5, 0, 'receipts', 'CUFE-5', 'points', 12, NULL, '2025-04-05Z'),
    (7, 0, 'receipts', 'CUFE-7', 'points', 5, NULL, '2025-04-07Z'),
    (9, 0, 'receipts', 'CUFE-9', 'points', 8, NULL, '2025-04-09Z'),
    (10, NULL, 'achievement', 'first', 'points', 3000000000, 3000000000, '2025-04-10Z'),
    (12, 10, 'daily_game', NULL, 'points', 0, 0, '2025-04-12Z'),
    (12, 10, 'daily_game', NULL, 'points', 0, NULL, '2025-04-13Z'),
    (13, 0, 'receipts', 'CUFE-13', 'points', 7, NULL, '2025-04-13Z'),
    (13, NULL, 'xp', NULL, 'xp', 900, NULL, '2025-04-13Z'),
    (13, NULL, 'coins', NULL, 'Points', 90, NULL, '2025-04-13Z'),
    (13, NULL, NULL, NULL, NULL, 9, NULL, '2025-04-13Z'),
    (14, NULL, 'receipts', 'CUFE-14', 'points', 500, NULL, '2025-04-14Z'),
    (15, NULL, 'receipts', 'CUFE-15', 'points', 101, NULL, '2025-04-15Z'),
    (16, NULL, 'receipts', 'CUFE-16', 'points', 222, NULL, '2025-04-16Z'),
    (17, NULL, 'ocr_cost', 'img-1', 'points', -2, NULL, '2025-04-17Z'),
    (17, NULL, 'ocr_refund', 'img-1', 'points', 2, NULL, '2025-04-17Z'),
    (17, NULL, 'whatsapp_purchase', NULL, 'points', -10, NULL, '2025-04-18Z'),
    (17, NULL, 'earn', NULL, 'points', 40, NULL, '2025-04-19Z'),
    (18, 0, 'receipts', 'CUFE-TWICE', 'points', 1, NULL, '2025-04-18Z'),
    (18, 0, 'receipts', 'CUFE-TWICE', 'points', 1, NULL, '2025-04-18Z'),
    (19, 0, 'receipts', 'CUFE-TWICE', 'points', 1, NULL, NULL),
    (19, 0, 'receipts', '', 'points', NULL, NULL, '2025-04-19Z'),
    (21, 0, 'receipts', 'CUFE-21', 'points', 77, NULL, '2025-04-21Z'),
    (0, 0, 'receipts', 'CUFE-0', 'points', 3, NULL, '2025-04-20Z'),
    (-5, 0, 'receipts', 'CUFE-minus', 'points', 3, NULL, '2025-04-20Z'),
    (2147483647, 0, 'receipts', 'CUFE-max', 'points', 21, NULL, '2025-04-22Z'),
    (24, NULL, 'receipts', NULL, 'points', 0.000000000000000000001, NULL, '2025-04-24Z'),
    (24, NULL, 'receipts', NULL, 'points', 33.3333333333333333333333, NULL, '2025-04-24Z'),
    (25, NULL, 'receipts', NULL, 'points', 100, NULL, '2025-04-25Z'),
    (26, NULL, 'receipts', NULL, 'points', 100.10, NULL, '-infinity'),
    (27, NULL, 'receipts', NULL, 'points', 1, NULL, 'infinity'),
    (27, 999, 'unknown', NULL, 'points', 1.00, NULL, '0044-03-15Z BC'),
    (NULL, 0, 'receipts', 'CUFE-nobody', 'points', 1, NULL, '2025-04-26Z'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (28, 0, 'receipts', 'CUFE-28', 'points', 60, NULL, '2025-04-28Z'),
    (29, 0, 'receipts', 'CUFE-29', 'points', 12345678901234567890, NULL, '2025-04-29Z');`;

/** Members whose stored balance is not what the formula gives, or that have none. */
export const DRIFTED: Record<number, string | null> = {
  3: '25', // more than the ledger
  4: '20', // less
  6: '40', // no entry at all
  8: '-3', // negative, and no entry
  9: null, // a stored NULL
  26: '5.0050', // a fraction
  28: '60.000000001', // hardly
};

/** Members with entries or purchases and no stored balance: rows were made lazily. */
export const NOT_STORED = [5, 11, 21];

/** What the old trigger would have left behind, but for those who drifted and those without. */
export const STORED_BALANCES = `
  INSERT INTO @.fact_balance_points (user_id, balance, latest_update)
  SELECT user_id, sum(points), CASE WHEN user_id % 7 = 0 THEN NULL ELSE timestamptz '2025-06-01Z' END
  FROM (SELECT user_id, quantity AS points FROM @.fact_accumulations WHERE dtype = 'points'
        UNION ALL SELECT user_id, -quantity FROM @.fact_redemptions) moved
  WHERE user_id IS NOT NULL AND user_id NOT IN (${[...Object.keys(DRIFTED), ...NOT_STORED].join()})
  GROUP BY user_id;
  INSERT INTO @.fact_balance_points VALUES
    ${Object.entries(DRIFTED)
      .map(([id, stored]) => `(${id}, ${stored ?? 'NULL'}, '2025-06-02Z')`)
      .join(', ')},
    (NULL, 0, '2025-06-03Z'), (NULL, 17, NULL);`;
