-- A redemption as a good engineer writes it by hand: one statement that checks offer, stock, limit
-- and balance, takes a unit of stock, and writes the redemption, the ledger entry, the event and the
-- idempotency key with its answer. The triggers audit and move the balance, as they do for us.
-- hot: 0 for any offer that can be had, else the number of the one offer. One in 97 cannot be had.
\set i :i + 1
\set any random(1, :offers)
\set offer case when :hot > 0 then :hot when :any % 97 = 0 then :any - 1 else :any end
\set member 1 + random(0, :tokens - 1) * :stride
WITH asked AS (
  SELECT ('00000000-0000-4000-8001-' || lpad(to_hex(:offer::bigint), 12, '0'))::uuid AS offer_id,
    :member::integer AS user_id, clock_timestamp() AS now,
    -- time first, so that new rows land at the right end of the index, as ours do
    overlay(gen_random_uuid()::text PLACING
      overlay(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        PLACING '-' FROM 9 FOR 0) FROM 1 FOR 13)::uuid AS redemption_id,
    upper(regexp_replace(substr(md5(random()::text), 1, 16), '(.{4})', '-\1', 'g')) AS symbols,
    translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/=', '-_') AS token
), taken AS (
  UPDATE rewards.redemption_offers o
  SET stock_quantity = o.stock_quantity - 1, stock_held = o.stock_held + 1
  FROM asked a
  JOIN lumis.balances b ON b.user_id = a.user_id
  WHERE o.offer_id = a.offer_id AND o.is_active
    AND (o.valid_from IS NULL OR o.valid_from <= a.now)
    AND (o.valid_to IS NULL OR a.now < o.valid_to)
    AND (o.stock_quantity IS NULL OR o.stock_quantity > 0)
    AND b.balance >= o.lumis_cost
    AND (o.max_redemptions_per_user IS NULL OR o.max_redemptions_per_user > (
      SELECT count(*) FROM rewards.user_redemptions r
      WHERE r.user_id = a.user_id AND r.offer_id = a.offer_id
        AND r.redemption_status IN ('pending', 'confirmed')))
  RETURNING a.*, o.name_friendly, o.merchant_id, o.lumis_cost, o.on_expiry,
    a.now + make_interval(mins => coalesce(o.code_ttl_minutes, 1440)) AS expires_at,
    b.balance - o.lumis_cost AS balance
), redemption AS (
  INSERT INTO rewards.user_redemptions (redemption_id, user_id, offer_id, lumis_spent,
    redemption_code, qr_image_url, qr_landing_url, code_expires_at, created_at, offer_name,
    merchant_id, on_expiry, landing_token, changed_by)
  SELECT t.redemption_id, t.user_id, t.offer_id, t.lumis_cost, 'LUMS' || t.symbols,
    'http://127.0.0.1:8000/api/v1/rewards/redemptions/' || t.redemption_id || '/qr.png',
    'http://127.0.0.1:8000/r/' || t.token, t.expires_at, t.now, t.name_friendly,
    t.merchant_id, t.on_expiry, t.token, jsonb_build_object('type', 'user', 'id', t.user_id::text,
      'ip', '127.0.0.1', 'agent', 'pgbench', 'request_id', gen_random_uuid())
  FROM taken t
), spend AS (
  INSERT INTO public.fact_accumulations
    (user_id, accum_type, dtype, quantity, date, redemption_id, kind)
  SELECT t.user_id, 'redemption', 'points', -t.lumis_cost, t.now, t.redemption_id, 'spend'
  FROM taken t
), event AS (
  INSERT INTO lumis.events (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
  SELECT 'redemption.created', t.redemption_id, 1, t.user_id, t.merchant_id, t.offer_id,
    jsonb_build_object('lumis_spent', t.lumis_cost, 'offer_name', t.name_friendly)
  FROM taken t
)
INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint, answer)
SELECT 'user', t.user_id::text, :run || '-' || :client_id::text || '-' || :i::text,
  sha256(convert_to(t.offer_id::text, 'UTF8')),
  jsonb_build_object('done', jsonb_build_object(
    'redemption_id', t.redemption_id, 'offer_id', t.offer_id, 'offer_name', t.name_friendly,
    'merchant_id', t.merchant_id, 'lumis_spent', t.lumis_cost, 'redemption_status', 'pending',
    'redemption_code', 'LUMS' || t.symbols,
    'qr_image_url',
    'http://127.0.0.1:8000/api/v1/rewards/redemptions/' || t.redemption_id || '/qr.png',
    'qr_landing_url', 'http://127.0.0.1:8000/r/' || t.token, 'created_at', t.now,
    'code_expires_at', t.expires_at, 'balance', t.balance))
FROM taken t
RETURNING answer;
