/**
 * Legacy databases that nobody expects, and that the old programme allows: each is either refused
 * before any change, or taken over without a member, a neighbour or a point coming to harm.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MigrationRefused, migrateDown, migrateUp } from '../src/db/migrate.ts';
import { LAYOUTS, type Layout, type Legacy, legacyDatabase } from './support/legacy.ts';
import {
  assertSameSnapshot,
  legacySnapshot,
  oldFormula,
  shownAfter,
  shownBefore,
} from './support/legacy-snapshot.ts';
import { legacyWriters } from './support/legacy-statements.ts';
import { assertClean, offerOf, openProgramme, plus } from './support/take-over.ts';

interface Oddity {
  what: string;
  layout: Layout;
  /** by the owner; `@` is the legacy schema */
  alter: string;
  /** by the superuser, after the fixture is done */
  granted?: string;
  /** what must still work, the same before and after */
  check?: (legacy: Legacy) => Promise<unknown>;
}

const rowsAs = (url: (legacy: Legacy) => string, text: string) => async (legacy: Legacy) => {
  const client = await legacy.connect(url(legacy));
  const { rows } = await client.query(legacy.sql(text));
  await client.end();
  return rows;
};
const asBot = (text: string) => rowsAs((legacy) => legacy.botUrl, text);
const asOwner = (text: string) => rowsAs((legacy) => legacy.ownerUrl, text);

const ODDITIES: Oddity[] = [
  {
    what: 'a ledger with two decimal places beside exact balances',
    layout: 'public',
    alter: `DROP VIEW @.vw_hist_accum_redem;
      ALTER TABLE @.fact_accumulations ALTER COLUMN quantity TYPE numeric(30, 2);`,
  },
  {
    what: 'a ledger of whole points beside exact balances',
    layout: 'rewards',
    alter: `DROP VIEW @.vw_hist_accum_redem; DELETE FROM @.fact_accumulations WHERE quantity > 1e9;
      DELETE FROM @.fact_balance_points WHERE balance > 1e9;
      ALTER TABLE @.fact_accumulations ALTER COLUMN quantity TYPE int;`,
  },
  {
    what: 'balances of whole points beside an exact ledger',
    layout: 'public',
    alter: `DROP VIEW @.v_user_dashboard;
      ALTER TABLE @.fact_balance_points ALTER COLUMN balance TYPE numeric(20, 0);`,
  },
  {
    what: 'a ledger that takes no negative points',
    layout: 'rewards',
    alter: `ALTER TABLE @.fact_accumulations ADD CONSTRAINT up CHECK (quantity > -11) NOT VALID`,
  },
  {
    what: 'a ledger that knows its types',
    layout: 'public',
    alter: `ALTER TABLE @.fact_accumulations ADD CONSTRAINT types CHECK (accum_type IN ('receipts',
      'survey', 'daily_game', 'xp', 'mystery', 'earn', 'spend')) NOT VALID`,
  },
  {
    what: 'a ledger where a key is booked once',
    layout: 'rewards',
    alter: `DELETE FROM @.fact_accumulations WHERE accum_key IN ('CUFE-TWICE', 'img-1');
      CREATE UNIQUE INDEX once ON @.fact_accumulations (user_id, accum_key)
        WHERE accum_type <> 'receipts'`,
  },
  {
    what: 'a ledger whose members must exist, and balances whose members do not',
    layout: 'public',
    alter: `DELETE FROM @.fact_accumulations WHERE user_id NOT BETWEEN 1001 AND 1020;
      ALTER TABLE @.fact_accumulations ADD CONSTRAINT known
        FOREIGN KEY (user_id) REFERENCES public.dim_users ON DELETE CASCADE`,
  },
  {
    what: 'ids that only the database gives',
    layout: 'rewards',
    alter: `ALTER TABLE @.fact_accumulations ALTER COLUMN id SET GENERATED ALWAYS;
      DROP SEQUENCE @.seq_fact_redemptions CASCADE;
      ALTER TABLE @.fact_redemptions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (START 900);
      ALTER TABLE @.dim_redemptions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (START 900);`,
  },
  {
    what: 'a neighbour who copies every entry whole',
    layout: 'public',
    alter: `CREATE TABLE @.copies (LIKE @.fact_accumulations);
      CREATE FUNCTION @.fun_copy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN INSERT INTO @.copies SELECT NEW.*; RETURN NULL; END $$;
      CREATE TRIGGER trg_copy AFTER INSERT ON @.fact_accumulations
        FOR EACH ROW EXECUTE FUNCTION @.fun_copy();`,
  },
  {
    what: 'a neighbour who keeps what offers were',
    layout: 'rewards',
    alter: `CREATE TABLE @.offers_were (LIKE @.dim_redemptions);
      CREATE FUNCTION @.fun_keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN INSERT INTO @.offers_were SELECT OLD.*; RETURN NULL; END $$;
      CREATE TRIGGER trg_keep AFTER UPDATE ON @.dim_redemptions
        FOR EACH ROW EXECUTE FUNCTION @.fun_keep();`,
  },
  {
    what: 'a function that gives whole offers',
    layout: 'public',
    alter: `CREATE FUNCTION @.fun_offers() RETURNS SETOF @.dim_redemptions LANGUAGE plpgsql AS $$
        BEGIN RETURN QUERY SELECT * FROM @.dim_redemptions WHERE points > 0 ORDER BY id; END $$;
      CREATE FUNCTION @.fun_offers_sql() RETURNS SETOF @.dim_redemptions LANGUAGE sql AS $$
        SELECT * FROM @.dim_redemptions WHERE points > 0 ORDER BY id $$;`,
    check: async (legacy) => [
      await asBot('SELECT id, points, img FROM @.fun_offers()')(legacy),
      await asBot('SELECT id, points, img FROM @.fun_offers_sql()')(legacy),
    ],
  },
  {
    what: 'rows that only their own may see',
    layout: 'rewards',
    alter: `ALTER TABLE @.fact_redemptions ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON @.fact_redemptions USING (user_id > 1000) WITH CHECK (true);
      ALTER TABLE @.dim_redemptions ENABLE ROW LEVEL SECURITY;
      CREATE POLICY priced ON @.dim_redemptions USING (points > 0) WITH CHECK (true);`,
    check: async (legacy) => [
      await asBot('SELECT user_id FROM @.fact_redemptions ORDER BY id')(legacy),
      await asBot('SELECT id FROM @.dim_redemptions ORDER BY id')(legacy),
    ],
  },
  {
    what: 'a view with a barrier, and one that asks as its reader',
    layout: 'public',
    alter: `CREATE VIEW @.v_barrier WITH (security_barrier) AS
        SELECT id, points, img FROM @.dim_redemptions WHERE points > 0;
      CREATE VIEW @.v_invoker WITH (security_invoker) AS
        SELECT user_id, redem_id, quantity FROM @.fact_redemptions;
      GRANT SELECT ON @.v_barrier, @.v_invoker TO PUBLIC;`,
    check: async (legacy) => [
      await asBot('SELECT * FROM @.v_barrier ORDER BY id')(legacy),
      await asBot('SELECT * FROM @.v_invoker ORDER BY 1, 2, 3')(legacy),
    ],
  },
  {
    what: 'a rule on the catalogue',
    layout: 'public',
    alter: `CREATE TABLE @.seen (id int); GRANT INSERT ON @.seen TO PUBLIC;
      CREATE RULE note AS ON INSERT TO @.dim_redemptions
        DO ALSO INSERT INTO @.seen VALUES (NEW.id);`,
  },
  {
    what: 'a rule on the ledger',
    layout: 'rewards',
    alter: `CREATE TABLE @.seen (id int); GRANT INSERT ON @.seen TO PUBLIC;
      CREATE RULE note AS ON INSERT TO @.fact_accumulations
        DO ALSO INSERT INTO @.seen VALUES (NEW.user_id);`,
  },
  {
    what: 'a second trigger on the ledger that touches balances',
    layout: 'public',
    alter: `CREATE FUNCTION @.fun_twice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        UPDATE @.fact_balance_points SET latest_update = now() WHERE user_id = NEW.user_id;
        RETURN NULL; END $$;
      CREATE TRIGGER trg_twice AFTER INSERT ON @.fact_accumulations
        FOR EACH ROW EXECUTE FUNCTION @.fun_twice();`,
  },
  {
    what: 'reports built on everything, and statistics',
    layout: 'rewards',
    alter: `CREATE VIEW @.v_deep AS SELECT h.*, d.balance FROM @.vw_hist_accum_redem h
        JOIN @.v_user_dashboard d USING (user_id);
      CREATE MATERIALIZED VIEW @.mv_history AS SELECT user_id, count(*) AS rows
        FROM @.vw_hist_accum_redem GROUP BY user_id;
      CREATE STATISTICS @.st_ledger ON user_id, accum_type FROM @.fact_accumulations;
      ALTER TABLE @.fact_accumulations CLUSTER ON idx_accum_user_date, REPLICA IDENTITY FULL;
      CREATE PUBLICATION legacy_pub_none WITH (publish = 'insert');`,
    granted:
      'ALTER PUBLICATION legacy_pub_none ADD TABLE rewards.fact_redemptions, rewards.dim_redemptions',
    check: asOwner('SELECT count(*) FROM @.v_deep WHERE user_id = 1'),
  },
];

for (const { what, layout, alter, granted, check } of ODDITIES) {
  test(`${what} (${layout})`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { alter });
    const { client, url } = legacy;
    if (granted) await client.query(granted);
    const before = await legacySnapshot(client, layout);
    const answer = await check?.(legacy);
    const formula = await oldFormula(client, layout);
    const shown = await shownBefore(client, layout);
    try {
      await migrateUp(url);
    } catch (error) {
      assert.ok(error instanceof MigrationRefused, `neither refused nor done: ${error}`);
      assertSameSnapshot(await legacySnapshot(client, layout), before, 'refused');
      t.diagnostic(`refused: ${error.message}`);
      return;
    }
    await assertClean(url, 'after up');
    assert.deepEqual(await shownAfter(client), sorted(shown));
    assert.deepEqual(await check?.(legacy), answer, 'what the neighbours ask');

    const w = legacyWriters(await legacy.connect(legacy.botUrl), layout);
    await w.earn(1001, 1);
    await w.earn(1001, '0.25');
    await w.earn(1002, -1);
    await w.play(1002);
    await w.setBalance(1003, 310);
    assert.equal(await w.purchase(1004, 20, 20), true);
    await w.editOffer(20, 'Cine', 21);
    const p = await openProgramme(url);
    try {
      assert.equal((await p.redeem(1005, await offerOf(p, 20))).lumis_spent, 21);
      const token = await p.admin();
      for (const userId of [1006, 1006, 1007]) {
        const body = { quantity: 5, reason: 'gracias' };
        const reply = await p.call('POST', `/admin/members/${userId}/ledger`, { token, body });
        assert.equal(reply.status, 201, JSON.stringify(reply.body));
      }
      const made = { name_friendly: 'Nueva', lumis_cost: 5 };
      const offer = await p.call('POST', '/admin/offers', { token, body: made });
      assert.equal(offer.status, 201, JSON.stringify(offer.body));
      assert.equal((await p.redeem(1008, offer.body.offer_id)).lumis_spent, 5);
    } finally {
      await p.close();
    }
    await assertClean(url, 'after a while');
    const since: Record<string, number> = {
      1002: -1,
      1003: 10,
      1004: -20,
      1005: -21,
      1006: 10,
      1007: 5,
      1008: -5,
    };
    const later = await shownAfter(client);
    for (const [member, points] of Object.entries(since)) {
      assert.equal(later[member], String(Number(shown[member]) + points), `member ${member}`);
    }
    await migrateDown(url);
    const after = await legacySnapshot(client, layout);
    assertSameSnapshot(
      { ...after, rows: [], sequences: [] },
      { ...before, rows: [], sequences: [] },
    );
    const back = await oldFormula(client, layout);
    for (const [member, points] of Object.entries(since)) {
      assert.equal(back[member], String(Number(formula[member]) + points), `formula of ${member}`);
    }
    await w.earn(1005, 1);
    await w.editOffer(20, 'Cine', 22);
  });
}

const sorted = (points: Record<string, string>) =>
  Object.fromEntries(Object.entries(points).sort(([a], [b]) => Number(a) - Number(b)));

for (const path of ['public, rewards', 'rewards, public', 'rewards']) {
  test(`services that rely on search_path = ${path}`, async (t) => {
    const legacy = await legacyDatabase(t, 'rewards');
    const bot = await legacy.connect(legacy.botUrl);
    await bot.query(`SET search_path TO ${path}`);
    const w = legacyWriters(bot, 'public');
    for (const way of ['before', 'up', 'down'] as const) {
      if (way === 'up') await migrateUp(legacy.url);
      if (way === 'down') await migrateDown(legacy.url);
      const had = Number(await w.balance(1001));
      await w.earn(1001, 1);
      await w.earnUndated(1001, 2);
      await w.play(1001);
      assert.equal(await w.purchase(1001, 20, 2), true);
      await w.subscribe(1002);
      await w.editOffer(20, 'Cine', 20);
      await w.upsertOffer(100, 'Regalo', 700);
      assert.equal(Number(await w.balance(1001)), had + 1, way);
      const { rows } = await bot.query(
        'SELECT sum(quantity) FROM fact_accumulations WHERE user_id = 1001',
      );
      assert.ok(rows[0].sum > 0);
      if (way === 'up') await assertClean(legacy.url, path);
    }
  });
}

for (const layout of LAYOUTS) {
  test(`${layout}: prepared statements and open cursors of the old services go on`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    const bot = await legacy.connect(legacy.botUrl);
    const named = (name: string, text: string, values: unknown[]) =>
      bot.query({ name, text: legacy.sql(text), values });
    const use = async (user: number) => {
      await named(
        'earn',
        `INSERT INTO @.fact_accumulations (user_id, accum_type, dtype, quantity)
         VALUES ($1, 'survey', 'points', 1)`,
        [user],
      );
      await named('price', 'SELECT id, name, points FROM @.dim_redemptions WHERE id = $1', [20]);
      await named('all', 'SELECT * FROM @.fact_redemptions WHERE user_id = $1', [14]);
      await named('history', 'SELECT * FROM @.vw_hist_accum_redem WHERE user_id = $1', [14]);
      await named(
        'debit',
        'UPDATE @.fact_balance_points SET balance = balance - 1 WHERE user_id = $1',
        [user],
      );
      const { rows } = await named(
        'balance',
        'SELECT balance FROM @.fact_balance_points WHERE user_id = $1 FOR UPDATE',
        [user],
      );
      return Number(rows[0].balance);
    };
    assert.equal(await use(1001), 300);
    for (const migrate of [migrateUp, migrateDown, migrateUp]) {
      await migrate(legacy.url);
      assert.equal(await use(1002 + [migrateUp, migrateDown].indexOf(migrate) * 2), 300);
      if (migrate === migrateUp) await assertClean(legacy.url, 'with prepared statements');
    }
  });
}

const MISTAKES: [string, string][] = [
  ['no price', 'points = NULL'],
  ['a price of zero', 'points = 0'],
  ['a negative price', 'points = -7'],
  ['no name', 'name_friendly = NULL'],
  ['a blank name', "name_friendly = '  '"],
  ['an end before the beginning', "valid_from = '2030-01-01Z', valid_to = '2020-01-01Z'"],
  ['no end at all', "valid_to = 'infinity'"],
  ['an end beyond the calendar', "valid_to = '12000-01-01Z'"],
];

for (const layout of LAYOUTS) {
  test(`${layout}: marketing may make every mistake under the old name, and mend it`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    const { client, url } = legacy;
    await migrateUp(url);
    const p = await openProgramme(url);
    t.after(() => p.close());
    const old = async (set: string, id: number) => {
      const text = `UPDATE @.dim_redemptions SET ${set} WHERE id = ${id} RETURNING *`;
      return (await client.query(legacy.sql(text))).rows[0];
    };
    const good = await old("img = 'https://img.example.com/new.png'", 1);
    const right = `points = 50, name_friendly = 'Café', valid_from = '2020-01-01Z',
      valid_to = '2099-01-01Z'`;
    for (const [what, set] of MISTAKES) {
      const row = await old(set, 1);
      assert.notDeepEqual({ ...row, update_date: 0 }, { ...good, update_date: 0 }, what);
      const offer = await offerOf(p, 1);
      assert.equal(typeof (await p.redeem(1001, offer)), 'string', `${what} can be redeemed`);
      const token = await p.admin();
      const seen = await p.call('GET', `/admin/offers/${offer}`, { token });
      assert.equal(seen.status, 200, `${what}: ${JSON.stringify(seen.body)}`);
      assert.equal(seen.body.is_active, false, what);
      const body = { is_active: true };
      const activated = await p.call('PATCH', `/admin/offers/${offer}`, { token, body });
      // a date without end is as good as none; staff may say so
      const allowed = /no end|calendar/.test(what) ? [200, 400] : [400];
      assert.ok(allowed.includes(activated.status), `${what}: ${JSON.stringify(activated.body)}`);
      assert.deepEqual(await old(right, 1).then((r) => [r.points, r.name_friendly]), [50, 'Café']);
      const again = await p.call('PATCH', `/admin/offers/${offer}`, { token, body });
      assert.equal(again.status, 200, `${what}, mended: ${JSON.stringify(again.body)}`);
    }
    assert.equal((await p.redeem(1001, await offerOf(p, 1))).lumis_spent, 50);
    for (const id of [3, 5, 6, 8, 10, 11, 17]) {
      const token = await p.admin();
      const body = { name_friendly: 'Bien', lumis_cost: 5, valid_from: null, valid_to: null };
      const at = `/admin/offers/${await offerOf(p, id)}`;
      const reply = await p.call('PATCH', at, { token, body: { ...body, is_active: true } });
      assert.equal(reply.status, 200, `offer ${id}: ${JSON.stringify(reply.body)}`);
    }
    await assertClean(url, 'after marketing');
    await migrateDown(url);
    await migrateUp(url);
    await assertClean(url, 'after marketing, down and up');
  });

  test(`${layout}: whatever is done to a stored balance is booked, or refused`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    const { client, url } = legacy;
    const formula = await oldFormula(client, layout);
    const shown = await shownBefore(client, layout);
    await migrateUp(url);
    const done: string[] = [];
    for (const text of [
      'UPDATE @.fact_balance_points SET balance = balance + 1 WHERE user_id < 20',
      'UPDATE @.fact_balance_points SET balance = balance',
      'UPDATE @.fact_balance_points SET user_id = 7001 WHERE user_id = 1010',
      'UPDATE @.fact_balance_points SET user_id = NULL WHERE user_id = 1011',
      'UPDATE @.fact_balance_points SET balance = NULL WHERE user_id = 1012',
      "UPDATE @.fact_balance_points SET balance = 'NaN' WHERE user_id = 1013",
      "UPDATE @.fact_balance_points SET balance = 'Infinity' WHERE user_id = 1013",
      'UPDATE @.fact_balance_points SET user_id = 7002 WHERE user_id IS NULL AND balance = 17',
      'DELETE FROM @.fact_balance_points WHERE user_id IN (1014, 1015)',
      'INSERT INTO @.fact_balance_points VALUES (1014, 9, NULL), (NULL, 4, NULL), (7003, NULL, NULL)',
      `INSERT INTO @.fact_balance_points VALUES (1016, 1, now()), (7004, 2, now())
       ON CONFLICT (user_id) DO UPDATE SET balance = fact_balance_points.balance + 5`,
      'DELETE FROM @.fact_balance_points WHERE user_id IS NULL',
      'WITH b AS (DELETE FROM @.fact_balance_points WHERE user_id = 1017 RETURNING *) SELECT FROM b',
      'UPDATE lumis.balances SET balance = 0 WHERE user_id = 1018',
      'DELETE FROM lumis.balances WHERE user_id = 1019',
      'TRUNCATE @.fact_balance_points',
    ]) {
      const fate = await client.query(legacy.sql(text)).then(
        () => 'done',
        (error: Error) => `refused: ${error.message}`,
      );
      done.push(`${text}: ${fate}`);
      await assertClean(url, done.at(-1) as string);
    }
    t.diagnostic(done.join('\n'));
    const now = await shownAfter(client);
    await migrateDown(url);
    const after = await oldFormula(client, layout);
    for (const member of Object.keys(now)) {
      const moved = plus(now[member] ?? '0', negative(shown[member]));
      assert.equal(after[member] ?? '0', plus(formula[member] ?? '0', moved), `member ${member}`);
    }
    await migrateUp(url);
    await assertClean(url, 'after down and up');
  });
}

const negative = (text = '0') => (text.startsWith('-') ? text.slice(1) : `-${text}`);
