/** Legacy databases that lack something or have something more, other ways up, and the way out. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { migrateDown, migrateUp, migrationStates } from '../src/db/migrate.ts';
import { emptyDatabase } from './support/database.ts';
import {
  LAYOUTS,
  type Layout,
  type Legacy,
  type LegacyOptions,
  legacyDatabase,
} from './support/legacy.ts';
import {
  assertSame,
  assertSameSnapshot,
  legacySnapshot,
  neutral,
  oldFormula,
  type PerMember,
  shownAfter,
  shownBefore,
} from './support/legacy-snapshot.ts';
import { legacyWriters, readAsBefore } from './support/legacy-statements.ts';
import { hasPsql, MIGRATIONS, psqlFile } from './support/schema.ts';
import { assertClean, move, offerOf, openProgramme, ourRows, plus } from './support/take-over.ts';

/** Up, some redemptions of what costs 50 and 20, down and up again; points by both formulas. */
async function andBack(legacy: Legacy, members: readonly number[]): Promise<void> {
  const { client, layout, url, ownerUrl } = legacy;
  const before = await legacySnapshot(client, layout);
  const hasBalances = before.schema.some((line) => /fact_balance_points of/.test(line));
  const formula = await oldFormula(client, layout);
  const shown = hasBalances ? await shownBefore(client, layout) : { ...formula };
  const expected = { ...shown };
  await migrateUp(ownerUrl);
  await assertClean(ownerUrl, 'after up');
  assert.deepEqual(seen(await shownAfter(client)), seen(expected));
  const p = await openProgramme(url);
  try {
    const offers = [await offerOf(p, 1), await offerOf(p, 1), await offerOf(p, 20)];
    for (const member of members) {
      for (const offer of offers) {
        const { lumis_spent = 0, balance } = await p.redeem(member, offer);
        move(expected, member, -lumis_spent);
        assert.equal(balance, Number(expected[member]), `member ${member}`);
      }
    }
  } finally {
    await p.close();
  }
  await assertClean(ownerUrl, 'after redemptions');
  const rows = await ourRows(client);
  await migrateDown(ownerUrl);
  assertSame((await legacySnapshot(client, layout)).schema, before.schema, 'schema after down');
  const after = await oldFormula(client, layout);
  for (const member of Object.keys(expected)) {
    const moved = plus(expected[member] ?? '0', `${-Number(shown[member] ?? 0)}`);
    const due = members.includes(Number(member))
      ? plus(formula[member] ?? '0', moved)
      : formula[member];
    assert.equal(after[member], due, `old formula of ${member}`);
  }
  await migrateUp(ownerUrl);
  await assertClean(ownerUrl, 'after up again');
  assertSame(await ourRows(client), rows, 'what came back');
  assert.deepEqual(seen(await shownAfter(client)), seen(expected));
}

/** Somebody with nothing may have a row or none. */
const seen = (points: PerMember): PerMember =>
  Object.fromEntries(
    Object.entries(points)
      .filter(([, amount]) => amount !== '0')
      .sort(([a], [b]) => Number(a) - Number(b)),
  );

const ONCE_EACH = `DELETE FROM @.fact_redemptions a USING @.fact_redemptions b
  WHERE a.id > b.id AND a.user_id = b.user_id AND a.redem_id = b.redem_id;
  ALTER TABLE @.fact_redemptions ADD CONSTRAINT fact_redemptions_once UNIQUE (user_id, redem_id);`;

const VARIANTS: [string, Layout, LegacyOptions][] = [
  ['no stored balances', 'public', { balances: false }],
  ['no stored balances, in rewards', 'rewards', { balances: false }],
  ['the four tables alone', 'public', { extras: false }],
  [
    'three tables alone, of a plain owner',
    'rewards',
    { extras: false, balances: false, owned: true },
  ],
  ['one purchase of an offer for each member', 'rewards', { alter: ONCE_EACH }],
  [
    'ids of the ledger that lag behind',
    'public',
    { alter: `SELECT setval('@.fact_accumulations_id_seq', 5)` },
  ],
  [
    'ids of the ledger given by hand',
    'public',
    {
      alter: `ALTER TABLE @.fact_accumulations DROP CONSTRAINT fact_accumulations_pkey,
        ALTER COLUMN id DROP DEFAULT, ALTER COLUMN id DROP NOT NULL;
        DROP SEQUENCE @.fact_accumulations_id_seq`,
    },
  ],
  [
    'ids of the ledger twice, and none',
    'rewards',
    {
      alter: `ALTER TABLE @.fact_accumulations DROP CONSTRAINT fact_accumulations_pkey;
        ALTER TABLE @.fact_accumulations ALTER COLUMN id DROP IDENTITY;
        ALTER TABLE @.fact_accumulations ALTER COLUMN id DROP NOT NULL;
        UPDATE @.fact_accumulations SET id = NULL WHERE id = 3;
        UPDATE @.fact_accumulations SET id = 1 WHERE id = 2`,
    },
  ],
  [
    'nothing in it',
    'public',
    {
      alter: `DELETE FROM @.fact_accumulations WHERE user_id IS DISTINCT FROM 1001;
        DELETE FROM @.fact_redemptions; DELETE FROM @.ws_offers;
        DELETE FROM @.fact_balance_points WHERE user_id IS DISTINCT FROM 1001`,
    },
  ],
];

for (const [what, layout, options] of VARIANTS) {
  test(`${layout}, ${what}: up, down straight after, and a round`, async (t) => {
    const legacy = await legacyDatabase(t, layout, options);
    const before = await legacySnapshot(legacy.client, layout);
    await migrateUp(legacy.ownerUrl);
    await migrateDown(legacy.ownerUrl);
    assertSameSnapshot(await legacySnapshot(legacy.client, layout), before, what);
    const { rows } = await legacy.client.query(
      `SELECT DISTINCT user_id FROM ${layout}.fact_accumulations WHERE user_id IN (1001, 1018)`,
    );
    await andBack(
      legacy,
      rows.map((row) => row.user_id),
    );
  });
}

for (const layout of LAYOUTS) {
  test(`${layout}: down straight after up leaves no trace`, async (t) => {
    for (const owned of [false, true]) {
      const legacy = await legacyDatabase(t, layout, { owned });
      const before = await legacySnapshot(legacy.client, layout);
      await migrateUp(legacy.ownerUrl);
      await assertClean(legacy.ownerUrl, `owned ${owned}`);
      await migrateDown(legacy.ownerUrl);
      const after = await legacySnapshot(legacy.client, layout);
      assertSameSnapshot(after, before, `owned ${owned}`);
    }
  });

  test(`${layout}: psql and our runner give the same database and the same record`, async (t) => {
    if (!hasPsql(t)) return;
    const runs: Legacy[] = [];
    for (const way of ['psql', 'runner']) {
      const legacy = await legacyDatabase(t, layout);
      const run = (file: string) => {
        const { status, stderr } = psqlFile(legacy.url, file);
        assert.equal(status, 0, stderr);
      };
      if (way === 'psql') for (const name of MIGRATIONS) run(`${name}.sql`);
      else await migrateUp(legacy.url);
      runs.push(legacy);
      const states = await migrationStates(legacy.url);
      assert.deepEqual(
        states.filter(({ applied_at }) => applied_at !== null).map(({ name }) => name),
        MIGRATIONS,
      );
      // a second time changes nothing
      if (way === 'psql') for (const name of MIGRATIONS) run(`${name}.sql`);
    }
    const [psql, runner] = runs as [Legacy, Legacy];
    const neutrally = async (legacy: Legacy) =>
      neutral(await legacySnapshot(legacy.client, layout), legacy);
    assertSameSnapshot(await neutrally(psql), await neutrally(runner), 'up');
    for (const name of MIGRATIONS.toReversed()) {
      const { status, stderr } = psqlFile(psql.url, `down/${name}.sql`);
      assert.equal(status, 0, stderr);
    }
    await migrateDown(runner.url);
    assertSameSnapshot(await neutrally(psql), await neutrally(runner), 'down');
  });
}

for (const layout of LAYOUTS) {
  test(`${layout}: without stored balances a purchase is its row, and that is booked`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { balances: false });
    const { client, url } = legacy;
    const formula = await oldFormula(client, layout);
    await migrateUp(url);
    const bot = await legacy.connect(legacy.botUrl);
    const buy = `INSERT INTO ${layout === 'public' ? '' : 'rewards.'}fact_redemptions
      (user_id, redem_id, quantity, date, condition1) VALUES ($1, '20', $2, now(), 'Canjeado')`;
    await bot.query(buy, [1001, 20]);
    await bot.query(buy, [1002, '0.5']);
    await legacyWriters(bot, layout).earn(1002, 2);
    const p = await openProgramme(url);
    assert.equal((await p.redeem(1001, await offerOf(p, 20))).balance, 260);
    await p.close();
    await assertClean(url, 'after purchases');
    await migrateDown(url);
    const after = await oldFormula(client, layout);
    assert.deepEqual(after, { ...formula, 1001: '260', 1002: '301.5' });
    await migrateUp(url);
    await assertClean(url, 'after up again');
    const shown = await shownAfter(client);
    assert.deepEqual([shown[1001], shown[1002]], ['260', '301.5']);
  });

  test(`${layout}: down on what was restored from a dump`, async (t) => {
    if (!hasPsql(t)) return;
    const legacy = await legacyDatabase(t, layout);
    const before = await legacySnapshot(legacy.client, layout);
    const formula = await oldFormula(legacy.client, layout);
    await migrateUp(legacy.url);
    const p = await openProgramme(legacy.url);
    await p.redeem(1001, await offerOf(p, 1));
    await p.close();
    const { url, connect } = await emptyDatabase(t);
    const dump = spawnSync('pg_dump', ['-d', legacy.url], { encoding: 'utf8', maxBuffer: 1e8 });
    if (/version mismatch/.test(dump.stderr)) {
      t.diagnostic('NOT CHECKED: pg_dump is older than the server');
      return;
    }
    assert.equal(dump.status, 0, dump.stderr);
    const restored = spawnSync('psql', ['-X', '-v', 'ON_ERROR_STOP=1', '-d', url], {
      input: dump.stdout,
      encoding: 'utf8',
    });
    assert.equal(restored.status, 0, restored.stderr);
    await assertClean(url, 'restored');
    await migrateDown(url);
    const client = await connect();
    const after = await legacySnapshot(client, layout);
    assertSame(after.schema, before.schema, 'schema');
    assert.deepEqual(await oldFormula(client, layout), { ...formula, 1001: '250' });
    await migrateUp(url);
    await assertClean(url, 'up again');
  });
}

const ROLLBACK = `BEGIN;

-- 1. Eliminar schema completo
DROP SCHEMA IF EXISTS rewards CASCADE;

-- 2. Restaurar fact_redemptions original
DROP TABLE IF EXISTS fact_redemptions;
ALTER TABLE fact_redemptions_legacy RENAME TO fact_redemptions;

-- 3. Renombrar redemption_offers de vuelta
ALTER TABLE redemption_offers RENAME TO dim_redemptions;

-- 4. Remover columna de fact_accumulations
ALTER TABLE fact_accumulations DROP COLUMN IF EXISTS redemption_id;

COMMIT;
`;

for (const layout of LAYOUTS) {
  test(`${layout}: the rollback that the specification prints fails, and nothing is lost`, async (t) => {
    if (!hasPsql(t)) return;
    const legacy = await legacyDatabase(t, layout, { owned: true });
    await migrateUp(legacy.ownerUrl);
    const p = await openProgramme(legacy.url);
    await p.redeem(1001, await offerOf(p, 1));
    await p.close();
    const before = await legacySnapshot(legacy.client, layout);
    for (const [path, url] of [
      ['public', legacy.url],
      ['rewards', legacy.url],
      ['rewards,public', legacy.ownerUrl],
    ] as const) {
      {
        const run = spawnSync('psql', ['-X', url], {
          input: ROLLBACK,
          encoding: 'utf8',
          env: { ...process.env, PGOPTIONS: `-c search_path=${path}` },
        });
        assert.match(run.stderr, /ERROR/, path);
        assertSameSnapshot(await legacySnapshot(legacy.client, layout), before, path);
      }
    }
    await assertClean(legacy.url, 'after the rollback');
  });
}

const SAMPLES = [
  `INSERT INTO rewards.merchants (
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
) RETURNING merchant_id, merchant_name;`,
  `INSERT INTO rewards.redemption_offers (
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
    'Postre Gratis',
    'Postre del día gratis con cualquier orden',
    75,
    30,
    true,
    NOW(),
    NOW() + INTERVAL '15 days',
    'food_drink'
)
RETURNING offer_id, name_friendly, lumis_cost;`,
];

for (const layout of LAYOUTS) {
  test(`${layout}: the sample INSERTs of the specification work, and the old catalogue has them`, async (t) => {
    const { client, url, layout: at } = await legacyDatabase(t, layout);
    await migrateUp(url);
    const made = [];
    for (const text of SAMPLES) made.push((await client.query(text)).rows);
    assert.equal(made[0]?.[0].merchant_name, 'Café Test');
    const p = await openProgramme(url);
    t.after(() => p.close());
    const done = await p.redeem(1001, made[1]?.[0].offer_id);
    assert.equal(done.lumis_spent, 50);
    const { rows } = await client.query(
      `SELECT name_friendly, description_friendly, points FROM ${at}.dim_redemptions
       WHERE id > 101 ORDER BY id`,
    );
    assert.deepEqual(rows[1], {
      name_friendly: 'Postre Gratis',
      description_friendly: 'Postre del día gratis con cualquier orden',
      points: 75,
    });
    await assertClean(url, 'after the samples');
  });

  test(`${layout}: entitlements stay what they are, whatever is redeemed`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    const bot = await legacy.connect(legacy.botUrl);
    const rights = ['who is premium', 'radar categories', 'may search products'];
    const ask = async () => {
      const readings = await readAsBefore(bot, layout);
      return rights.map((name) => readings[name]?.rows);
    };
    const before = await ask();
    await migrateUp(legacy.url);
    assert.deepEqual(await ask(), before);
    const p = await openProgramme(legacy.url);
    const offer = await offerOf(p, 2);
    assert.equal((await p.redeem(1001, offer)).lumis_spent, 100);
    const past = await p.db.query({
      name: '',
      text: 'SELECT FROM lumis.past_purchases WHERE user_id IN (15, 16)',
      values: [],
    });
    assert.equal(past.length, 0, 'entitlements are no purchases');
    await p.close();
    assert.deepEqual(await ask(), before);
    const w = legacyWriters(bot, layout);
    await w.subscribe(1002);
    assert.equal(await w.renew(15), 1);
    const premium = (await ask())[0] as { user_id: number }[];
    assert.ok(premium.some((row) => row.user_id === 1002));
    await migrateDown(legacy.url);
    assert.deepEqual((await ask())[0], premium, 'a redemption makes nobody premium');
    await migrateUp(legacy.url);
    assert.deepEqual((await ask())[0], premium);
  });

  test(`${layout}: every page that reads the old rows can show them`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    await migrateUp(legacy.url);
    const p = await openProgramme(legacy.url);
    t.after(() => p.close());
    const admin = await p.admin();
    const ids = [1, 2, 5, 7, 9, 10, 11, 13, 14, 16, 17, 19, 24, 25, 26, 27, 29, 1001, 2147483647];
    for (const id of ids) {
      const token = await p.member(id);
      for (const path of ['offers', 'redemptions', 'balance', 'ledger']) {
        const reply = await p.call('GET', `/rewards/${path}`, { token });
        assert.equal(reply.status, 200, `${path} of ${id}: ${JSON.stringify(reply.body)}`);
      }
      for (const path of ['balance', 'ledger']) {
        const at = `/admin/members/${id}/${path}`;
        assert.equal((await p.call('GET', at, { token: admin })).status, 200, at);
      }
    }
    for (const path of [
      'offers?limit=100',
      'members',
      'redemptions',
      'audit',
      'changes',
      'merchants',
    ]) {
      const reply = await p.call('GET', `/admin/${path}`, { token: admin });
      assert.equal(reply.status, 200, `${path}: ${JSON.stringify(reply.body)}`);
    }
    const { rows } = await legacy.client.query('SELECT offer_id FROM rewards.redemption_offers');
    const token = await p.member(1001);
    for (const { offer_id } of rows) {
      for (const [path, as] of [
        ['admin', admin],
        ['rewards', token],
      ] as const) {
        const reply = await p.call('GET', `/${path}/offers/${offer_id}`, { token: as });
        assert.ok([200, 404].includes(reply.status), JSON.stringify(reply.body));
      }
    }
    await assertPastPurchasesShown(t, p, legacy);
  });
}

/** Purchases of before stand in the member's one list, and cannot be acted on. */
async function assertPastPurchasesShown(
  _t: TestContext,
  p: Awaited<ReturnType<typeof openProgramme>>,
  { client }: Legacy,
): Promise<void> {
  await p.redeem(14, await offerOf(p, 1));
  const token = await p.member(14);
  const { body } = await p.call('GET', '/rewards/redemptions?limit=100', { token });
  const { rows } = await client.query(
    'SELECT count(*)::int AS n FROM lumis.past_purchases WHERE user_id = 14',
  );
  assert.equal(body.data.length, rows[0].n + 1, 'one list of old and new');
  assert.equal(body.next_cursor, null);
  const old = body.data.at(-2);
  const id = old.redemption_id ?? old.purchase_id;
  const reply = await p.call('POST', `/rewards/redemptions/${id}/cancel`, { token });
  assert.equal(reply.status, 404, 'a purchase of before cannot be cancelled');
  const pages: unknown[] = [];
  let cursor = '';
  do {
    const path = `/rewards/redemptions?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
    const page = await p.call('GET', path, { token });
    assert.equal(page.status, 200, JSON.stringify(page.body));
    pages.push(...page.body.data);
    cursor = page.body.next_cursor ?? '';
  } while (cursor);
  assert.deepEqual(pages, body.data, 'page by page the same');
}
