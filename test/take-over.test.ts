/**
 * A live legacy database taken over, used for a while, and given back, three times: for each
 * layout, with every awkward row, and the old programme's services going on all the time.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { migrateDown, migratePlan, migrateUp } from '../src/db/migrate.ts';
import { LAYOUTS, type Layout, type Legacy, legacyDatabase } from './support/legacy.ts';
import { NEXT_OFFER, OFFER_FAULTS } from './support/legacy-rows.ts';
import {
  assertSame,
  assertSameSnapshot,
  countsAndSums,
  ledgerSums,
  legacySnapshot,
  missingIn,
  oldFormula,
  type PerMember,
  type Snapshot,
  shownAfter,
  shownBefore,
} from './support/legacy-snapshot.ts';
import {
  everyWriter,
  historyOf,
  type LegacyWriters,
  legacyWriters,
  readAsBefore,
  readAsReader,
} from './support/legacy-statements.ts';
import { MIGRATIONS } from './support/schema.ts';
import {
  adjustABit,
  assertClean,
  type Carried,
  legacyGoesOn,
  move,
  offerOf,
  openProgramme,
  ourCatalogue,
  ourRows,
  ourTraces,
  plus,
  redeemABit,
} from './support/take-over.ts';

const ROUNDS = 3;
/** What may differ when there was activity; everything else must not. */
const TOUCHED = /\.(dim_redemptions|fact_redemptions|fact_accumulations|fact_balance_points) /;

interface Beginning {
  snapshot: Snapshot;
  formula: PerMember;
  shown: PerMember;
}

for (const layout of LAYOUTS) {
  test(`${layout}: taken over and given back, three times round`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    const { client, url } = legacy;
    const w = legacyWriters(await legacy.connect(legacy.botUrl), layout);
    const beginning = {
      snapshot: await legacySnapshot(client, layout),
      formula: await oldFormula(client, layout),
      shown: await shownBefore(client, layout),
    };
    const expected = { ...beginning.shown };
    let carried: Carried | undefined;
    let kept: string[][] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const counts = await countsAndSums(client, layout);
      assert.deepEqual(await migrateUp(url), MIGRATIONS);
      await assertClean(url, `round ${round}, after up`);
      assert.deepEqual(await shownAfter(client), withoutNobody(expected), `round ${round}, shown`);
      if (round === 1) {
        const lazy = (lines: string[]) => lines.filter((line) => !/points (5|9|11|21) /.test(line));
        assertSame(lazy(await countsAndSums(client, layout)), lazy(counts), 'counts and sums');
      }
      if (round > 1) await assertAllBack(legacy, kept, round);
      carried = await aMonth(legacy, w, round, carried, expected);
      await assertClean(url, `round ${round}, after a month`);
      const seen = await shownAfter(client);
      assert.deepEqual(seen, withoutNobody(expected), `round ${round}, shown after a month`);
      assert.deepEqual(await stored(legacy), seen, 'the old readers see the same balances');
      if (round === 1) await assertHistory(legacy);
      kept = [await ourRows(client), await ourTraces(client, layout)];
      const live = await liveRedemptions(legacy);

      assert.deepEqual(await migrateDown(url), MIGRATIONS.toReversed());
      await assertGivenBack(legacy, beginning, expected, live);
      await assertOneMore(legacy, beginning, expected);
      await betweenRounds(w, expected);
    }
  });
}

/** Members whose number is none are not shown; the expectation holds only real ones. */
const withoutNobody = (expected: PerMember): PerMember =>
  Object.fromEntries(Object.entries(expected).sort(([a], [b]) => Number(a) - Number(b)));

async function stored({ client, layout }: Legacy): Promise<PerMember> {
  const { rows } = await client.query(`SELECT user_id, trim_scale(balance)::text AS points
    FROM ${layout}.fact_balance_points WHERE user_id IS NOT NULL ORDER BY user_id`);
  return Object.fromEntries(rows.map((row) => [row.user_id, row.points]));
}

async function aMonth(
  legacy: Legacy,
  w: LegacyWriters,
  round: number,
  before: Carried | undefined,
  expected: PerMember,
): Promise<Carried> {
  const programme = await openProgramme(legacy.url);
  try {
    const carried = before ?? (await ourCatalogue(programme));
    await redeemABit(programme, carried, expected);
    await adjustABit(programme, expected);
    await legacyGoesOn(w, round, expected);
    return carried;
  } finally {
    await programme.close();
  }
}

/** What was redeemed is shown as redeemed, once; what only we need is not shown. */
async function assertHistory(legacy: Legacy): Promise<void> {
  const bot = await legacy.connect(legacy.botUrl);
  const earned = ['Acumulación 1', 'Acumulación 1', 'Acumulación 298'];
  const [cafe, lost] = ['Redención 50 Café', 'Redención 15 Se pierde'];
  for (const [member, wanted] of Object.entries({
    3: ['Acumulación 10', 'Acumulación 30'], // no opening
    1001: [...earned, 'Redención 0 ', cafe], // and an old subscription
    1002: earned, // cancelled
    1003: [...earned, cafe],
    1004: earned, // expired
    1005: [...earned, lost],
    1006: earned, // reversed
    1007: [...earned, 'Acumulación 25', 'Acumulación -5'],
    1012: [...earned, 'Redención 30 Cine'], // a purchase of the old system
    1018: [...earned, cafe, cafe],
  })) {
    const shown = await historyOf(bot, legacy.layout, Number(member));
    assert.deepEqual(shown.sort(), wanted.sort(), `history of ${member}`);
  }
}

/** Each redemption that has a spend and no refund, as `down` has to write it. */
async function liveRedemptions({ client, layout }: Legacy): Promise<string[]> {
  const { rows } = await client.query(`
    SELECT concat_ws(' ', r.user_id, o.legacy_id, r.lumis_spent, r.created_at, 'Canjeado') AS line
    FROM rewards.user_redemptions r JOIN rewards.redemption_offers o USING (offer_id)
    WHERE EXISTS (SELECT FROM ${layout}.fact_accumulations a
        WHERE a.redemption_id = r.redemption_id AND a.kind = 'spend')
      AND NOT EXISTS (SELECT FROM ${layout}.fact_accumulations a
        WHERE a.redemption_id = r.redemption_id AND a.kind = 'refund')`);
  return rows.map((row) => row.line);
}

async function assertAllBack({ client, layout, url }: Legacy, kept: string[][], round: number) {
  const [rows = [], traces = []] = kept;
  assertSame(await ourRows(client), rows, `round ${round}, our rows`);
  // what marketing changed meanwhile has its own assertions
  const gone = missingIn(traces, await ourTraces(client, layout));
  assert.deepEqual(
    gone.filter((line) => !/Paseo/.test(line)),
    [],
    `round ${round}, entries and offers`,
  );
  const p = await openProgramme(url);
  const [offer] = await p.db.query({
    name: '',
    text: 'SELECT lumis_cost, name_friendly FROM rewards.redemption_offers WHERE legacy_id = 101',
    values: [],
  });
  await p.close();
  assert.deepEqual(offer, { lumis_cost: 31, name_friendly: 'Paseo en bote' });
}

/** Tables as before plus the new activity; members' points by the old formula. */
async function assertGivenBack(
  legacy: Legacy,
  { snapshot, formula, shown }: Beginning,
  expected: PerMember,
  live: string[],
): Promise<void> {
  const { client, layout } = legacy;
  const now = await legacySnapshot(client, layout);
  assertSame(now.schema, snapshot.schema, 'schema after down');
  const isTouched = (line: string) => TOUCHED.test(line);
  const tables = await client.query(`SELECT schemaname || '.' || tablename || ' ' AS name
    FROM pg_tables WHERE schemaname IN ('public', 'rewards')`);
  const ofTables = (lines: string[]) =>
    lines.filter((line) => tables.rows.some(({ name }) => line.startsWith(name)));
  const untouched = (lines: string[]) =>
    ofTables(lines).filter((line) => !isTouched(line) && !/\.bot_outbox /.test(line));
  assertSame(untouched(now.rows), untouched(snapshot.rows), 'tables of others');

  const of = (table: string, lines: string[]) =>
    lines.filter((line) => line.startsWith(`${layout}.${table} `));
  for (const table of ['fact_accumulations', 'fact_redemptions']) {
    const gone = missingIn(of(table, snapshot.rows), of(table, now.rows));
    assert.deepEqual(gone, [], `rows that ${table} lost`);
  }
  const active = Object.keys({ ...shown, ...expected }).filter((m) => shown[m] !== expected[m]);
  const idle = (lines: string[]) =>
    of('fact_balance_points', lines).filter(
      (line) => !active.concat(ACTIVE_FOR_NOTHING).some((m) => line.includes(` (${m},`)),
    );
  assertSame(idle(now.rows), idle(snapshot.rows), 'balances of members without activity');
  const { rows: written } = await client.query(`
    SELECT concat_ws(' ', user_id, redem_id, quantity, date, condition1) AS line
    FROM ${layout}.fact_redemptions`);
  assert.deepEqual(
    missingIn(
      live,
      written.map((row) => row.line),
    ),
    [],
    'redemptions are purchases',
  );

  await assertCatalogueBack(legacy, of('dim_redemptions', snapshot.rows));

  const seen = await stored(legacy);
  for (const member of Object.keys(expected)) {
    if (NEVER_STORED.includes(member)) continue;
    assert.equal(seen[member], expected[member], `stored balance of ${member} after down`);
  }
  const after = await oldFormula(client, layout);
  for (const member of Object.keys(expected)) {
    const moved = plus(expected[member] ?? '0', negative(shown[member]));
    const due = plus(formula[member] ?? '0', moved);
    assert.equal(after[member] ?? '0', due, `old formula of ${member} after down`);
  }
}

/** The legacy's offers as they were, but for when they were touched; ours with the next ids. */
async function assertCatalogueBack({ client, layout }: Legacy, before: string[]): Promise<void> {
  const sold = [1, 20];
  const { rows } = await client.query(
    `SELECT id, format('${layout}.dim_redemptions %s', d) AS line, name, name_friendly,
       description_friendly, points
     FROM ${layout}.dim_redemptions d ORDER BY id`,
  );
  const same = rows.filter((row) => ![...sold, 101].includes(row.id) && row.id < NEXT_OFFER);
  assert.deepEqual(
    missingIn(
      same.map((row) => row.line),
      before,
    ),
    [],
    'offers that nobody touched',
  );
  const of = (id: number) => rows.find((row) => row.id === id);
  assert.deepEqual([of(1).points, of(20).points, rows.length], [50, 20, before.length + 2]);
  for (const [id, name, description] of [
    [NEXT_OFFER, 'Se pierde', null],
    [NEXT_OFFER + 1, 'Hecha aquí', 'Nueva'],
  ] as const) {
    const { name: internal, name_friendly, description_friendly, points } = of(id);
    assert.deepEqual([name_friendly, description_friendly, points], [name, description, 15]);
    assert.ok(internal, 'the old catalogue wants a name');
  }
}

/** Their balance is what it was, but somebody wrote to it. */
const ACTIVE_FOR_NOTHING = ['1002', '1004', '1006', '1011', '1016'];
/** No stored balance before, and nothing has happened to them. */
const NEVER_STORED = ['11', '21'];

const negative = (text = '0') => (text.startsWith('-') ? text.slice(1) : `-${text}`);

/** An earned point moves every balance as the old formula would have, plus what happened since. */
async function assertOneMore(
  { client, layout }: Legacy,
  { formula, shown }: Beginning,
  expected: PerMember,
): Promise<void> {
  await client.query('BEGIN');
  const { rows } = await client.query(
    `INSERT INTO ${layout}.fact_accumulations (user_id, accum_type, dtype, quantity, date)
     SELECT unnest($1::int4[]), 'survey', 'points', 1, now() RETURNING user_id`,
    [Object.keys(expected)],
  );
  assert.equal(rows.length, Object.keys(expected).length);
  const { rows: balances } = await client.query(
    `SELECT user_id, trim_scale(balance)::text AS points FROM ${layout}.fact_balance_points
     WHERE user_id = ANY ($1)`,
    [Object.keys(expected)],
  );
  await client.query('ROLLBACK');
  const found = Object.fromEntries(balances.map((row) => [row.user_id, row.points]));
  for (const member of Object.keys(expected)) {
    const moved = plus(expected[member] ?? '0', negative(shown[member]));
    const due = plus(plus(formula[member] ?? '0', moved), 1);
    assert.equal(found[member], due, `balance of ${member} after one more point`);
  }
}

/** The old programme by itself, with its own trigger. */
async function betweenRounds(w: LegacyWriters, expected: PerMember): Promise<void> {
  await w.earn(1009, 2);
  move(expected, 1009, 2);
  assert.equal(await w.purchase(1012, 1, 5), true);
  move(expected, 1012, -5);
  await w.editOffer(101, 'Paseo en bote', 31);
}

for (const layout of LAYOUTS) {
  test(`${layout}: plan changes nothing and tells all`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    const before = await legacySnapshot(legacy.client, layout);
    const told = JSON.stringify(await migratePlan(legacy.url));
    assertSameSnapshot(await legacySnapshot(legacy.client, layout), before, 'after plan');
    const { rows } = await legacy.client.query(
      `SELECT FROM pg_namespace WHERE nspname IN ('lumis', 'lumis_archive')`,
    );
    assert.equal(rows.length, 0);
    for (const word of [
      layout,
      'v_user_dashboard',
      'v_catalogue',
      'mv_purchases_by_offer',
      'vw_hist_accum_redem',
      'ws_offers_redemption_fkey',
      'trigger_accumulations_points_updatebalance',
      'fun_update_balance_points',
      'fun_offer_points',
      'fun_offer_name',
      'update_date',
      'trg_tell_purchase',
      legacy.roles.bot,
      legacy.roles.reader,
      ...Object.values(OFFER_FAULTS).filter((fault) => fault !== null),
    ]) {
      assert.ok(told.includes(word), `plan says nothing of ${word}: ${told.slice(0, 2000)}`);
    }
  });
}

for (const layout of LAYOUTS) {
  test(`${layout}: offers, members and purchases arrive as they were`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    const { client, url } = legacy;
    const { rows: before } = await client.query(
      `SELECT to_jsonb(d) - 'points' - 'id' AS other, id, points FROM ${layout}.dim_redemptions d
       ORDER BY id`,
    );
    await migrateUp(url);
    const { rows: offers } = await client.query(`
      SELECT to_jsonb(o) AS offer FROM rewards.redemption_offers o ORDER BY legacy_id`);
    assert.equal(offers.length, before.length);
    for (const [i, { id, points, other }] of before.entries()) {
      const { offer } = offers[i];
      assert.deepEqual([offer.legacy_id, offer.lumis_cost], [id, points]);
      assert.equal(offer.is_active, OFFER_FAULTS[id] === null, `offer ${id} is active`);
      assert.equal(offer.merchant_id, null);
      for (const [column, value] of Object.entries(other)) {
        // the catalogue is sorted by it, so it needs one; the old name still shows none
        if (column === 'created_at' && value === null) continue;
        assert.deepEqual(offer[column], value, `${column} of offer ${id}`);
      }
      assert.deepEqual(
        [offer.description, offer.image_url],
        [other.description_friendly, other.img],
      );
    }
    const { rows: members } = await client.query('SELECT user_id FROM lumis.members');
    const { rows: users } = await client.query(
      'SELECT id::int8 AS user_id FROM public.dim_users WHERE id BETWEEN 1 AND 2147483647',
    );
    const ids = (rows: { user_id: unknown }[]) => rows.map((row) => String(row.user_id)).sort();
    assert.deepEqual(ids(members), ids(users));
    for (const table of ['user_redemptions', 'redemption_audit_log', 'merchants']) {
      const { rows } = await client.query(`SELECT count(*) AS n FROM rewards.${table}`);
      assert.equal(rows[0].n, '0', table);
    }
    const { rows: past } = await client.query(`
      SELECT p.legacy_id, p.user_id, p.offer_name, trim_scale(coalesce(p.points, 0))::text AS points,
        o.legacy_id AS offer
      FROM lumis.past_purchases p LEFT JOIN rewards.redemption_offers o USING (offer_id)
      WHERE p.user_id IN (1, 14, 15, 16, 25) ORDER BY p.legacy_id`);
    const shown = past.map((row) => [row.user_id, row.offer, row.offer_name, row.points].join('|'));
    assert.deepEqual(shown, [
      '1|1|Café|30',
      '14|1|Café|50',
      '14|1|Café|50',
      '14|1|Café|1.5',
      '14|100|Regalo|0',
      '14|100|Regalo|0',
      '25||999|5',
      '25||abc|5',
      '25|||1',
      '25|||1',
      '25|| 1 |1',
      '25||007|1',
      '25||1.0|1',
      '25||99999999999999999999|1',
      '25||-1|1',
    ]);
    assert.deepEqual(await ledgerSums(client, layout), await nonZero(client));
  });
}

/** Balances of members who have entries that move points. */
async function nonZero(client: Legacy['client']): Promise<PerMember> {
  const shown = await shownAfter(client);
  const { rows } = await client.query(`SELECT DISTINCT user_id FROM public.fact_accumulations
    WHERE dtype = 'points' AND quantity IS NOT NULL AND user_id IS NOT NULL`);
  const has = new Set(rows.map((row) => String(row.user_id)));
  return Object.fromEntries(Object.entries(shown).filter(([member]) => has.has(member)));
}

for (const layout of LAYOUTS) {
  test(`${layout}: the old services' statements give the same answers`, async (t) => {
    const alone = await legacyDatabase(t, layout);
    const taken = await legacyDatabase(t, layout);
    const bots = await Promise.all([alone, taken].map((one) => one.connect(one.botUrl)));
    const readers = await Promise.all([alone, taken].map((one) => one.connect(one.readerUrl)));
    const [botAlone, botTaken] = bots as [Client, Client];
    const [readerAlone, readerTaken] = readers as [Client, Client];
    await migrateUp(taken.url);
    const different = await differentReadings(botAlone, botTaken, layout);
    const [offersOf, rightsOf, balancesOf, ...refused] = await readAsReader(readerTaken, layout);
    const [offers, rights, balances, ...refusedBefore] = await readAsReader(readerAlone, layout);
    assert.deepEqual([offersOf, rightsOf, refused], [offers, rights, refusedBefore]);
    assert.deepEqual(stayed(balancesOf), stayed(balances));
    const without = await everyWriter(legacyWriters(botAlone, layout));
    assert.deepEqual(await everyWriter(legacyWriters(botTaken, layout)), without);
    const outbox = `SELECT user_id, told FROM ${layout}.bot_outbox ORDER BY id`;
    assert.deepEqual(
      (await taken.client.query(outbox)).rows,
      (await alone.client.query(outbox)).rows,
      'the neighbours were told of the same purchases',
    );
    await assertClean(taken.url, 'after the old writers');
    await offersOfMarketing(t, taken);
    assert.deepEqual(different, []);
  });
}

type Client = Legacy['client'];

/** Without the members who had no stored balance: now they have one. */
const stayed = (rows: any): any[] =>
  rows.filter((row: any) => ![5, 9, 11, 21].includes(Number(row.user_id ?? row.id)));

/** What one database answers the readers and the other does not, row by row. */
async function differentReadings(alone: Client, taken: Client, layout: Layout): Promise<unknown[]> {
  const before = await readAsBefore(alone, layout);
  const after = await readAsBefore(taken, layout);
  return Object.entries(before).flatMap(([name, { columns, rows }]) => {
    const isBalance = /balance|dashboard/.test(name);
    const lines = (list: any[] = []) =>
      (isBalance ? stayed(list) : list).map((row) => JSON.stringify(row));
    const found = after[name];
    const wanted = lines(rows);
    const given = lines(found?.rows);
    const differs = wanted.flatMap((line, i) => (line === given[i] ? [] : [[line, given[i]]]));
    const isOther = JSON.stringify(found?.columns) !== JSON.stringify(columns);
    if (differs.length === 0 && !isOther && wanted.length === given.length) return [];
    return [{ name, columns: isOther ? found?.columns : 'same', rows: given.length, differs }];
  });
}

/** What marketing wrote under the old name is what we sell. */
async function offersOfMarketing(t: TestContext, { url, client }: Legacy): Promise<void> {
  const p = await openProgramme(url);
  t.after(() => p.close());
  const { rows } =
    await client.query(`SELECT legacy_id, lumis_cost, is_active, offer_id IS NOT NULL AS
    has_id FROM rewards.redemption_offers WHERE legacy_id IN (20, 22, 100, 102, 103, 150) ORDER BY 1`);
  assert.deepEqual(
    rows.map((row) => [
      row.legacy_id,
      row.lumis_cost,
      row.has_id,
      row.lumis_cost > 0 || !row.is_active,
    ]),
    [
      [20, 25, true, true],
      [22, null, true, true],
      [100, 55, true, true],
      [NEXT_OFFER, 12, true, true],
      [NEXT_OFFER + 1, null, true, true],
      [150, 9, true, true],
    ],
  );
  const done = await p.redeem(1008, await offerOf(p, 20));
  assert.deepEqual([done.lumis_spent, done.offer_name], [25, 'Cine 2×1']);
}
