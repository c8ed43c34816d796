import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { checkMigration } from '../src/db/checklist.ts';
import { MigrationRefused, migrateDown, migrateUp, migrationStates } from '../src/db/migrate.ts';
import { openDatabase } from '../src/db/pool.ts';
import { emptyDatabase } from './support/database.ts';
import { dataOf, hasPsql, MIGRATION, psqlFile, schemaOf } from './support/schema.ts';

const UP = `${MIGRATION}.sql`;
const DOWN = `down/${MIGRATION}.sql`;

/** Something of everything, so that a way down and up again has something to lose. */
const HISTORY = `
  INSERT INTO rewards.merchants (merchant_name, api_key_hash) VALUES ('Kiosco', 'x');
  INSERT INTO lumis.merchant_keys (key_id, merchant_id, secret_hash, created_by)
    SELECT 'k', merchant_id, 'h', 'test' FROM rewards.merchants;
  INSERT INTO rewards.redemption_offers (name_friendly, lumis_cost, stock_quantity, stock_held)
    VALUES ('Jugo', 10, 4, 1);
  INSERT INTO public.fact_accumulations (user_id, quantity) VALUES (7, 100), (8, 0.5), (9, -3);
  INSERT INTO rewards.user_redemptions (user_id, offer_id, lumis_spent, redemption_code)
    SELECT 7, offer_id, 10, 'LUMS-TEST' FROM rewards.redemption_offers;
  INSERT INTO public.fact_accumulations (user_id, quantity, redemption_id, kind)
    SELECT 7, -10, redemption_id, 'spend' FROM rewards.user_redemptions;
  INSERT INTO lumis.events (type, redemption_id, sequence)
    SELECT 'redemption.created', redemption_id, 1 FROM rewards.user_redemptions;
  INSERT INTO lumis.idempotency_keys VALUES ('user', '7', 'key', '\\x00', '{"done":{}}');`;

async function migrated(t: TestContext) {
  const database = await emptyDatabase(t);
  const client = await database.connect();
  const before = await schemaOf(client);
  assert.deepEqual(await migrateUp(database.url), [MIGRATION]);
  return { url: database.url, client, before };
}

async function names(client: { query: (sql: string) => Promise<any> }, sql: string) {
  return (await client.query(sql)).rows.map((row: { name: string }) => row.name);
}

test('up on an empty database makes exactly what was specified', async (t) => {
  const { url, client } = await migrated(t);
  const of = (sql: string) => names(client, sql);
  assert.deepEqual(
    await of(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'rewards' ORDER BY 1`),
    ['merchants', 'redemption_audit_log', 'redemption_offers', 'user_redemptions'],
  );
  assert.deepEqual(
    await of(`SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ')' AS name
      FROM pg_proc p WHERE p.pronamespace = 'rewards'::regnamespace ORDER BY 1`),
    ['audit_redemption_change()', 'expire_old_redemptions()', 'update_merchant_stats()'],
  );
  assert.deepEqual(
    await of(`SELECT DISTINCT trigger_name AS name FROM information_schema.triggers
      WHERE trigger_schema = 'rewards' ORDER BY 1`),
    ['trg_audit_redemption_changes', 'trg_update_merchant_stats'],
  );
  const db = openDatabase({ url, max: 2, poolTimeoutMs: 5000, onError: () => undefined });
  t.after(() => db.close());
  const wrong = (await checkMigration(db)).filter((check) => !check.ok);
  assert.deepEqual(wrong, []);
});

test('a second up changes nothing', async (t) => {
  const { url, client } = await migrated(t);
  await client.query(HISTORY);
  const before = [await schemaOf(client), await dataOf(client, 'rewards', 'lumis', 'public')];
  assert.deepEqual(await migrateUp(url), []);
  const after = [await schemaOf(client), await dataOf(client, 'rewards', 'lumis', 'public')];
  assert.deepEqual(after, before);
});

test('down on an unused installation leaves the database as it was', async (t) => {
  const { url, client, before } = await migrated(t);
  assert.deepEqual(await migrateDown(url), [MIGRATION]);
  assert.deepEqual(await schemaOf(client), before);
  assert.deepEqual(await migrateDown(url), []);
});

test('down with data puts all of it aside, and up brings it back', async (t) => {
  const { url, client } = await migrated(t);
  await client.query(HISTORY);
  const schema = await schemaOf(client);
  const data = await dataOf(client, 'rewards', 'lumis', 'public');
  for (let round = 1; round <= 3; round += 1) {
    await migrateDown(url);
    assert.deepEqual(await dataOf(client, 'rewards', 'lumis', 'public'), []);
    await migrateUp(url);
    assert.deepEqual(await schemaOf(client), schema, `round ${round}`);
    assert.deepEqual(await dataOf(client, 'rewards', 'lumis', 'public'), data, `round ${round}`);
  }
  // sequences go on where they were
  await client.query('INSERT INTO public.fact_accumulations (user_id, quantity) VALUES (7, 1)');
});

test('missing rights are named with the GRANT that gives them', async (t) => {
  const { url, name, connect } = await emptyDatabase(t);
  const client = await connect();
  const role = `${name}_poor`;
  await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor'`);
  t.after(() => undefined);
  const poor = new URL(url);
  poor.username = role;
  poor.password = 'poor';
  await assert.rejects(migrateUp(poor.href), (error: MigrationRefused) => {
    assert.match(error.hint ?? '', new RegExp(`GRANT CREATE ON DATABASE ${name} TO ${role};`));
    assert.match(error.hint ?? '', new RegExp(`GRANT ALL ON SCHEMA public TO ${role};`));
    return error instanceof MigrationRefused;
  });
  const [, grants = ''] = /owner of the database: (.*)$/.exec(await hintOf(poor.href)) ?? [];
  await client.query(grants);
  assert.deepEqual(await migrateUp(poor.href), [MIGRATION]);
  await migrateDown(poor.href);
  await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
});

async function hintOf(url: string): Promise<string> {
  return migrateUp(url).then(
    () => '',
    (error: MigrationRefused) => error.hint ?? '',
  );
}

test('psql and our runner give the same schema and the same record', async (t) => {
  if (!hasPsql(t)) return;
  const ours = await migrated(t);
  const { url, connect } = await emptyDatabase(t);
  const client = await connect();
  const before = await schemaOf(client);
  assert.equal(psqlFile(url, UP).status, 0);
  assert.deepEqual(await schemaOf(client), await schemaOf(ours.client));
  const record = (states: { name: string; applied_by: string | null }[]) =>
    states.map(({ name, applied_by }) => ({ name, applied_by }));
  assert.deepEqual(record(await migrationStates(url)), record(await migrationStates(ours.url)));

  await client.query(HISTORY);
  const data = await dataOf(client, 'rewards', 'lumis', 'public');
  const again = psqlFile(url, UP);
  assert.equal(again.status, 0);
  assert.match(again.stderr, /already applied; nothing to do/);
  assert.deepEqual(await dataOf(client, 'rewards', 'lumis', 'public'), data);

  assert.equal(psqlFile(url, DOWN).status, 0);
  assert.equal(psqlFile(url, UP).status, 0);
  assert.deepEqual(await dataOf(client, 'rewards', 'lumis', 'public'), data);
  assert.equal(psqlFile(url, DOWN).status, 0);
  await client.query('DROP SCHEMA lumis_archive CASCADE');
  assert.deepEqual(await schemaOf(client), before);
});

test('two operators at once: one applies, the other finds it done', async (t) => {
  const { url } = await emptyDatabase(t);
  const results = await Promise.all([migrateUp(url), migrateUp(url), migrateUp(url)]);
  assert.ok(results.some((applied) => applied.length === 1));
  assert.equal((await migrationStates(url))[0]?.applied_at === null, false);
});

test('down stops where somebody else built on our tables', async (t) => {
  const { url, client } = await migrated(t);
  await client.query('CREATE VIEW report AS SELECT count(*) FROM rewards.user_redemptions');
  const before = await schemaOf(client);
  await assert.rejects(migrateDown(url), /cannot drop table rewards.user_redemptions/);
  assert.deepEqual(await schemaOf(client), before);
});
