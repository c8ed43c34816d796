/**
 * The old programme's services beside ours, at once: after `up`, and while `up` and `down` run.
 * None of them may see an error, wait for long, or lose a point.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { migrateDown, migrateUp } from '../src/db/migrate.ts';
import {
  FIRST_PLAIN,
  LAYOUTS,
  type Legacy,
  legacyDatabase,
  PLAIN_POINTS,
} from './support/legacy.ts';
import { oldFormula, shownAfter, shownBefore } from './support/legacy-snapshot.ts';
import { type LegacyWriters, legacyWriters } from './support/legacy-statements.ts';
import { assertClean, offerOf, openProgramme } from './support/take-over.ts';

/** Long enough for the server to look for deadlocks (1 s), which it does once per wait. */
const BEYOND_DEADLOCK_CHECK_MS = 1300;
/** How long a statement of the old services may stand still while tables are switched. */
const STALL_MS_MAX = 3000;
/** Between two statements of one session. */
const THINKING_MS_MAX = Number(process.env.THINKING_MS ?? 20);
const MEMBERS = [0, 1, 2, 3].map((i) => FIRST_PLAIN + i);

type Op = (w: LegacyWriters, member: number) => Promise<number>;

/** What each answers is how many points the member gained. */
const OPS: Record<string, Op> = {
  async earn(w, member) {
    await w.earn(member, 1);
    return 1;
  },
  async earnUndated(w, member) {
    await w.earnUndated(member, 2);
    return 2;
  },
  async play(w, member) {
    await w.play(member);
    return 0;
  },
  async purchase(w, member) {
    const pause = () => sleep(Math.random() * 20);
    return (await w.purchase(member, 20, 1, pause)) ? -1 : 0;
  },
  async read(w, member) {
    await w.balance(member);
    await w.offer(1);
    return 0;
  },
};

interface Traffic {
  gained: Map<number, number>;
  errors: string[];
  longest: Record<string, number>;
  done: number;
  stop(): Promise<void>;
}

/**
 * Every kind of statement over and over, each in sessions of its own, until it is stopped. `own`:
 * each session has a member of its own, because the old trigger loses points of two at once.
 */
async function traffic(legacy: Legacy, sessions: string[], own = false): Promise<Traffic> {
  const members = own ? sessions.map((_, nth) => FIRST_PLAIN + nth) : MEMBERS;
  const gained = new Map(members.map((member) => [member, 0]));
  let stopped = false;
  const errors: string[] = [];
  const longest: Record<string, number> = {};
  const state = { gained, errors, longest, done: 0 };
  const loops = await Promise.all(
    sessions.map(async (name, nth) => {
      const w = legacyWriters(await legacy.connect(legacy.botUrl), legacy.layout);
      return async () => {
        for (let i = nth; !stopped; i += 1) {
          const member = members[(own ? nth : i) % members.length] as number;
          const began = performance.now();
          try {
            const points = (await OPS[name]?.(w, member)) ?? 0;
            gained.set(member, (gained.get(member) ?? 0) + points);
            state.done += 1;
          } catch (error) {
            errors.push(`${name}: ${(error as Error).message}`);
          }
          longest[name] = Math.max(longest[name] ?? 0, performance.now() - began);
          await sleep(Math.random() * THINKING_MS_MAX);
        }
      };
    }),
  );
  const running = Promise.all(loops.map((loop) => loop()));
  return Object.assign(state, {
    async stop() {
      stopped = true;
      await running;
    },
  });
}

const SESSIONS = ['earn', 'earn', 'earnUndated', 'play', 'purchase', 'purchase', 'read'];

async function deadlocks(client: pg.Client): Promise<number> {
  await client.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await client.query(
    'SELECT deadlocks::int AS n FROM pg_stat_database WHERE datname = current_database()',
  );
  return rows[0].n;
}

function assertQuiet(name: string, { errors, longest }: Traffic): void {
  assert.deepEqual(errors, [], `${name}: what the old services were told`);
  for (const [op, ms] of Object.entries(longest)) {
    assert.ok(ms < STALL_MS_MAX, `${name}: ${op} stood still for ${Math.round(ms)} ms`);
  }
}

for (const layout of LAYOUTS) {
  test(`${layout}: old purchases and our redemptions of the same members lose nothing`, async (t) => {
    const legacy = await legacyDatabase(t, layout);
    await migrateUp(legacy.url);
    const p = await openProgramme(legacy.url);
    t.after(() => p.close());
    const token = await p.admin();
    const body = { name_friendly: 'Un punto', lumis_cost: 1 };
    const { offer_id } = (await p.call('POST', '/admin/offers', { token, body })).body;
    const old = await traffic(legacy, [...SESSIONS, 'purchase']);
    const ours = new Map(MEMBERS.map((member) => [member, 0]));
    const redeemer = async (nth: number) => {
      for (let i = nth; i < nth + 16; i += 1) {
        const member = MEMBERS[i % MEMBERS.length] as number;
        const done = await p.redeem(member, offer_id);
        assert.equal(typeof done, 'object', `redeem: ${done}`);
        ours.set(member, (ours.get(member) ?? 0) - 1);
        if (i % 3 !== 0) continue;
        const path = `/rewards/redemptions/${done.redemption_id}/cancel`;
        const reply = await p.call('POST', path, { token: await p.member(member) });
        assert.equal(reply.status, 200, JSON.stringify(reply.body));
        ours.set(member, (ours.get(member) ?? 0) + 1);
      }
    };
    await Promise.all([0, 1, 2, 3].map(redeemer)).finally(old.stop);
    assertQuiet('beside our verbs', old);
    const shown = await shownAfter(legacy.client);
    for (const member of MEMBERS) {
      const due = PLAIN_POINTS + (old.gained.get(member) ?? 0) + (ours.get(member) ?? 0);
      assert.equal(shown[member], String(due), `member ${member}`);
    }
    assert.equal(await deadlocks(legacy.client), 0);
    await assertClean(legacy.url, 'after the crowd');
  });

  test(`${layout}: up and down in the middle of traffic, every point counts once`, async (t) => {
    const legacy = await legacyDatabase(t, layout, { plain: 60, receipts: 50 });
    const { client, url } = legacy;
    const idle = await shownBefore(client, layout);
    const expected = new Map(SESSIONS.map((_, nth) => [FIRST_PLAIN + nth, PLAIN_POINTS]));
    const during = async (name: string, work: () => Promise<unknown>) => {
      const old = await traffic(legacy, SESSIONS, true);
      try {
        await sleep(100);
        await work();
        await sleep(100);
      } finally {
        await old.stop();
      }
      assertQuiet(name, old);
      for (const [member, points] of old.gained) {
        expected.set(member, points + (expected.get(member) ?? 0));
      }
      return show(old);
    };
    const up = await during('while up ran', async () => {
      await migrateUp(url);
      const p = await openProgramme(url);
      const done = await p.redeem(FIRST_PLAIN, await offerOf(p, 20));
      expected.set(FIRST_PLAIN, PLAIN_POINTS - done.lumis_spent);
      await p.close();
    });
    const shown = await shownAfter(client);
    for (const [member, points] of expected) {
      assert.equal(shown[member], String(points), `${member} after up`);
    }
    await assertClean(url, 'after up in traffic');

    const down = await during('while down ran', () => migrateDown(url));
    const formula = await oldFormula(client, layout);
    const stored = await shownBefore(client, layout);
    const w = legacyWriters(await legacy.connect(legacy.botUrl), layout);
    for (const [member, points] of expected) {
      assert.equal(formula[member], String(points), `formula of ${member} after down`);
      assert.equal(stored[member], String(points), `${member} after down`);
      await w.earn(member, 1);
      assert.equal(Number(await w.balance(member)), points + 1);
    }
    for (const member of Object.keys(idle).filter((m) => !expected.has(Number(m)))) {
      assert.equal(stored[member], idle[member], `${member}, whom nobody touched`);
    }
    t.diagnostic(`stalls: up ${up}; down ${down}`);
  });
}

const show = ({ longest, done }: Traffic) =>
  `${done} statements, ${Object.entries(longest).map(([op, ms]) => `${op} ${Math.round(ms)} ms`)}`;

/** Waits until a migration waits for somebody, then as long as a deadlock needs to be noticed. */
async function whenMigrationWaits(client: pg.Client): Promise<void> {
  for (let i = 0; i < 60; i += 1) {
    const { rowCount } = await client.query(`SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'lumis%'
        AND wait_event_type = 'Lock'`);
    if (rowCount) break;
    await sleep(50);
  }
  await sleep(BEYOND_DEADLOCK_CHECK_MS);
}

/** What a slow service may do first and then, each in one transaction. */
const SLOW: Record<string, [string, string]> = {
  'a purchase': [
    'UPDATE @.fact_balance_points SET balance = balance - 5 WHERE user_id = 1001',
    `INSERT INTO @.fact_redemptions (user_id, redem_id, quantity, date, condition1)
     VALUES (1001, '1', 5, now(), 'Canjeado')`,
  ],
  'a purchase the other way round': [
    `INSERT INTO @.fact_redemptions (user_id, redem_id, quantity, date, condition1)
     VALUES (1002, '1', 5, now(), 'Canjeado')`,
    'UPDATE @.fact_balance_points SET balance = balance - 5 WHERE user_id = 1002',
  ],
  'an entry after a look': [
    'SELECT points FROM @.dim_redemptions WHERE id = 1',
    `INSERT INTO @.fact_accumulations (user_id, accum_type, dtype, quantity)
     VALUES (1003, 'survey', 'points', -5)`,
  ],
};

test('who is in the middle of something is waited for, not made to fail', async (t) => {
  const cases = LAYOUTS.flatMap((layout) =>
    Object.keys(SLOW).map((name) => [layout, name] as const),
  );
  await Promise.all(
    cases.map(async ([layout, name], i) => {
      const legacy = await legacyDatabase(t, layout);
      const member = 1001 + (i % Object.keys(SLOW).length);
      const [first, then] = SLOW[name] as [string, string];
      for (const migrate of [migrateUp, migrateDown]) {
        const what = `${layout}, ${migrate.name}, ${name}`;
        const bot = await legacy.connect(legacy.botUrl);
        await bot.query('BEGIN');
        await bot.query(legacy.sql(first));
        const migration = migrate(legacy.url);
        migration.catch(() => undefined);
        await whenMigrationWaits(legacy.client);
        const began = performance.now();
        await bot.query(legacy.sql(then)).catch((error: Error) => {
          throw new Error(`${what}: ${error.message}`, { cause: error });
        });
        await bot.query('COMMIT');
        const waited = performance.now() - began;
        assert.ok(waited < STALL_MS_MAX, `${what}: stood still for ${waited} ms`);
        await migration;
        assert.equal(await deadlocks(legacy.client), 0, what);
        if (migrate === migrateUp) {
          await assertClean(legacy.url, what);
          assert.equal((await shownAfter(legacy.client))[member], '295', what);
        } else {
          assert.equal((await oldFormula(legacy.client, layout))[member], '290', what);
        }
      }
    }),
  );
});

test('a user can be deleted as before, and what they redeemed stays', async (t) => {
  for (const key of [
    '',
    `DELETE FROM @.fact_accumulations WHERE user_id NOT BETWEEN 1001 AND 1010 OR user_id IS NULL;
     DELETE FROM @.fact_balance_points WHERE user_id NOT BETWEEN 1001 AND 1010 OR user_id IS NULL;
     DELETE FROM @.fact_redemptions;
     ALTER TABLE @.fact_accumulations
       ADD CONSTRAINT accum_user FOREIGN KEY (user_id) REFERENCES public.dim_users ON DELETE CASCADE`,
  ]) {
    const { client, url } = await legacyDatabase(t, 'public', { alter: key });
    await migrateUp(url);
    const p = await openProgramme(url);
    await p.redeem(1001, await offerOf(p, 1));
    await p.close();
    // without entries: nothing of ours may stand in the way
    await client.query('DELETE FROM public.dim_users WHERE id = 1011');
    if (key === '') await client.query('DELETE FROM public.dim_users WHERE id = 1001');
    const { rows } = await client.query('SELECT user_id FROM rewards.user_redemptions');
    assert.deepEqual(rows, [{ user_id: 1001 }]);
    await assertClean(url, 'after a user was deleted');
  }
});
