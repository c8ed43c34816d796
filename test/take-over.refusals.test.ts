/**
 * Databases that must not be taken over: each stops `plan`, `up` and `psql` before any change, with
 * what was found and the way out.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MigrationRefused, migrateDown, migratePlan, migrateUp } from '../src/db/migrate.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { JWT_SECRET } from './support/app.ts';
import { emptyDatabase } from './support/database.ts';
import { LAYOUTS, type Layout, type Legacy, legacyDatabase } from './support/legacy.ts';
import { assertSameSnapshot, legacySnapshot, shownAfter } from './support/legacy-snapshot.ts';
import { legacyWriters } from './support/legacy-statements.ts';
import { hasPsql, MIGRATION, psqlFile } from './support/schema.ts';

const LUMIS = join(PROJECT_ROOT, 'bin/lumis.js');

/**
 * What is done to the legacy, and the words that the refusal must have. `@` is the legacy schema,
 * `#` the other one.
 */
type Case = [what: string, alter: string, words: string];

/** A column that whoever inserts has to fill. */
const mustFill = (table: string) => `ALTER TABLE @.${table} ADD COLUMN till int NOT NULL DEFAULT 1;
  ALTER TABLE @.${table} ALTER COLUMN till DROP DEFAULT`;

const COLUMNS: Case[] = [
  [
    'a price of another type',
    `DROP VIEW @.v_catalogue; DROP FUNCTION @.fun_offer_points;
     ALTER TABLE @.dim_redemptions ALTER COLUMN points TYPE text`,
    'dim_redemptions points text',
  ],
  [
    'a wide id in the catalogue',
    `DROP VIEW @.vw_hist_accum_redem, @.v_catalogue; DROP FUNCTION @.fun_offer_name;
     ALTER TABLE @.dim_redemptions ALTER COLUMN id TYPE bigint`,
    'dim_redemptions id bigint',
  ],
  [
    'purchases that name offers by number',
    `DELETE FROM @.fact_redemptions; DROP VIEW @.vw_hist_accum_redem;
     DROP MATERIALIZED VIEW @.mv_purchases_by_offer;
     ALTER TABLE @.fact_redemptions ALTER COLUMN redem_id TYPE integer USING 1`,
    'fact_redemptions redem_id integer',
  ],
  [
    'inexact points in the ledger',
    `DROP VIEW @.vw_hist_accum_redem;
     ALTER TABLE @.fact_accumulations ALTER COLUMN quantity TYPE double precision`,
    'fact_accumulations quantity double precision',
  ],
  [
    'members by name in the ledger',
    `DROP VIEW @.vw_hist_accum_redem; DROP INDEX IF EXISTS @.idx_accum_user_date;
     ALTER TABLE @.fact_accumulations ALTER COLUMN user_id TYPE text`,
    'fact_accumulations user_id text',
  ],
  [
    'inexact balances',
    `DROP VIEW @.v_user_dashboard;
     ALTER TABLE @.fact_balance_points ALTER COLUMN balance TYPE real`,
    'fact_balance_points balance real',
  ],
  [
    'an offer without its name',
    `DROP VIEW @.vw_hist_accum_redem, @.v_catalogue; DROP FUNCTION @.fun_offer_name;
     ALTER TABLE @.dim_redemptions DROP COLUMN name_friendly`,
    'dim_redemptions name_friendly',
  ],
  [
    'purchases without their kind',
    `DROP INDEX @.idx_fact_redemptions_active;
     ALTER TABLE @.fact_redemptions DROP COLUMN condition1`,
    'fact_redemptions condition1',
  ],
  ['an entry that must name its shop', mustFill('fact_accumulations'), 'fact_accumulations till'],
  ['a purchase that must name its shop', mustFill('fact_redemptions'), 'fact_redemptions till'],
  ['an offer that must name its shop', mustFill('dim_redemptions'), 'dim_redemptions till'],
  [
    'a balance that must name its shop',
    mustFill('fact_balance_points'),
    'fact_balance_points till',
  ],
  [
    'a column of the name that we need',
    'ALTER TABLE @.dim_redemptions ADD COLUMN offer_id text',
    'dim_redemptions offer_id',
  ],
  [
    'a ledger that forbids what is spent',
    'ALTER TABLE @.fact_accumulations ADD CONSTRAINT only_up CHECK (quantity > -100)',
    'only_up',
  ],
  [
    'two balances of one member',
    `ALTER TABLE @.fact_balance_points DROP CONSTRAINT fact_balance_points_user_id_key;
     INSERT INTO @.fact_balance_points VALUES (1001, 5, NULL)`,
    'fact_balance_points user_id',
  ],
];

const VALUES: Case[] = [
  [
    'a balance that is no number',
    `UPDATE @.fact_balance_points SET balance = 'NaN' WHERE user_id = 1003`,
    '1003',
  ],
  [
    'a balance without end',
    `UPDATE @.fact_balance_points SET balance = 'Infinity' WHERE user_id = 1004`,
    '1004',
  ],
  [
    'an entry that is no number',
    `ALTER TABLE @.fact_accumulations DISABLE TRIGGER USER;
     INSERT INTO @.fact_accumulations (user_id, dtype, quantity) VALUES (1005, 'points', 'NaN');
     ALTER TABLE @.fact_accumulations ENABLE TRIGGER USER`,
    '1005',
  ],
  [
    'a purchase that is no number',
    `ALTER TABLE @.fact_redemptions DISABLE TRIGGER USER;
     INSERT INTO @.fact_redemptions (user_id, redem_id, quantity) VALUES (1006, '1', '-Infinity');
     ALTER TABLE @.fact_redemptions ENABLE TRIGGER trg_tell_purchase`,
    '1006',
  ],
];

const HALF_FINISHED: Case[] = [
  [
    'redemptions of somebody',
    'CREATE SCHEMA IF NOT EXISTS rewards; CREATE TABLE rewards.user_redemptions (id int)',
    'rewards.user_redemptions',
  ],
  [
    'offers of somebody',
    'CREATE SCHEMA IF NOT EXISTS rewards; CREATE TABLE rewards.redemption_offers (id int)',
    'rewards.redemption_offers',
  ],
  [
    'merchants of somebody',
    'CREATE SCHEMA IF NOT EXISTS rewards; CREATE TABLE rewards.merchants (id int)',
    'rewards.merchants',
  ],
  [
    'an audit log of somebody',
    'CREATE SCHEMA IF NOT EXISTS rewards; CREATE VIEW rewards.redemption_audit_log AS SELECT 1 AS id',
    'rewards.redemption_audit_log',
  ],
  [
    'a backup of purchases',
    'CREATE TABLE @.fact_redemptions_legacy AS TABLE @.fact_redemptions',
    'fact_redemptions_legacy',
  ],
  [
    'the column that binds entries to redemptions',
    'ALTER TABLE @.fact_accumulations ADD COLUMN redemption_id uuid',
    'fact_accumulations redemption_id',
  ],
  [
    'a function of somebody',
    `CREATE SCHEMA IF NOT EXISTS rewards; CREATE FUNCTION rewards.audit_redemption_change()
     RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`,
    'audit_redemption_change',
  ],
  ['a schema of our name', 'CREATE SCHEMA lumis; CREATE TABLE lumis.things (id int)', 'lumis'],
];

const SHAPES: Case[] = [
  [
    'the catalogue twice',
    `CREATE SCHEMA IF NOT EXISTS #; CREATE TABLE #.dim_redemptions (LIKE @.dim_redemptions)`,
    'public.dim_redemptions rewards.dim_redemptions',
  ],
  [
    'the ledger twice',
    `CREATE SCHEMA IF NOT EXISTS #; CREATE TABLE #.fact_accumulations (LIKE @.fact_accumulations)`,
    '#.fact_accumulations',
  ],
  [
    'balances elsewhere',
    `CREATE SCHEMA IF NOT EXISTS #; CREATE TABLE #.fact_balance_points (LIKE @.fact_balance_points)`,
    '#.fact_balance_points',
  ],
  [
    'the ledger in the other schema',
    'DROP VIEW @.vw_hist_accum_redem; CREATE SCHEMA IF NOT EXISTS #; ALTER TABLE @.fact_accumulations SET SCHEMA #',
    'fact_accumulations',
  ],
  [
    'no purchases',
    'DROP VIEW @.vw_hist_accum_redem, @.v_user_dashboard; DROP MATERIALIZED VIEW @.mv_purchases_by_offer; DROP TABLE @.fact_redemptions',
    'fact_redemptions',
  ],
  [
    'no ledger',
    'DROP VIEW @.vw_hist_accum_redem; DROP TABLE @.fact_accumulations',
    'fact_accumulations',
  ],
  [
    'no catalogue',
    'DROP VIEW @.vw_hist_accum_redem, @.v_catalogue; DROP FUNCTION @.fun_offer_name; DROP TABLE @.ws_offers, @.dim_redemptions',
    'dim_redemptions',
  ],
  [
    'a view in the place of purchases',
    `ALTER TABLE @.fact_redemptions RENAME TO canjes; CREATE VIEW @.fact_redemptions AS SELECT * FROM @.canjes`,
    'fact_redemptions',
  ],
  [
    'a ledger of parts',
    `DROP VIEW @.vw_hist_accum_redem; DROP TABLE @.fact_accumulations;
    CREATE TABLE @.fact_accumulations (id int, user_id int4, accum_id int4, accum_type text,
      accum_key text, dtype text, quantity numeric, balance bigint, date timestamptz)
      PARTITION BY RANGE (date)`,
    'fact_accumulations',
  ],
];

const GROUPS: [string, Case[], Layout][] = [
  ['other columns', COLUMNS, 'public'],
  ['impossible values', VALUES, 'rewards'],
  ['half-finished attempts', HALF_FINISHED, 'public'],
  ['other shapes', SHAPES, 'public'],
  ['other shapes', SHAPES, 'rewards'],
];

for (const [group, cases, layout] of GROUPS) {
  for (const [what, alter, words] of cases) {
    test(`${group}: ${what} (${layout})`, async (t) => {
      const other = layout === 'public' ? 'rewards' : 'public';
      const legacy = await legacyDatabase(t, layout, { alter: alter.replaceAll('#', other) });
      await refused(legacy, words.replaceAll('#', other));
    });
  }
}

/** Whoever tries: refused with what was found and a way out, and nothing has changed. */
async function refused(legacy: Legacy, words: string, url = legacy.url): Promise<void> {
  const before = await legacySnapshot(legacy.client, legacy.layout);
  await assert.rejects(migrateUp(url), (error: Error) => {
    assert.ok(error instanceof MigrationRefused, `no refusal, but ${error.stack}`);
    const { message, detail = '', hint = '' } = error;
    assertSays(`${message}\n${detail}\n${hint}`, words);
    assert.ok(hint.length > 10, `no way out in: ${message} ${detail}`);
    return true;
  });
  assertSameSnapshot(await legacySnapshot(legacy.client, legacy.layout), before, 'after up');
  const told = await migratePlan(url).then(
    (plan) => JSON.stringify(plan),
    (error: Error) => {
      assert.ok(error instanceof MigrationRefused, `plan: ${error.stack}`);
      return [error.message, error.detail, error.hint].join('\n');
    },
  );
  assertSays(told, words);
  assertSameSnapshot(await legacySnapshot(legacy.client, legacy.layout), before, 'after plan');
}

function assertSays(told: string, words: string): void {
  for (const word of words.split(' ')) {
    assert.ok(told.includes(word), `nothing of "${word}" in: ${told.slice(0, 1500)}`);
  }
}

test('psql stops too, with the same words', async (t) => {
  if (!hasPsql(t)) return;
  const alter = 'ALTER TABLE @.fact_accumulations ADD COLUMN redemption_id uuid';
  const legacy = await legacyDatabase(t, 'rewards', { alter });
  const before = await legacySnapshot(legacy.client, 'rewards');
  const run = psqlFile(legacy.url, `${MIGRATION}.sql`);
  assert.equal(run.status, 3, run.stderr);
  assert.match(run.stderr, /redemption_id/);
  assert.match(run.stderr, /HINT/);
  assertSameSnapshot(await legacySnapshot(legacy.client, 'rewards'), before);
});

for (const layout of LAYOUTS) {
  test(`${layout}: a role that does not own the tables is told what is missing`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { owned: true });
    const { client, roles, name } = legacy;
    await client.query(`GRANT CREATE ON DATABASE ${name} TO ${roles.bot};
      GRANT CREATE ON SCHEMA public TO ${roles.bot}`);
    await refused(legacy, roles.owner ?? 'no owner', legacy.botUrl);
  });

  test(`${layout}: an owner who may not create schemas is told the GRANT, and it suffices`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { owned: true });
    const { client, roles, name, ownerUrl } = legacy;
    await client.query(`REVOKE CREATE ON DATABASE ${name} FROM ${roles.owner};
      REVOKE CREATE ON SCHEMA public FROM ${roles.owner}`);
    await refused(legacy, 'GRANT CREATE ON DATABASE', ownerUrl);
    const hint = await migrateUp(ownerUrl).then(
      () => '',
      (error: MigrationRefused) => error.hint ?? '',
    );
    await client.query(/GRANT[\s\S]*;/.exec(hint)?.[0] ?? '');
    await migrateUp(ownerUrl);
    await migrateDown(ownerUrl);
  });
}

/** Somebody who began something, and went for lunch. */
async function holding(legacy: Legacy, text: string): Promise<() => Promise<void>> {
  const client = await legacy.connect();
  await client.query('BEGIN');
  await client.query(legacy.sql(text));
  return async () => {
    await client.query('ROLLBACK');
    await client.end();
  };
}

const LOCKS = {
  'a read of the catalogue': 'SELECT FROM @.dim_redemptions',
  'a read of the ledger': 'SELECT FROM @.fact_accumulations',
  'an open entry': `INSERT INTO @.fact_accumulations (user_id, quantity) VALUES (1001, 1)`,
  'a purchase': 'SELECT FROM @.fact_balance_points WHERE user_id = 1001 FOR UPDATE',
};

test('a lock that never comes: psql and plan give up in time, all can be undone', async (t) => {
  if (!hasPsql(t)) return;
  const plan = planWhileSomebodyChangesTables(t);
  await Promise.all(
    Object.values(LOCKS).map(async (text, i) => {
      const layout = LAYOUTS[i % 2] as Layout;
      const legacy = await legacyDatabase(t, layout);
      const { client, url } = legacy;
      const before = await legacySnapshot(client, layout);
      const letGo = await holding(legacy, text);
      const began = performance.now();
      const { code, printed } = await psql(url, `${MIGRATION}.sql`);
      assert.equal(code, 3, `${text}: ${printed}`);
      assert.match(printed, /lock|canceling/, text);
      assert.ok(performance.now() - began < 30_000, text);
      const w = legacyWriters(await legacy.connect(legacy.botUrl), layout);
      await w.earn(1002, 1);
      await letGo();
      await migrateDown(url);
      const after = await legacySnapshot(client, layout);
      const rest = { rows: [], sequences: [] };
      assertSameSnapshot({ ...after, ...rest }, { ...before, ...rest }, text);
      await migrateUp(url);
      assert.equal((await shownAfter(client))[1002], '301', text);
    }),
  );
  await plan;
});

/** Needs five seconds, and goes on beside the others. */
async function planWhileSomebodyChangesTables(t: TestContext): Promise<void> {
  const legacy = await legacyDatabase(t, 'public');
  const letGo = await holding(legacy, 'LOCK TABLE @.dim_redemptions IN ACCESS EXCLUSIVE MODE');
  await assert.rejects(migratePlan(legacy.url), (error: MigrationRefused) => {
    assert.ok(error instanceof MigrationRefused, String(error));
    return true;
  });
  await letGo();
  assert.ok(JSON.stringify(await migratePlan(legacy.url)).includes('public'));
}

/** psql on a migration file, without waiting for it in the event loop. */
async function psql(url: string, file: string) {
  const child = spawn('psql', ['-X', url, '-f', join(PROJECT_ROOT, 'migrations', file)]);
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      printed += chunk;
    });
  }
  const [code] = await once(child, 'close');
  return { code, printed };
}

/** Runs a command of ours; what it printed and its exit code. */
async function lumis(url: string, ...args: string[]) {
  const child = spawn(process.execPath, [LUMIS, ...args], {
    cwd: PROJECT_ROOT,
    env: { PATH: process.env.PATH ?? '', DATABASE_URL: url, JWT_SECRET, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      printed += chunk;
    });
  }
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const [code] = await once(child, 'close');
  clearTimeout(late);
  return { code, printed };
}

test('start never takes over by itself: exit 78, and it says what to do', async (t) => {
  const legacy = await legacyDatabase(t, 'rewards');
  const before = await legacySnapshot(legacy.client, 'rewards');
  const { code, printed } = await lumis(legacy.url, 'start');
  assert.equal(code, 78, printed);
  assert.match(printed, /lumis migrate plan[\s\S]*lumis migrate up/);
  assertSameSnapshot(await legacySnapshot(legacy.client, 'rewards'), before);
});

test('the command line ends with 78 and says what was found and the way out', async (t) => {
  const alter = 'CREATE SCHEMA rewards; CREATE TABLE rewards.user_redemptions (id int)';
  const legacy = await legacyDatabase(t, 'public', { alter });
  const before = await legacySnapshot(legacy.client, 'public');
  for (const command of ['plan', 'up']) {
    const { code, printed } = await lumis(legacy.url, 'migrate', command);
    assert.equal(code, 78, `${command}: ${printed}`);
    assert.match(printed, /user_redemptions/);
  }
  assertSameSnapshot(await legacySnapshot(legacy.client, 'public'), before);
});

test('nothing to take over is no legacy: one stray table is named', async (t) => {
  const { url, connect } = await emptyDatabase(t);
  const client = await connect();
  await client.query(
    'CREATE TABLE public.fact_balance_points (user_id int4 UNIQUE, balance numeric)',
  );
  const before = await legacySnapshot(client);
  await assert.rejects(migrateUp(url), (error: MigrationRefused) => {
    assert.ok(error instanceof MigrationRefused, String(error));
    assert.match(`${error.message} ${error.detail} ${error.hint}`, /fact_balance_points/);
    return true;
  });
  assertSameSnapshot(await legacySnapshot(client), before);
});
