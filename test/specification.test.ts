import assert from 'node:assert/strict';
import { test } from 'node:test';
import bcrypt from 'bcrypt';
import { testApp } from './support/app.ts';
import { freshDatabase } from './support/database.ts';

// The statements that the original specification prints, as it prints them.
const SAMPLE_MERCHANT = `INSERT INTO rewards.merchants (
    merchant_name, 
    merchant_type,
    contact_email,
    api_key_hash, 
    is_active
) VALUES (
    'Café Test',
    'restaurant',
    'test@cafe.com',
    '$2b$12$LQv3c1yqBWVHxkd0LHAkCOYz6TT.KW0ckT8UrYKl1D6y7t8ZPqAum',
    true
) RETURNING merchant_id, merchant_name;`;

const SAMPLE_OFFERS = `INSERT INTO rewards.redemption_offers (
    name_friendly,
    description,
    lumis_cost,
    stock_quantity,
    is_active,
    valid_from,
    valid_to,
    offer_category
) VALUES 
(
    'Café Gratis',
    'Un café americano gratis de cualquier tamaño',
    50,
    100,
    true,
    NOW(),
    NOW() + INTERVAL '30 days',
    'food_drink'
),
(
    'Descuento 20%',
    '20% de descuento en tu compra total',
    100,
    50,
    true,
    NOW(),
    NOW() + INTERVAL '30 days',
    'discount'
),
(
    'Postre Gratis',
    'Postre del día gratis con cualquier orden',
    75,
    30,
    true,
    NOW(),
    NOW() + INTERVAL '15 days',
    'food_drink'
)
RETURNING offer_id, name_friendly, lumis_cost;`;

const ACTIVE_OFFERS = `SELECT 
    offer_id,
    name_friendly,
    lumis_cost,
    stock_quantity,
    valid_to
FROM rewards.redemption_offers
WHERE is_active = true 
  AND valid_to > NOW()
ORDER BY lumis_cost;`;

const TRIGGERS = `SELECT trigger_name, event_manipulation, event_object_table 
FROM information_schema.triggers 
WHERE trigger_schema = 'rewards';`;

const SIZES = `SELECT 
    schemaname,
    tablename,
    pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) AS size
FROM pg_tables
WHERE schemaname = 'rewards'
ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC;`;

const SLOW_QUERIES = `SELECT 
    query,
    calls,
    total_exec_time / 1000 as total_sec,
    mean_exec_time / 1000 as mean_sec
FROM pg_stat_statements
WHERE query LIKE '%rewards%'
ORDER BY mean_exec_time DESC
LIMIT 10;`;

const CRON = [
  'SELECT rewards.expire_old_redemptions();',
  `DELETE FROM rewards.redemption_audit_log WHERE created_at < NOW() - INTERVAL '90 days';`,
  'ANALYZE rewards.user_redemptions; ANALYZE rewards.redemption_offers;',
];

test('every printed statement runs as printed', async (t) => {
  const { connect } = await freshDatabase(t);
  const client = await connect();
  for (const table of ['redemption_offers', 'user_redemptions', 'merchants']) {
    const { rows } = await client.query(`SELECT COUNT(*) FROM rewards.${table};`);
    assert.equal(rows[0].count, '0');
  }
  assert.equal((await client.query(SAMPLE_MERCHANT)).rows[0].merchant_name, 'Café Test');
  assert.equal((await client.query(SAMPLE_OFFERS)).rowCount, 3);
  const { rows: active } = await client.query(ACTIVE_OFFERS);
  assert.deepEqual(
    active.map((row) => row.lumis_cost),
    [50, 75, 100],
  );
  const { rows: triggers } = await client.query(TRIGGERS);
  assert.equal(new Set(triggers.map((row) => row.trigger_name)).size, 2);
  assert.equal((await client.query(SIZES)).rowCount, 4);
  assert.ok((await client.query(SLOW_QUERIES)).rows);
  for (const statement of CRON) await client.query(statement);
  for (const statement of [
    'REINDEX SCHEMA rewards;',
    'ANALYZE rewards.user_redemptions;',
    'ANALYZE rewards.redemption_offers;',
    `SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'rewards';`,
  ]) {
    await client.query(statement);
  }
});

test("the specification's role works with the GRANTs it prints", async (t) => {
  const { url, name, connect } = await freshDatabase(t);
  const client = await connect();
  const role = `${name}_user`;
  await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
  for (const kind of ['SCHEMA', 'ALL TABLES IN SCHEMA', 'ALL SEQUENCES IN SCHEMA']) {
    await client.query(`GRANT ALL PRIVILEGES ON ${kind} rewards TO ${role};`);
  }
  const { default: pg } = await import('pg');
  const theirs = new URL(url);
  theirs.username = role;
  theirs.password = 'x';
  const as = new pg.Client({ connectionString: theirs.href });
  await as.connect();
  try {
    await as.query(SAMPLE_MERCHANT);
    await as.query(SAMPLE_OFFERS);
    await as.query(`INSERT INTO rewards.user_redemptions
      (user_id, offer_id, lumis_spent, redemption_code, code_expires_at)
      SELECT 1, offer_id, 50, 'THEIRS', NOW() - INTERVAL '1 hour'
      FROM rewards.redemption_offers LIMIT 1`);
    // they took the unit by hand; the function gives it back
    await as.query('UPDATE rewards.redemption_offers SET stock_held = 1');
    for (const statement of CRON.slice(0, 2)) await as.query(statement);
    const { rows } = await as.query(
      `SELECT action, actor_type, actor_id FROM rewards.redemption_audit_log ORDER BY log_id`,
    );
    assert.deepEqual(rows, [
      { action: 'created', actor_type: 'system', actor_id: role },
      { action: 'expired', actor_type: 'system', actor_id: role },
    ]);
  } finally {
    await as.end();
    await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test('the sample merchant signs in by Basic once its hash is a real one', async (t) => {
  const api = await testApp(t);
  const [merchant] = await api.db.query({ name: '', text: SAMPLE_MERCHANT, values: [] });
  const basic = (key: string) =>
    `Basic ${Buffer.from(`${merchant.merchant_id}:${key}`).toString('base64')}`;
  const stats = (token: string) => api.call('GET', '/merchant/stats', { token });
  assert.equal((await stats(basic('testkey123'))).status, 401, 'the printed hash is not its hash');
  const hash = await bcrypt.hash('testkey123', 12);
  await api.db.query({
    name: '',
    text: 'UPDATE rewards.merchants SET api_key_hash = $1',
    values: [hash],
  });
  assert.equal((await stats(basic('testkey123'))).status, 200);
  assert.equal((await stats(basic('testkey124'))).status, 401);
});

test('GET /offers with a bearer token answers as the specification calls it', async (t) => {
  const api = await testApp(t);
  await api.db.query({ name: '', text: SAMPLE_OFFERS, values: [] });
  const reply = await api.app.inject({
    url: '/api/v1/rewards/offers',
    headers: { authorization: `Bearer ${await api.member(1)}` },
  });
  assert.equal(reply.statusCode, 200);
  assert.equal(reply.json().data.length, 3);
});
