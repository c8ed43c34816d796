import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { checkMigration } from '../src/db/checklist.ts';
import { MigrationRefused, migrateDown, migrateUp, migrationStates } from '../src/db/migrate.ts';
import { openDatabase } from '../src/db/pool.ts';
import { emptyDatabase } from './support/database.ts';
import { dataOf, hasPsql, MIGRATION, MIGRATIONS, psqlFile, schemaOf } from './support/schema.ts';

/** All files, as an operator would apply them with psql; the last one's run. */
const psqlUp = (url: string) => MIGRATIONS.map((name) => psqlFile(url, `${name}.sql`));
const psqlDown = (url: string) =>
  MIGRATIONS.toReversed().map((name) => psqlFile(url, `down/${name}.sql`));
const allDone = (runs: { status: number | null }[]) => runs.every(({ status }) => status === 0);

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
  INSERT INTO lumis.idempotency_keys VALUES ('user', '7', 'key', '\\x00', '{"done":{}}');
  INSERT INTO lumis.branches (merchant_id, branch_name, time_zone)
    SELECT merchant_id, 'Principal', 'America/Panama' FROM rewards.merchants;
  INSERT INTO lumis.devices (device_id, merchant_id, branch_id, device_name, scopes, secret_hash,
      created_by, revoked_at)
    SELECT d, merchant_id, branch_id, 'Caja', '{scan}', '\\xff', 'test',
      CASE d WHEN 'b' THEN now() END FROM lumis.branches, unnest('{a,b}'::text[]) d;
  INSERT INTO lumis.pairings (code_hash, merchant_id, branch_id, device_id, scopes, created_by,
      expires_at)
    SELECT '\\x01', merchant_id, branch_id, 'a', '{scan}', 'test', now() FROM lumis.branches;`;

async function migrated(t: TestContext) {
  const database = await emptyDatabase(t);
  const client = await database.connect();
  const before = await schemaOf(client);
  assert.deepEqual(await migrateUp(database.url), MIGRATIONS);
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
  assert.deepEqual(await migrateDown(url), MIGRATIONS.toReversed());
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
  assert.deepEqual(await migrateUp(poor.href), MIGRATIONS);
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
  assert.ok(allDone(psqlUp(url)));
  assert.deepEqual(await schemaOf(client), await schemaOf(ours.client));
  const record = (states: { name: string; applied_by: string | null }[]) =>
    states.map(({ name, applied_by }) => ({ name, applied_by }));
  assert.deepEqual(record(await migrationStates(url)), record(await migrationStates(ours.url)));

  await client.query(HISTORY);
  const data = await dataOf(client, 'rewards', 'lumis', 'public');
  const again = psqlUp(url);
  assert.ok(allDone(again));
  for (const { stderr } of again) assert.match(stderr, /already applied; nothing to do/);
  assert.deepEqual(await dataOf(client, 'rewards', 'lumis', 'public'), data);

  const tooEarly = psqlFile(url, `down/${MIGRATION}.sql`);
  assert.match(tooEarly.stderr, /later migrations are still applied: 2026_11_22.*2026_11_23/);
  assert.ok(allDone(psqlDown(url)));
  const outOfOrder = psqlFile(url, `${MIGRATIONS[1]}.sql`);
  assert.match(outOfOrder.stderr, /2025_10_17_redemption_system is not applied yet/);
  assert.ok(allDone(psqlUp(url)));
  assert.deepEqual(await dataOf(client, 'rewards', 'lumis', 'public'), data);
  assert.ok(allDone(psqlDown(url)));
  for (const { stderr } of psqlDown(url)) assert.match(stderr, /is not applied; nothing to do/);
  await client.query('DROP SCHEMA lumis_archive CASCADE');
  assert.deepEqual(await schemaOf(client), before);
});

test('two operators at once: one applies, the other finds it done', async (t) => {
  const { url } = await emptyDatabase(t);
  const results = await Promise.all([migrateUp(url), migrateUp(url), migrateUp(url)]);
  assert.ok(results.some((applied) => applied.length === MIGRATIONS.length));
  assert.equal((await migrationStates(url))[0]?.applied_at === null, false);
});

test('down stops where somebody else built on our tables', async (t) => {
  const { url, client } = await migrated(t);
  await client.query('CREATE VIEW report AS SELECT count(*) FROM rewards.user_redemptions');
  const before = await schemaOf(client);
  await assert.rejects(migrateDown(url), /cannot drop table rewards.user_redemptions/);
  assert.deepEqual(await schemaOf(client), before);
});

test('later migrations go down alone, and what they put aside survives the rest', async (t) => {
  const { url, client } = await migrated(t);
  await client.query(HISTORY);
  const schema = await schemaOf(client);
  const data = await dataOf(client, 'rewards', 'lumis', 'public');
  assert.deepEqual(await migrateDown(url, MIGRATION), MIGRATIONS.slice(1).toReversed());
  assert.deepEqual(await migrateDown(url, MIGRATION), []);
  assert.deepEqual(await migrateUp(url), MIGRATIONS.slice(1));
  assert.deepEqual(await schemaOf(client), schema);
  // down in two goes, so that the first file finds an archive that is not its own
  await migrateDown(url, MIGRATION);
  await migrateDown(url);
  assert.deepEqual(await migrateUp(url), MIGRATIONS);
  assert.deepEqual(await schemaOf(client), schema);
  assert.deepEqual(await dataOf(client, 'rewards', 'lumis', 'public'), data);
});
