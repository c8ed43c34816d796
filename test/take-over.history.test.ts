/**
 * Ways down and up again with the old system at work in between, on what `down` has written: the
 * old formula, the stored balances and our own rows must agree after every step.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type pg from 'pg';
import { MigrationRefused, migrateDown, migratePlan, migrateUp } from '../src/db/migrate.ts';
import { LAYOUTS, legacyDatabase } from './support/legacy.ts';
import { assertSame, assertSameSnapshot, legacySnapshot } from './support/legacy-snapshot.ts';
import { legacyWriters } from './support/legacy-statements.ts';
import { offerOf, ourCatalogue } from './support/take-over.ts';
import { type Story, takeOverStory as story } from './support/take-over-story.ts';

const ROUNDS = [1, 2, 3];

const codeOf = (asked: Promise<unknown>): Promise<string | undefined> =>
  asked.then(
    () => 'done',
    (error: pg.DatabaseError) => error.code,
  );

test('public: the old system refunds what down wrote', async (t) => {
  const s = await story(t, 'public');
  for (const round of ROUNDS) {
    const member = 1000 + round;
    await s.up(`up ${round}`);
    await s.serve((p) => s.redeem(p, member, 20));
    await s.down(`down ${round}`);
    await s.pay(member, 20);
    await s.old(`DELETE FROM @.fact_redemptions WHERE user_id = ${member} AND redem_id = '20'`);
  }
  await s.up('up after the last refund');
  await s.down('down after the last refund');
  // the old trigger, which computes anew, agrees
  for (const round of ROUNDS) {
    await s.w.earn(1000 + round, 1);
    s.move(1000 + round, 1);
  }
  await s.up();
});

/** Plain members who are entitled to something. */
function premium(s: Story): Promise<number[]> {
  return s.column(`SELECT DISTINCT user_id FROM @.fact_redemptions
    WHERE expiration_date > now() AND user_id BETWEEN 1001 AND 1999 ORDER BY 1`);
}

test('rewards: who sees only their rows of the ledger sees no others under any name', async (t) => {
  const s = await story(t, 'rewards', {
    alter: `ALTER TABLE @.fact_accumulations ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON @.fact_accumulations USING (user_id = 1001);`,
  });
  const insert = (name: string, member: number) =>
    codeOf(
      s.columnAs(
        s.botUrl,
        `INSERT INTO ${name}.fact_accumulations (user_id, accum_type, dtype, quantity)
         VALUES (${member}, 'survey', 'points', 10)`,
      ),
    );
  await s.up();
  await s.serve((p) => s.redeem(p, 1001, 20));
  for (const name of ['rewards', 'public']) {
    const seen = await s.columnAs(
      s.botUrl,
      `SELECT DISTINCT user_id FROM ${name}.fact_accumulations`,
    );
    assert.deepEqual(seen, [1001], name);
    assert.equal(await insert(name, 1002), '42501', name);
    assert.equal(await insert(name, 1001), 'done', name);
    s.move(1001, 10);
    await s.check(name);
  }
  await s.down();
  assert.equal(await insert('rewards', 1002), '42501');
});

for (const [layout, option, readers] of [
  ['public', '', 'one role'],
  ['rewards', ' = on', 'PUBLIC'],
] as const) {
  test(`${layout}: a history that asks as its reader, granted to ${readers}`, async (t) => {
    const alter = `ALTER VIEW @.vw_hist_accum_redem SET (security_invoker${option})`;
    const s = await story(t, layout, { alter });
    await s.old(`GRANT SELECT ON @.fact_accumulations, @.fact_redemptions, @.dim_redemptions,
      @.dim_accumulations, @.vw_hist_accum_redem TO ${readers.replace('one role', s.roles.reader)}`);
    const before = (await legacySnapshot(s.client, layout)).schema;
    const history = () =>
      s.columnAs(
        s.readerUrl,
        `SELECT concat_ws(' ', source_type, quantity::int) FROM @.vw_hist_accum_redem
         WHERE user_id = 1002 ORDER BY 1`,
      );
    assert.deepEqual(await history(), ['Acumulación 300']);
    await migrateUp(s.url);
    assert.deepEqual(await history(), ['Acumulación 300']);
    await s.serve((p) => s.redeem(p, 1002, 20));
    assert.deepEqual(await history(), ['Acumulación 300', 'Redención 20']);
    await migrateDown(s.url);
    assertSame((await legacySnapshot(s.client, layout)).schema, before);
    assert.deepEqual(await history(), ['Acumulación 300', 'Redención 20']);
  });
}

for (const kind of ['ALWAYS', 'BY DEFAULT']) {
  test(`public: offers with ids GENERATED ${kind}, one of them redeemed and deleted`, async (t) => {
    const s = await story(t, 'public', {
      alter: `ALTER TABLE @.dim_redemptions ALTER COLUMN id DROP DEFAULT;
        DROP SEQUENCE @.dim_redemptions_id_seq;
        ALTER TABLE @.dim_redemptions ALTER COLUMN id ADD GENERATED ${kind} AS IDENTITY (START 150)`,
    });
    const add = async () => {
      const text = `INSERT INTO @.dim_redemptions (name, name_friendly, points)
        VALUES ('nueva', 'Nueva', 12) RETURNING id`;
      return (await s.columnAs(s.botUrl, text))[0];
    };
    await s.up();
    await s.down();
    await s.up();
    const made = await s.serve(async (p) => {
      await s.redeem(p, 1001, 101);
      await s.redeem(p, 1002, 20);
      const { made } = await ourCatalogue(p);
      return made;
    });
    assert.ok((await add()) > 150);
    await s.down();
    assert.ok((await add()) > 152);
    await s.old('DELETE FROM @.dim_redemptions WHERE id = 101');
    await s.up('up without an offer');
    await s.serve(async (p) => {
      const token = await p.admin();
      const offer = await p.call('GET', `/admin/offers/${await offerOf(p, 101)}`, { token });
      assert.equal(offer.body.is_active, false, JSON.stringify(offer.body));
      await s.redeem(p, 1003, made);
    });
    assert.ok((await add()) > 153);
    await s.down();
    await s.up();
  });
}

for (const layout of LAYOUTS) {
  test(`${layout}: a neighbour's trigger that names its tables without their schema`, async (t) => {
    const trigger = (name: string, settings: string) => `
      CREATE FUNCTION @.${name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER ${settings} AS $$
        BEGIN INSERT INTO bot_outbox (user_id, told) VALUES (NEW.user_id, TG_NAME); RETURN NULL;
        END $$;
      CREATE TRIGGER ${name} AFTER INSERT ON @.fact_accumulations
        FOR EACH ROW EXECUTE FUNCTION @.${name}();`;
    const s = await story(t, layout, {
      alter:
        trigger('t_news', '') +
        trigger('t_tuned', `SET work_mem = '8MB'`) +
        trigger('t_own', `SET search_path = ${layout}`),
    });
    const bot = await s.connect(s.botUrl);
    await bot.query('SET search_path TO rewards, public');
    const w = legacyWriters(bot, 'public');
    const told = () =>
      s.column(`SELECT told || ' ' || count(*) FROM @.bot_outbox
        WHERE user_id = 1001 AND told ~ '^t_' GROUP BY told ORDER BY told`);
    const times = (n: number) => [`t_news ${n}`, `t_own ${n}`, `t_tuned ${n}`];
    await s.up();
    await w.setBalance(1001, 307);
    s.move(1001, 7);
    assert.deepEqual(await told(), times(1));
    await s.serve((p) => s.redeem(p, 1001, 20));
    assert.deepEqual(await told(), times(2));
    await w.earn(1001, 1);
    s.move(1001, 1);
    assert.deepEqual(await told(), times(3));
    await s.down();
    await w.earn(1001, 1);
    s.move(1001, 1);
    assert.deepEqual(await told(), times(4));
    await s.up();
    await s.down();
  });

  for (const [what, alter, words] of [
    [
      'a trigger on purchases that computes balances',
      `CREATE TRIGGER t_computes AFTER INSERT OR DELETE ON @.fact_redemptions
         FOR EACH ROW EXECUTE FUNCTION @.fun_update_balance_points()`,
      /t_computes.*fact_redemptions/,
    ],
    [
      'a history that asks as its reader, who has rights on single columns',
      `ALTER VIEW @.vw_hist_accum_redem SET (security_invoker);
       GRANT SELECT (user_id, accum_id, quantity, date) ON @.fact_accumulations TO PUBLIC`,
      /vw_hist_accum_redem.*single columns/,
    ],
  ] as const) {
    test(`${layout}: ${what} is refused`, async (t) => {
      const { client, url } = await legacyDatabase(t, layout, { plain: 1, alter });
      const before = await legacySnapshot(client, layout);
      for (const ask of [migratePlan, migrateUp]) {
        await assert.rejects(ask(url), (error: Error) => {
          assert.ok(error instanceof MigrationRefused, `${error.stack}`);
          assert.match(error.message, words);
          return true;
        });
        assertSameSnapshot(await legacySnapshot(client, layout), before, 'refused');
      }
    });
  }
}

for (const schema of ['', 'CREATE SCHEMA rewards']) {
  test(`a superuser takes over tables of a role without rights (${schema || 'no schema'})`, async (t) => {
    const s = await story(t, 'public', { owned: true });
    if (schema) await s.old(schema);
    const before = (await legacySnapshot(s.client, 'public')).schema;
    const offer = (redemption: number) =>
      codeOf(
        s.columnAs(
          s.ownerUrl,
          `INSERT INTO ws_offers (title, redemption) VALUES ('Más', ${redemption})`,
        ),
      );
    await migrateUp(s.url);
    assert.deepEqual([await offer(2), await offer(987)], ['done', '23503']);
    await s.serve((p) => s.redeem(p, 1001, 20));
    await migrateDown(s.url);
    assertSame((await legacySnapshot(s.client, 'public')).schema, before);
    assert.deepEqual([await offer(2), await offer(987)], ['done', '23503']);
  });
}

for (const layout of LAYOUTS) {
  test(`${layout}: balances that the old system changes, with and without purchases`, async (t) => {
    const s = await story(t, layout);
    const buy = async (member: number, points: number, paid = points) => {
      await s.old(`INSERT INTO @.fact_redemptions (user_id, redem_id, quantity, date, condition1)
        VALUES (${member}, '20', ${points}, now(), 'Canjeado')`);
      await s.pay(member, -paid);
    };
    const booked = (member: number) =>
      s.column(`SELECT quantity::int FROM @.fact_accumulations
        WHERE user_id = ${member} AND accum_type = 'legacy_balance' ORDER BY id`);
    for (const round of ROUNDS) {
      await s.up(`up ${round}`);
      await s.pay(1001, 7);
      await buy(1002, 30);
      await buy(1003, 30, 27);
      await s.pay(1004, -30);
      await buy(1005, 10, 0);
      if (round > 1) await s.pay(1006, 4);
      if (round === 2) await buy(1006, 10);
      await buy(1007, 10);
      await s.old(`DELETE FROM @.fact_redemptions WHERE user_id = 1007 AND redem_id = '20'`);
      await s.pay(1007, 10);
      await s.serve((p) => s.redeem(p, 1002, 20));
      await s.down(`down ${round}`);
      const each = (points: number) => Array.from({ length: round }, () => points);
      assert.deepEqual(await booked(1001), each(7), 'no purchase: as it was booked');
      assert.deepEqual(await booked(1002), [], 'all of it is purchases');
      assert.deepEqual(await booked(1003), each(3), 'the remainder');
      assert.deepEqual(await booked(1004), each(-30));
      assert.deepEqual(await booked(1005), each(10));
      assert.deepEqual(await booked(1006), [[], [4], [4, 4]][round - 1]);
      // by its own trigger, which computes anew
      for (let member = 1001; member <= 1007; member += 1) {
        await s.w.earn(member, 1);
        s.move(member, 1);
      }
    }
    await s.up();
  });
}

test('rewards: the old system changes what down wrote', async (t) => {
  const s = await story(t, 'rewards');
  const set: [member: number, gains: number, what: string][] = [
    [1001, 15, 'quantity = 5'],
    [1002, 20, 'quantity = NULL'],
    [1003, 20, 'quantity = 0'],
    [1004, -30, 'quantity = 50'],
    [1005, 0, `expiration_date = '2090-01-01Z'`],
    [1006, -1, `quantity = 21, expiration_date = '2090-01-01Z'`],
    [1007, 0, `redem_id = '1'`],
    [1008, 0, 'date = NULL'],
  ];
  await s.up();
  await s.serve(async (p) => {
    for (const [member] of set) await s.redeem(p, member, 20);
    await s.redeem(p, 1004, 20);
  });
  await s.down();
  for (const [member, gains, what] of set) {
    await s.pay(member, gains);
    await s.old(`UPDATE @.fact_redemptions SET ${what} WHERE id =
      (SELECT min(id) FROM @.fact_redemptions WHERE user_id = ${member} AND redem_id = '20')`);
  }
  for (const round of ROUNDS) {
    await s.up(`up ${round}`);
    assert.deepEqual(await premium(s), [1005, 1006], `entitled, up ${round}`);
    await s.down(`down ${round}`);
    assert.deepEqual(await premium(s), [1005, 1006], `entitled, down ${round}`);
    for (const [member] of set) {
      await s.w.earn(member, 1);
      s.move(member, 1);
    }
  }
});

test('public: what down wrote becomes a subscription for less points', async (t) => {
  const s = await story(t, 'public');
  await s.up();
  await s.serve((p) => s.redeem(p, 1001, 20));
  await s.down();
  await s.pay(1001, 15);
  await s.old(`UPDATE @.fact_redemptions SET quantity = 5, expiration_date = '2090-01-01Z'
    WHERE user_id = 1001 AND redem_id = '20'`);
  await s.up();
  assert.deepEqual(await premium(s), [1001], 'entitled after up');
  await s.down();
  assert.deepEqual(await premium(s), [1001], 'entitled after down');
});

test('public: one row for a member and an offer, which both systems raise', async (t) => {
  const s = await story(t, 'public', {
    alter: `DELETE FROM @.fact_redemptions f USING @.fact_redemptions g
        WHERE (f.user_id, f.redem_id) = (g.user_id, g.redem_id) AND f.id > g.id;
      ALTER TABLE @.fact_redemptions ADD CONSTRAINT once UNIQUE (user_id, redem_id);`,
  });
  const held = (member: number) =>
    s.column(`SELECT trim_scale(quantity)::text FROM @.fact_redemptions
      WHERE user_id = ${member} AND redem_id = '20'`);
  for (const round of ROUNDS) {
    await s.up(`up ${round}`);
    assert.deepEqual(await held(1001), round === 1 ? [] : [`${30 * (round - 1)}`]);
    assert.deepEqual(await premium(s), round === 1 ? [] : [1001, 1002], `up ${round}`);
    await s.serve(async (p) => {
      await s.redeem(p, 1001, 20);
      if (round === 1) await s.redeem(p, 1002, 20);
      if (round === 2) await s.redeem(p, 1003, 20);
    });
    await s.down(`down ${round}`);
    assert.deepEqual(await held(1001), [`${30 * (round - 1) + 20 * round}`]);
    await s.old(`INSERT INTO @.fact_redemptions AS f
        (user_id, redem_id, quantity, date, expiration_date, condition1)
      VALUES (1001, '20', 30, now(), now() + interval '1 year', 'Canjeado')
      ON CONFLICT (user_id, redem_id) DO UPDATE SET quantity = f.quantity + EXCLUDED.quantity,
        expiration_date = EXCLUDED.expiration_date`);
    await s.pay(1001, -30);
    await s.old(`UPDATE @.fact_redemptions SET expiration_date = now() + interval '1 year'
      WHERE user_id = 1002 AND redem_id = '20'`);
    assert.deepEqual(await premium(s), [1001, 1002], `between ${round}`);
  }
  await s.up();
  await s.down();
  await s.pay(1001, 145); // more than the old system's own part of the row
  await s.old(
    `UPDATE @.fact_redemptions SET quantity = 5 WHERE user_id = 1001 AND redem_id = '20'`,
  );
  await s.up();
  await s.down();
});

test('public: purchases whose members must exist', async (t) => {
  const s = await story(t, 'public', {
    alter: `DELETE FROM @.fact_redemptions WHERE user_id NOT BETWEEN 1001 AND 1020;
      ALTER TABLE @.fact_redemptions ADD CONSTRAINT buyer FOREIGN KEY (user_id)
        REFERENCES public.dim_users`,
  });
  await s.up();
  await s.serve(async (p) => {
    const body = { quantity: 100, reason: 'bienvenida' };
    const token = await p.admin();
    await p.call('POST', '/admin/members/777777/ledger', { token, body });
    s.move(777777, 100);
    await s.redeem(p, 777777, 20);
    await s.redeem(p, 1001, 20);
  });
  const before = await legacySnapshot(s.client, 'public', { archive: true });
  await assert.rejects(migrateDown(s.url), (error: Error) => {
    assert.ok(error instanceof MigrationRefused, `${error.stack}`);
    assert.match(error.message, /dim_users.*777777/);
    assert.doesNotMatch(error.message, /1001/);
    assert.match(error.hint ?? '', /dim_users/);
    return true;
  });
  const after = await legacySnapshot(s.client, 'public', { archive: true });
  assertSameSnapshot(after, before, 'refused');
  await s.check('after the refusal');
  await s.old('INSERT INTO public.dim_users (id) VALUES (777777)');
  await s.down();
  await s.up();
});

test('public: what expires or is reversed a round later', async (t) => {
  const s = await story(t, 'public');
  await s.up();
  const kept = await s.serve(async (p) => {
    const { merchant, forfeit, made } = await ourCatalogue(p);
    for (const member of [1001, 1002]) await s.redeem(p, member, 20);
    await s.redeem(p, 1003, forfeit);
    const confirmed = [await s.redeem(p, 1004, made), await s.redeem(p, 1005, made)];
    for (const { redemption_id } of confirmed) {
      const at = `/merchant/redemptions/${redemption_id}/confirm`;
      assert.equal((await p.call('POST', at, { token: merchant.api_key })).status, 200);
    }
    await s.redeem(p, 1006, 20); // stays as it is
    return { merchant, confirmed };
  });
  await s.old(`UPDATE rewards.user_redemptions SET code_expires_at = clock_timestamp()
    WHERE user_id IN (1001, 1002, 1003)`);
  await s.down();
  for (const member of [1002, 1005]) {
    await s.old('DELETE FROM @.fact_redemptions WHERE user_id = $1 AND quantity > 0', member);
    await s.pay(member, member === 1002 ? 20 : 15);
  }
  await s.up();
  const states = () =>
    s.column(`SELECT user_id || ' ' || redemption_status FROM rewards.user_redemptions ORDER BY 1`);
  // what the old system has taken back is not given back a second time
  const taken = ['1002 cancelled', '1005 cancelled', '1006 pending'];
  const others = ['1001 pending', '1003 pending', '1004 confirmed'];
  assert.deepEqual(await states(), [...others, ...taken].sort());
  await s.serve(async (p) => {
    assert.deepEqual(await s.column('SELECT rewards.expire_old_redemptions()'), [2]);
    s.move(1001, 20);
    for (const [nth, { redemption_id }] of kept.confirmed.entries()) {
      const at = `/merchant/redemptions/${redemption_id}/reverse`;
      const body = { reason: 'frío' };
      const reply = await p.call('POST', at, { token: kept.merchant.api_key, body });
      assert.equal(reply.status, nth === 0 ? 200 : 409, JSON.stringify(reply.body));
      if (nth === 0) s.move(1004, 15);
    }
  });
  await s.down();
  const left = await s.column(`SELECT user_id || ' ' || quantity::int FROM @.fact_redemptions
    WHERE user_id BETWEEN 1001 AND 1006 AND quantity > 0 ORDER BY 1`);
  assert.deepEqual(left, ['1003 15', '1006 20']);
  await s.up();
  assert.deepEqual(await s.column('SELECT rewards.expire_old_redemptions()'), [0]);
  await s.down();
});

test('rewards: what staff gave and took is told apart in every round', async (t) => {
  const s = await story(t, 'rewards');
  const all: string[] = [];
  const entries = () =>
    s.column(`SELECT concat_ws(' ', user_id, kind, quantity::int, accum_key) AS line
        FROM @.fact_accumulations WHERE kind IN ('grant', 'adjustment') ORDER BY id`);
  for (const round of ROUNDS) {
    await s.up(`up ${round}`);
    assert.deepEqual(await entries(), all, `up ${round}`);
    await s.serve(async (p) => {
      for (const quantity of [25, -5]) {
        const body = { quantity, reason: `ronda ${round}` };
        const token = await p.admin();
        const reply = await p.call('POST', '/admin/members/1001/ledger', { token, body });
        assert.equal(reply.status, 201, JSON.stringify(reply.body));
        s.move(1001, quantity);
      }
      await s.redeem(p, 1001, 20);
    });
    all.splice(0, all.length, ...(await entries()));
    assert.equal(all.length, 2 * round);
    await s.down(`down ${round}`);
    await s.w.earn(1001, 1);
    s.move(1001, 1);
  }
  const kinds = new Set(all.map((line) => line.split(' ')[1]));
  t.diagnostic(`${[...kinds]}: ${all}`);
});

test('public: entries whose ids the old system counts by itself', async (t) => {
  const s = await story(t, 'public', {
    alter: `ALTER TABLE @.fact_accumulations ALTER COLUMN id DROP DEFAULT;
      DROP SEQUENCE @.fact_accumulations_id_seq`,
  });
  const earn = async (member: number, entries: number) => {
    await s.old(
      `INSERT INTO @.fact_accumulations (id, user_id, accum_type, dtype, quantity, date)
       SELECT (SELECT max(id) FROM @.fact_accumulations) + n, $1, 'survey', 'points', 1, now()
       FROM generate_series(1, $2::int) n`,
      member,
      entries,
    );
    s.move(member, entries);
  };
  for (const round of ROUNDS) {
    await s.up(`up ${round}`);
    await s.serve(async (p) => {
      await s.redeem(p, 1001, 20);
      await earn(1002, 3);
      await s.redeem(p, 1003, 20);
    });
    await s.down(`down ${round}`);
    await earn(1004, 200);
  }
  await s.up();
});
