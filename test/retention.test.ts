/**
 * What is kept for a time only, and codes whose time is over: a run takes all that is due and
 * nothing else, in small bites, at the same cost for the last of them as for the first, and nobody
 * waits for it.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type pg from 'pg';
import { purgeAudit } from '../src/audit/purge.ts';
import { type Database, openDatabase } from '../src/db/pool.ts';
import type { Statement } from '../src/db/statement.ts';
import { purgeEvents } from '../src/events/purge.ts';
import { purgeKeys } from '../src/idempotency/purge.ts';
import { checkInvariants } from '../src/invariants/check.ts';
import { expireOldRedemptions } from '../src/redemptions/expire.ts';
import { issueCodes } from './support/codes.ts';
import { freshDatabase } from './support/database.ts';

const DUE = 40_000;
const YOUNG = 10_000;
const BITE = 5000;

interface Kept {
  run: (db: Database, signal?: AbortSignal) => Promise<number>;
  table: string;
  index: string;
  /** SQL that inserts rows 1..$1 that are `age` old */
  rows: (age: string) => string;
  /** how old a row is that is just due, and one that is just not */
  due: string;
  young: string;
  /** what an ordinary request does to the table meanwhile */
  traffic: string;
}

const KEPT: Record<string, Kept> = {
  'audit rows': {
    run: purgeAudit,
    table: 'rewards.redemption_audit_log',
    index: 'idx_audit_created',
    rows: (age) => `INSERT INTO rewards.redemption_audit_log (action, actor_type, created_at)
      SELECT 'refused', 'user', clock_timestamp() - interval '${age}' FROM generate_series(1, $1)`,
    due: '90 days 1 minute',
    young: '89 days 23 hours',
    traffic: `INSERT INTO rewards.redemption_audit_log (action, actor_type)
      VALUES ('refused', 'traffic')`,
  },
  events: {
    run: purgeEvents,
    table: 'lumis.events',
    index: 'events_pkey',
    rows: (age) => `INSERT INTO lumis.events (type, created_at)
      SELECT 'test', clock_timestamp() - interval '${age}' FROM generate_series(1, $1)`,
    due: '90 days 1 minute',
    young: '89 days 23 hours',
    traffic: `INSERT INTO lumis.events (type) VALUES ('traffic')`,
  },
  'idempotency keys': {
    run: purgeKeys,
    table: 'lumis.idempotency_keys',
    index: 'idempotency_keys_created',
    rows: (age) => `INSERT INTO lumis.idempotency_keys
        (actor_type, actor_id, key, fingerprint, answer, created_at)
      SELECT 'user', n, gen_random_uuid(), '\\x00', '{}', clock_timestamp() - interval '${age}'
      FROM generate_series(1, $1) n`,
    due: '72 hours 1 minute',
    young: '71 hours',
    traffic: `INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint)
      VALUES ('traffic', '1', gen_random_uuid(), '\\x00')`,
  },
};

const sql = (text: string, ...values: unknown[]) => ({ name: '', text, values });

async function open(t: TestContext) {
  const { url, connect } = await freshDatabase(t);
  const db = openDatabase({ url, max: 6, poolTimeoutMs: 5000, onError: () => undefined });
  t.after(() => db.close());
  return { db, connect };
}

/** Rows that are due, then rows that are not, and everything told to the readers of events. */
async function fill(db: Database, kept: Kept): Promise<void> {
  await db.query(sql(kept.rows(kept.due), DUE));
  await db.query(sql(kept.rows(kept.young), YOUNG));
  await db.query(
    sql(`UPDATE lumis.event_cursors SET (xid, id) = (SELECT xid, id FROM lumis.events
         UNION ALL SELECT '0', 0 ORDER BY 1 DESC, 2 DESC LIMIT 1)`),
  );
  await db.query(sql(`ANALYZE ${kept.table}`));
}

async function count(db: Database, table: string): Promise<number> {
  const [row] = await db.query(sql(`SELECT count(*) AS n FROM ${table}`));
  return row.n;
}

/** The same database; `see` gets each statement before it is run by itself. */
function watched(db: Database, see: (statement: Statement) => Promise<void> | void): Database {
  return {
    ...db,
    async query(statement) {
      await see(statement);
      return db.query(statement);
    },
  };
}

/** What a statement reads, in pages, and by which index; it is undone. */
async function explain(client: pg.Client, { text, values }: Statement) {
  await client.query('BEGIN');
  const asked = `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`;
  const { rows } = await client.query(asked, values);
  await client.query('ROLLBACK');
  const { Plan: plan } = rows[0]['QUERY PLAN'][0];
  const pages: number = plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
  return { pages, plan: JSON.stringify(plan) };
}

for (const [name, kept] of Object.entries(KEPT)) {
  test(`${name}: all that are due and no others, each bite by its index and as cheap`, async (t) => {
    const { db, connect } = await open(t);
    await fill(db, kept);
    const client = await connect();
    // somebody looks on for long: nothing that is purged can be cleaned up meanwhile
    const onlooker = await connect();
    await onlooker.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM ${kept.table} LIMIT 1`,
    );
    const bites: Awaited<ReturnType<typeof explain>>[] = [];
    const seen = watched(db, async (statement) => {
      bites.push(await explain(client, statement));
    });
    assert.equal(await kept.run(seen), DUE);
    assert.equal(await count(db, kept.table), YOUNG);
    assert.equal(await kept.run(db), 0);

    const full = bites.slice(0, DUE / BITE);
    assert.ok(bites.length >= full.length && bites.length <= full.length + 2, `${bites.length}`);
    for (const { plan } of bites) {
      assert.match(plan, new RegExp(`"Index Name":"${kept.index}"`));
      assert.doesNotMatch(plan, /Seq Scan/);
    }
    const pages = full.map((bite) => bite.pages);
    t.diagnostic(`pages: ${pages.join(', ')}`);
    const [first = 0, last = 0] = [pages[0], pages.at(-1)];
    assert.ok(last < first * 1.3, `the last bite read ${last} pages, the first one ${first}`);
  });

  test(`${name}: nobody waits while a bite is under way`, async (t) => {
    const { db, connect } = await open(t);
    await fill(db, kept);
    const purging = await connect();
    await purging.query('BEGIN');
    const stop = new Error('as far as this');
    const held = watched(db, async ({ text, values }) => {
      await purging.query(text, values); // and not committed
      throw stop;
    });
    await assert.rejects(kept.run(held), stop);

    const { rows } = await purging.query(`SELECT DISTINCT mode FROM pg_locks
      WHERE pid = pg_backend_pid() AND locktype = 'relation' ORDER BY 1`);
    const rowLocks = ['AccessShareLock', 'RowExclusiveLock', 'RowShareLock'];
    for (const { mode } of rows) assert.ok(rowLocks.includes(mode), mode);
    const traffic = await connect();
    await traffic.query(`SET lock_timeout = '50ms'`);
    await traffic.query(kept.traffic);
    const { rows: read } = await traffic.query(`SELECT count(*)::integer AS n FROM ${kept.table}`);
    assert.equal(read[0].n, DUE + YOUNG + 1);
    await purging.query('ROLLBACK');
  });

  test(`${name}: stopped by its signal, taken up again, and by two at once`, async (t) => {
    const { db } = await open(t);
    await fill(db, kept);
    const stopper = new AbortController();
    const stopped = await kept.run(
      watched(db, () => stopper.abort()),
      stopper.signal,
    );
    assert.equal(stopped, BITE, 'what was begun is finished');
    assert.equal(await kept.run(db, stopper.signal), 0, 'stopped before it began');

    const both = await Promise.all([kept.run(db), kept.run(db)]);
    t.diagnostic(`${both.join(' and ')}`);
    assert.equal(both[0] + both[1], DUE - BITE);
    assert.equal(await count(db, kept.table), YOUNG);
    const text = 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()';
    assert.deepEqual(await db.query(sql(text)), [{ deadlocks: 0 }]);
  });
}

test('an event that was not handed on stays, however old', async (t) => {
  const { db } = await open(t);
  const events = KEPT.events as Kept;
  await db.query(sql(events.rows('1 year'), 3));
  assert.equal(await purgeEvents(db), 0);
  await fill(db, events);
  await db.query(sql(events.rows('1 year'), 3));
  assert.equal(await purgeEvents(db), DUE + 3);
  assert.equal(await count(db, 'lumis.events'), YOUNG + 3);
});

test('a key that somebody holds waits for the next run', async (t) => {
  const { db, connect } = await open(t);
  const keys = KEPT['idempotency keys'] as Kept;
  await db.query(sql(keys.rows(keys.due), 3));
  const holder = await connect();
  await holder.query(`BEGIN; SELECT FROM lumis.idempotency_keys WHERE actor_id = '2' FOR UPDATE`);
  assert.equal(await purgeKeys(db), 2);
  await holder.query('COMMIT');
  assert.equal(await purgeKeys(db), 1);
});

async function statuses(db: Database): Promise<Record<string, number>> {
  const rows = await db.query(
    sql(`SELECT redemption_status AS status, count(*) AS n FROM rewards.user_redemptions
         GROUP BY 1`),
  );
  return Object.fromEntries(rows.map(({ status, n }) => [status, n]));
}

test('due codes: all and no others, in small transactions, by two at once', async (t) => {
  const { db, connect } = await open(t);
  await issueCodes(db, 6000, 4000, 20);
  // somebody acts on one of them: it is his to book
  const cashier = await connect();
  await cashier.query(`BEGIN; SELECT FROM rewards.user_redemptions
    WHERE redemption_code = 'TEST-1' FOR NO KEY UPDATE`);
  const booked = await Promise.all([expireOldRedemptions(db), expireOldRedemptions(db)]);
  assert.equal(booked[0] + booked[1], 3999);
  await cashier.query('COMMIT');
  assert.equal(await expireOldRedemptions(db), 1);
  assert.deepEqual(await statuses(db), { pending: 2000, expired: 4000 });
  const [most] = await db.query(
    sql(`SELECT max(n) AS rows FROM (SELECT count(*) AS n FROM lumis.events
         WHERE type = 'redemption.expired' GROUP BY xid) bites`),
  );
  assert.ok(most.rows <= 500, `${most.rows} in one transaction`);
  assert.deepEqual(await checkInvariants(db, {}), []);
});

test('due codes: stopped by the signal between two transactions', async (t) => {
  const { db } = await open(t);
  await issueCodes(db, 3000, 3000, 5);
  const stopper = new AbortController();
  let transactions = 0;
  const booked = await expireOldRedemptions(
    {
      ...db,
      async transaction(steps) {
        transactions += 1;
        if (transactions === 2) stopper.abort();
        return db.transaction(steps);
      },
    },
    stopper.signal,
  );
  assert.equal(transactions, 2);
  assert.deepEqual(await statuses(db), { pending: 3000 - booked, expired: booked });
  assert.equal(await expireOldRedemptions(db), 3000 - booked);
  assert.deepEqual(await checkInvariants(db, {}), []);
});

test('many codes that are not due cost the search for due ones nothing', async (t) => {
  const { db, connect } = await open(t);
  await issueCodes(db, 20_000, 10, 5);
  const client = await connect();
  const looks: Awaited<ReturnType<typeof explain>>[] = [];
  const seen = watched(db, async (statement) => {
    looks.push(await explain(client, statement));
  });
  assert.equal(await expireOldRedemptions(seen), 10);
  assert.match(looks[0]?.plan ?? '', /"Index Name":"idx_redemptions_status"/);
  assert.ok((looks[0]?.pages ?? 1000) < 40, `${looks[0]?.pages} pages`);
});
