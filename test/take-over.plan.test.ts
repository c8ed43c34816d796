/** What `lumis migrate plan` says of a legacy database, and that it changes and stops nothing. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isClear, planText } from '../src/cli/plan.ts';
import { MigrationRefused, migratePlan, migrateUp, withLook } from '../src/db/migrate.ts';
import { statementsOf } from '../src/db/migration-file.ts';
import { type LegacySurvey, survey } from '../src/db/survey/survey.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { emptyDatabase, freshDatabase } from './support/database.ts';
import { LAYOUTS, type Legacy, legacyDatabase } from './support/legacy.ts';
import { DRIFTED, OFFER_FAULTS } from './support/legacy-rows.ts';
import { assertSameSnapshot, legacySnapshot } from './support/legacy-snapshot.ts';
import { MIGRATION, MIGRATIONS } from './support/schema.ts';

const FILE = join(PROJECT_ROOT, 'migrations', `${MIGRATION}.sql`);

/** Neighbours that a take-over is dangerous for, with names that must be quoted. */
const DANGEROUS = `
  CREATE TABLE @.shops (id int4 PRIMARY KEY);
  CREATE TABLE @.history (was jsonb);
  CREATE VIEW @."Vista" AS SELECT user_id, sum(quantity) FROM @.fact_accumulations GROUP BY 1;
  CREATE VIEW @.v_on_top AS SELECT * FROM @."Vista";
  CREATE FUNCTION @."purge Old"() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN DELETE FROM @.fact_accumulations WHERE date < '2000-01-01'; END $$;
  CREATE FUNCTION @.reset_all() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN TRUNCATE TABLE @.fact_redemptions; END $$;
  CREATE FUNCTION @.recount() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN TRUNCATE @.fact_balance_points; END $$;
  CREATE FUNCTION @.unrelated() RETURNS int LANGUAGE sql AS $$
    SELECT 1 /* my_fact_redemptions, fact_redemptions_2 */ $$;
  CREATE FUNCTION @.keep_history() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO @.history SELECT to_jsonb(OLD); RETURN NULL; END $$;
  CREATE TRIGGER keep_history AFTER DELETE ON @.dim_redemptions
    FOR EACH ROW EXECUTE FUNCTION @.keep_history();
  CREATE RULE keep_shops AS ON DELETE TO @.shops
    WHERE EXISTS (SELECT FROM @.fact_redemptions) DO INSTEAD NOTHING;
  CREATE POLICY own_rows ON @.fact_redemptions FOR SELECT USING (true);
  ALTER TABLE @.fact_accumulations ADD COLUMN shop int4
    CONSTRAINT "Tienda" REFERENCES @.shops ON DELETE CASCADE;
  CREATE PUBLICATION copies FOR TABLE @.dim_redemptions;`;

async function lookAt(url: string): Promise<LegacySurvey> {
  const { legacy } = await migratePlan(url);
  assert.ok(legacy);
  return legacy;
}

const namesOf = (found: { name: string }[]) => found.map((one) => one.name).sort();

for (const layout of LAYOUTS) {
  const at = (name: string) => `${layout}.${name}`;

  test(`${layout}: the plan names every dependant, and what becomes of it`, async (t) => {
    const { url, roles } = await legacyDatabase(t, layout, { alter: DANGEROUS });
    const { dependants, grants, tables } = await lookAt(url);
    assert.deepEqual(
      namesOf(dependants.views),
      [
        at('"Vista"'),
        at('mv_purchases_by_offer'),
        at('v_catalogue'),
        at('v_on_top'),
        at('v_user_dashboard'),
      ].sort(),
    );
    const onTop = dependants.views.find((view) => view.name === at('v_on_top'));
    assert.deepEqual(onTop?.reads, [at('fact_accumulations')]);
    assert.deepEqual(
      dependants.foreign_keys.map(({ name, broken }) => [name, broken]),
      [
        ['Tienda', true],
        ['ws_offers_redemption_fkey', false],
      ],
    );
    assert.deepEqual(
      dependants.triggers
        .map(({ name, becomes, enabled }) => `${name} ${becomes} ${enabled}`)
        .sort(),
      [
        'keep_history stays true',
        'trg_count_invoice stays true',
        'trg_retired stays false',
        'trg_tell_purchase stays true',
        'trigger_accumulations_points_updatebalance replaced true',
        'update_date stays true',
      ],
    );
    assert.deepEqual(
      namesOf(dependants.functions),
      [
        '"purge Old"',
        'fun_offer_name',
        'fun_offer_points',
        'fun_update_balance_points',
        'recount',
        'reset_all',
      ]
        .map((name) => at(`${name}(${name.startsWith('fun_offer') ? 'integer' : ''})`))
        .sort(),
    );
    assert.deepEqual(dependants.rules, [{ name: 'keep_shops', table: at('shops') }]);
    assert.deepEqual(namesOf(dependants.policies), ['own_rows']);
    assert.deepEqual(dependants.publications, [
      { name: 'copies', tables: [at('dim_redemptions')] },
    ]);
    const granted = grants.map((g) => `${g.role} ${g.table} ${g.privileges} ${g.columns}`);
    assert.ok(granted.includes(`${roles.bot} ${at('fact_accumulations')} INSERT,SELECT null`));
    assert.ok(
      granted.includes(`${roles.reader} ${at('fact_balance_points')} SELECT balance,user_id`),
      granted.join('\n'),
    );
    assert.deepEqual(
      tables.map((table) => table.name),
      ['dim_redemptions', 'fact_redemptions', 'fact_accumulations', 'fact_balance_points']
        .map(at)
        .concat(at('vw_hist_accum_redem'), 'public.dim_users'),
    );
  });

  test(`${layout}: the dangers come first, each with those it is about`, async (t) => {
    const { url } = await legacyDatabase(t, layout, { alter: DANGEROUS });
    const { warnings } = await lookAt(url);
    const about = Object.fromEntries(warnings.map(({ code, items }) => [code, items.join('; ')]));
    assert.equal(warnings[0]?.code, 'ledger_frozen');
    assert.match(about.foreign_key_broken ?? '', /Tienda.*ON DELETE CASCADE/);
    assert.equal(about.function_changes_ledger, `${at('"purge Old"()')}; ${at('recount()')}`);
    assert.equal(about.function_needs_table, at('reset_all()'));
    assert.equal(about.trigger_columns_as_text, `keep_history on ${at('dim_redemptions')}`);
    assert.equal(
      about.trigger_fires_for_opening,
      `trg_count_invoice on ${at('fact_accumulations')}`,
    );
    assert.equal(about.publication, `copies: ${at('dim_redemptions')}`);
    assert.equal(about.view_sees_more, `${at('"Vista"')}; ${at('v_on_top')}`);
    assert.match(about.legacy_purchase ?? '', /pays by its UPDATE/);
    assert.match(about.offers_without_merchant ?? '', /24/);
  });

  test(`${layout}: what the plan counts is what up does`, async (t) => {
    const { url, client } = await legacyDatabase(t, layout);
    const { offers, balances, members, purchases } = await lookAt(url);
    assert.ok(offers && balances && members && purchases);
    assert.deepEqual(
      Object.fromEntries(offers.inactive.map(({ id, reason }) => [id, reason])),
      Object.fromEntries(Object.entries(OFFER_FAULTS).filter(([, fault]) => fault !== null)),
    );
    assert.equal(balances.null_balance, 1);
    assert.equal(balances.null_member, 2);
    // every stored figure that the formula does not give, and nobody else
    const drifted = Object.values(DRIFTED).filter((stored) => stored !== null);
    assert.equal(balances.drifted, drifted.length);
    await migrateUp(url);
    const { rows } = await client.query(`SELECT
      (SELECT count(*)::int FROM public.fact_accumulations WHERE kind = 'opening') AS opened,
      (SELECT trim_scale(sum(quantity))::text FROM public.fact_accumulations
        WHERE kind = 'opening') AS points,
      (SELECT count(*)::int FROM rewards.redemption_offers WHERE is_active) AS active,
      (SELECT count(*)::int FROM lumis.members) AS members,
      (SELECT count(*)::int FROM lumis.balances) AS balances,
      (SELECT count(*)::int FROM lumis.past_purchases) AS purchases,
      (SELECT count(*)::int FROM lumis.balances WHERE balance < 0) AS negative,
      (SELECT count(*)::int FROM lumis.balances WHERE balance <> trunc(balance)) AS fractional`);
    assert.deepEqual(rows[0], {
      opened: balances.opening.members,
      points: balances.opening.points,
      active: offers.active,
      members: members.importable,
      balances: balances.stored + balances.without_stored,
      purchases: purchases.purchases,
      negative: balances.negative,
      fractional: balances.fractional,
    });
  });

  test(`${layout}: the plan changes nothing, and takes readers' locks alone`, async (t) => {
    const { url, client } = await legacyDatabase(t, layout, { alter: DANGEROUS });
    const before = await legacySnapshot(client);
    const modes = await withLook(url, async (looking, found) => {
      await survey(looking, found);
      const { rows } = await looking.query(`SELECT DISTINCT l.mode FROM pg_locks l
        JOIN pg_class c ON c.oid = l.relation
        WHERE l.pid = pg_backend_pid() AND c.relnamespace IN ('public'::regnamespace,
          to_regnamespace('rewards'))`);
      return rows.map((row) => row.mode);
    });
    assert.deepEqual(modes, ['AccessShareLock']);
    assertSameSnapshot(await legacySnapshot(client), before);
  });

  test(`${layout}: writers in the middle of their work do not hold the plan up`, async (t) => {
    const { url, client, connect, sql } = await legacyDatabase(t, layout);
    await client.query(
      sql(`BEGIN;
      UPDATE @.dim_redemptions SET weight = weight; UPDATE @.fact_redemptions SET date = date;
      INSERT INTO @.fact_accumulations (user_id, dtype, quantity) VALUES (1001, 'points', 1);
      UPDATE @.fact_balance_points SET balance = balance`),
    );
    const plan = await migratePlan(url);
    assert.equal(isClear(plan), true);
    // and the plan, while it looks, does not hold them up either
    await withLook(url, async (looking, found) => {
      await survey(looking, found);
      const writer = await connect();
      await writer.query(
        sql(`SET lock_timeout = '1s';
        INSERT INTO @.fact_redemptions (user_id, redem_id, quantity) VALUES (1001, '1', 1)`),
      );
    });
    await client.query('ROLLBACK');
  });

  test(`${layout}: a role that may only read is told every GRANT, and they suffice`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { owned: true });
    const { botUrl, readerUrl, client, roles } = legacy;
    const plan = await migratePlan(botUrl);
    assert.ok(plan.legacy?.balances && plan.legacy.offers, 'what it may read is counted');
    assert.equal(isClear(plan), false);
    assert.ok(plan.missing_rights.every((right) => right.role === roles.bot));
    for (const { statement } of plan.missing_rights) await client.query(statement);
    const then = await migratePlan(botUrl);
    assert.deepEqual(then.missing_rights, []);
    assert.deepEqual(await migrateUp(botUrl), MIGRATIONS);

    const poor = await legacyDatabase(t, layout, { owned: true });
    const blind = await migratePlan(poor.readerUrl);
    assert.equal(blind.legacy?.balances, null);
    assert.match(planText(blind), /not counted: this role may not read it/);
    const grant = `GRANT SELECT ON ${at('fact_accumulations')} TO ${poor.roles.reader};`;
    assert.ok(blind.missing_rights.some((right) => right.statement.includes(grant)));
    assert.notEqual(readerUrl, botUrl);
  });
}

test('whoever keeps a transaction open is named', async (t) => {
  const { url, connect, sql } = await legacyDatabase(t, 'rewards');
  const sleeper = await connect();
  await sleeper.query(
    sql(`SET application_name = 'night batch'; BEGIN;
    UPDATE @.fact_balance_points SET balance = balance WHERE user_id = 1`),
  );
  await sleep(2_100);
  const { warnings, work } = await lookAt(url);
  const [open] = work.in_the_way ?? [];
  assert.equal(open?.application, 'night batch');
  assert.deepEqual(open?.holds, ['rewards.fact_balance_points']);
  assert.ok(warnings.some((warning) => warning.code === 'in_the_way'));
});

/** An `up` that ends before the statement with these words. */
async function interrupted({ connect }: Legacy, words: string): Promise<void> {
  const client = await connect();
  for (const { sql, generates } of await statementsOf(FILE)) {
    if (sql.includes(words)) break;
    const { rows } = await client.query(sql);
    const cells = generates ? rows.flatMap((row) => Object.values(row)) : [];
    for (const cell of cells) await client.query(String(cell));
  }
  await client.end();
}

for (const layout of LAYOUTS) {
  test(`${layout}: after an up that was interrupted the plan says what is left`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { owned: true });
    const { url, ownerUrl, client, roles } = legacy;
    const fresh = await lookAt(url);
    await interrupted(legacy, 'lumis_ledger_indexes()');
    const indexing = await lookAt(url);
    assert.deepEqual(indexing.work.indexes, fresh.work.indexes);
    await interrupted(legacy, 'DO $migration$');

    const prepared = await migratePlan(url);
    assert.match(prepared.summary, /interrupted before the switch.*`down` undoes it/);
    assert.deepEqual(
      [prepared.layout, prepared.pending, isClear(prepared)],
      [layout, MIGRATIONS, true],
    );
    const { work, tables, balances, dependants } = prepared.legacy ?? assert.fail();
    assert.equal(work.interrupted, true);
    assert.deepEqual(work.indexes, []);
    assert.equal(work.phases.map(({ phase }) => phase).join(), 'switch,openings');
    assert.deepEqual(tables.find(({ name }) => name.endsWith('accumulations'))?.columns_added, []);
    assert.deepEqual([balances, dependants], [fresh.balances, fresh.dependants]);

    await interrupted(legacy, 'DO $openings$');
    await client.query(`GRANT USAGE ON SCHEMA lumis TO ${roles.owner};
      GRANT SELECT ON lumis.migrations, lumis.take_over TO ${roles.owner}`);
    const unfinished = await migratePlan(url);
    assert.match(unfinished.summary, /but for the last step/);
    assert.deepEqual(
      [unfinished.layout, unfinished.legacy, unfinished.pending, isClear(unfinished)],
      ['unfinished', null, MIGRATIONS, true],
    );
    assert.match(planText(unfinished), /would apply/);
    const { missing_rights: lacking } = await migratePlan(ownerUrl);
    assert.equal(lacking.map(({ what }) => what).join(), 'change lumis.take_over');
    assert.deepEqual(await migrateUp(url), MIGRATIONS);
    assert.equal((await migratePlan(url)).layout, 'applied');
  });
}

test('sequences that are behind are pointed out', async (t) => {
  const { url } = await legacyDatabase(t, 'public', {
    alter: `SELECT setval('@.dim_redemptions_id_seq', 1), setval('@.fact_redemptions_id_seq', 2)`,
  });
  const { sequences, warnings } = await lookAt(url);
  assert.deepEqual(
    sequences.map(({ name, next, stale, becomes }) => [name, next, stale, becomes]),
    [
      ['public.dim_redemptions_id_seq', 2, true, 'moved on'],
      ['public.fact_accumulations_id_seq', 90001, false, 'left as it is'],
      ['public.fact_redemptions_id_seq', 3, true, 'left as it is'],
    ],
  );
  const behind = warnings.find((warning) => warning.code === 'sequence_stale');
  assert.equal(behind?.items.length, 2);
});

test('what up would stop at is refused by the plan, with a way out that works', async (t) => {
  const { url, client, sql } = await legacyDatabase(t, 'rewards', {
    alter: `
      UPDATE @.dim_redemptions SET name_friendly = E'a\\nb\\x1b[2J' WHERE id = 5;
      ALTER TABLE @.fact_accumulations DISABLE TRIGGER USER;
      INSERT INTO @.fact_accumulations (user_id, dtype, quantity) VALUES (1005, 'points', 'NaN');
      ALTER TABLE @.fact_accumulations ENABLE TRIGGER USER;
      INSERT INTO @.fact_balance_points VALUES (NULL, '-Infinity', NULL), (-77777, 0, NULL);
      ALTER TABLE @.fact_accumulations ADD CONSTRAINT known_user FOREIGN KEY (user_id) REFERENCES public.dim_users NOT VALID;
      ALTER TABLE @.fact_balance_points ADD CONSTRAINT "Nunca" CHECK (balance > 1000) NOT VALID;`,
  });
  const plan = await migratePlan(url);
  const { refusals } = plan;
  assert.match(planText(plan), /^ +5 +a\?b\?\[2J /m);
  const told = refusals.map(({ code, what }) => `${code} ${what}`);
  const words = [
    /^impossible_numbers .* 2 rows of member 1005$/,
    /^unknown_members .*dim_users .*: -77777,/,
    /^row_refused .*1000/,
  ];
  assert.equal(told.length, words.length, told.join('\n'));
  for (const [i, word] of words.entries()) assert.match(told[i] ?? '', word);
  const ways = refusals.flatMap(({ way_out }) => /ALTER TABLE [^;]*;/.exec(way_out)?.[0] ?? []);
  await client.query(ways.join(' '));
  await client.query(
    sql(`DELETE FROM @.fact_accumulations WHERE quantity = 'NaN';
      DELETE FROM @.fact_balance_points WHERE balance = '-Infinity'`),
  );
  assert.deepEqual((await migratePlan(url)).refusals, []);
  assert.deepEqual(await migrateUp(url), MIGRATIONS);
});

/** What the look itself refuses, and how the refusal names it. */
const ODDITIES: [alter: string, found: RegExp][] = [
  [
    'ALTER TABLE @.fact_accumulations ADD CONSTRAINT only_up CHECK (quantity > -100) NOT VALID',
    /constraint only_up of @\.fact_accumulations forbids .* \(expected that it may be written\)/,
  ],
  [
    `ALTER TABLE @.fact_redemptions ADD CONSTRAINT paid CHECK (condition1 = 'x') NOT VALID`,
    /constraint paid of @\.fact_redemptions forbids .*Canjeado/,
  ],
  [
    `CREATE FUNCTION @.f_price() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN NEW.points := 1; RETURN NEW; END $$;
     CREATE TRIGGER by_price BEFORE UPDATE ON @.dim_redemptions FOR EACH ROW
       EXECUTE FUNCTION @.f_price()`,
    /trigger by_price on @\.dim_redemptions uses NEW\.points.*\(expected no such trigger\)/,
  ],
  [
    `CREATE TABLE @.gone AS SELECT * FROM @.dim_redemptions WITH NO DATA;
     CREATE FUNCTION @.f_gone() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN INSERT INTO @.gone SELECT OLD.*; RETURN NULL; END $$;
     CREATE TRIGGER by_select AFTER DELETE ON @.dim_redemptions FOR EACH ROW
       EXECUTE FUNCTION @.f_gone()`,
    /trigger by_select on @\.dim_redemptions uses OLD\.\*/,
  ],
  [
    `CREATE TABLE @.copied AS SELECT * FROM @.fact_accumulations WITH NO DATA;
     CREATE FUNCTION @.f_copy() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN INSERT INTO @.copied VALUES (NEW.*); RETURN NULL; END $$;
     CREATE TRIGGER by_values AFTER INSERT ON @.fact_accumulations FOR EACH ROW
       EXECUTE FUNCTION @.f_copy()`,
    /trigger by_values on @\.fact_accumulations uses NEW\.\*/,
  ],
  [
    `CREATE FUNCTION @.gives() RETURNS SETOF @.dim_redemptions LANGUAGE sql AS
       'SELECT * FROM @.dim_redemptions'`,
    /function @\.gives\(\) takes or gives whole rows .*\(expected no such function\)/,
  ],
  [
    `CREATE FUNCTION @.takes(o @.dim_redemptions) RETURNS int LANGUAGE sql AS 'SELECT 1'`,
    /function @\.takes\(@\.dim_redemptions\) takes or gives whole rows/,
  ],
  [
    'CREATE RULE kept AS ON DELETE TO @.fact_redemptions DO INSTEAD NOTHING',
    /rule kept on @\.fact_redemptions \(expected none\)/,
  ],
  [
    'CREATE UNIQUE INDEX once ON @.fact_accumulations (user_id, accum_key) WHERE id > 900000',
    /unique index once on @\.fact_accumulations \(expected none but on id\)/,
  ],
  [
    `DROP VIEW @.vw_hist_accum_redem;
     ALTER TABLE @.fact_accumulations ALTER COLUMN quantity TYPE numeric(60,30);
     CREATE TABLE @.vw_hist_accum_redem (id int)`,
    /@\.fact_accumulations\.quantity.* decimal places \(expected as many everywhere\)/,
  ],
  ['', /@\.vw_hist_accum_redem is not a view \(expected one\)/],
];

for (const layout of LAYOUTS) {
  test(`${layout}: what the look refuses reaches the operator, all of it at once`, async (t) => {
    const alter = ODDITIES.map(([statements]) => statements).join(';\n');
    const { url, sql } = await legacyDatabase(t, layout, { alter });
    const told: Error = await migratePlan(url).catch((error) => error);
    assert.ok(told instanceof MigrationRefused, told.stack);
    for (const [, found] of ODDITIES) {
      assert.match(told.message, new RegExp(sql(found.source)));
    }
    const printed = lumis(url, 'migrate', 'plan', '--json');
    assert.deepEqual([printed.status, printed.stdout], [78, '']);
    for (const part of [told.message, told.detail, told.hint]) {
      assert.ok(part && printed.stderr.includes(part), printed.stderr);
    }
    assert.match(told.hint ?? '', /^Nothing was changed\..*look again: npx lumis migrate plan/);
  });
}

test('a layout without stored balances is told that a purchase takes its points', async (t) => {
  for (const layout of LAYOUTS) {
    const { url, client } = await legacyDatabase(t, layout, { balances: false, extras: false });
    const { balances, warnings, tables, members } = await lookAt(url);
    assert.equal(tables.length, 3);
    assert.equal(members, null);
    const purchase = warnings.find((warning) => warning.code === 'legacy_purchase');
    assert.match(purchase?.items[0] ?? '', /is booked in the ledger/);
    await migrateUp(url);
    const { rows } = await client.query(`SELECT count(*)::int AS n FROM public.fact_accumulations
      WHERE kind = 'opening'`);
    assert.equal(balances?.opening.members, rows[0].n);
    assert.equal(balances?.opening.by_drift.members, 0);
  }
});

test('an empty database and one of ours need few words', async (t) => {
  const empty = await migratePlan((await emptyDatabase(t)).url);
  assert.deepEqual(
    [empty.layout, empty.legacy, empty.pending, isClear(empty)],
    ['empty', null, MIGRATIONS, true],
  );
  const bare = await emptyDatabase(t);
  await (await bare.connect()).query('DROP SCHEMA public');
  assert.equal((await migratePlan(bare.url)).refusals[0]?.code, 'no_schema_public');
  const applied = await migratePlan((await freshDatabase(t)).url);
  assert.deepEqual([applied.layout, applied.pending, isClear(applied)], ['applied', [], true]);
  assert.match(planText(applied), /nothing to apply/);
});

/** As an operator runs it. */
function lumis(url: string, ...args: string[]) {
  return spawnSync(process.execPath, [join(PROJECT_ROOT, 'bin/lumis.js'), ...args], {
    env: { PATH: process.env.PATH ?? '', LUMIS_DATA: '/nonexistent/lumis', DATABASE_URL: url },
    encoding: 'utf8',
    timeout: 60_000,
  });
}

test('the command prints for people and for scripts, and ends with 78 where up would', async (t) => {
  const { url, botUrl } = await legacyDatabase(t, 'rewards', { owned: true });
  const printed = lumis(url, 'migrate', 'plan');
  assert.equal(printed.status, 0, printed.stderr);
  const titles = printed.stdout.split('\n').filter((line) => /^[A-Z]/.test(line));
  assert.deepEqual(titles.slice(2), [
    'Know this first',
    'Standstill',
    'Balances',
    'Offers',
    'Purchases',
    'Members',
    'Tables',
    'Built on them',
    'Grants (they hold for the table and for its old name)',
    'Sequences',
  ]);
  assert.match(printed.stdout, new RegExp(`would apply: ${MIGRATIONS.join(', ')}\n$`));
  const json = lumis(url, 'migrate', 'plan', '--json');
  assert.equal(json.status, 0, json.stderr);
  const { pending, layout, legacy } = JSON.parse(json.stdout);
  assert.deepEqual([pending, layout, legacy.schema], [MIGRATIONS, 'rewards', 'rewards']);
  const refused = lumis(botUrl, 'migrate', 'plan');
  assert.equal(refused.status, 78, refused.stderr);
  assert.match(refused.stdout, /`up` would stop[\s\S]*GRANT/);
});
