-- A confirmation as a good engineer writes it by hand: one statement that checks credential, owner,
-- state and expiry, changes the state, and writes the event and the idempotency key with its answer.
-- The triggers audit and count for the merchant, as they do for us.
-- first: the number of the first redemption; each client takes every clients-th one from there.
-- hot: 0 for each redemption's own merchant, else the number of the merchant of all.
\set n :first + :client_id + :clients * :i
\set i :i + 1
\set merchant case when :hot > 0 then :hot else 1 + (:n % :offers) % :merchants end
WITH asked AS (
  SELECT ('00000000-0000-4000-8003-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid AS redemption_id,
    ('00000000-0000-4000-8002-' || lpad(to_hex(:merchant::bigint), 12, '0'))::uuid AS merchant_id,
    'bench' || lpad(:merchant::text, 7, '0') AS key_id, clock_timestamp() AS now
), changed AS (
  UPDATE rewards.user_redemptions r
  SET redemption_status = 'confirmed', validated_by_merchant_id = a.merchant_id,
    validated_at = a.now, changed_by = jsonb_build_object('type', 'merchant', 'id', a.merchant_id,
      'ip', '127.0.0.1', 'agent', 'pgbench', 'request_id', gen_random_uuid(),
      'details', jsonb_build_object('key_id', a.key_id))
  FROM asked a
  WHERE r.redemption_id = a.redemption_id AND r.redemption_status = 'pending'
    AND r.code_expires_at > a.now
    AND (r.merchant_id IS NULL OR r.merchant_id = a.merchant_id)
    AND EXISTS (SELECT FROM rewards.merchants m JOIN lumis.merchant_keys k USING (merchant_id)
      WHERE m.merchant_id = a.merchant_id AND m.is_active
        AND k.key_id = a.key_id AND k.revoked_at IS NULL)
  RETURNING r.redemption_id, r.user_id, r.merchant_id, r.offer_id, r.offer_name, r.lumis_spent,
    a.now, a.merchant_id AS by_id
), event AS (
  INSERT INTO lumis.events (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
  SELECT 'redemption.confirmed', c.redemption_id, 2, c.user_id, c.by_id, c.offer_id,
    jsonb_build_object('lumis_spent', c.lumis_spent, 'offer_name', c.offer_name,
      'validated_at', c.now)
  FROM changed c
)
INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint, answer)
SELECT 'merchant', c.by_id::text, :run || '-' || :client_id::text || '-' || :i::text,
  sha256(convert_to(c.redemption_id::text, 'UTF8')),
  jsonb_build_object('done', jsonb_build_object(
    'redemption_id', c.redemption_id, 'offer_name', c.offer_name, 'lumis_spent', c.lumis_spent,
    'redemption_status', 'confirmed', 'validated_at', c.now))
FROM changed c
RETURNING answer;
