import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '../src/core/log.ts';
import { openDatabase } from '../src/db/pool.ts';
import { type DomainEvent, dispatchEvents } from '../src/events/dispatch.ts';
import { CRONTAB, JOBS, runJob } from '../src/jobs/tasks.ts';
import { inTurn } from '../src/jobs/turn.ts';
import { startWorker } from '../src/jobs/worker.ts';
import { testApp } from './support/app.ts';
import { emptyDatabase, freshDatabase } from './support/database.ts';

const sql = (text: string, values: unknown[] = []) => ({ name: '', text, values });

function depsOf(db: ReturnType<typeof openDatabase>) {
  const counted: string[] = [];
  const found: Record<string, number>[] = [];
  return {
    counted,
    found,
    deps: {
      db,
      log: createLog('silent'),
      count: (job: string, outcome: string) => counted.push(`${job} ${outcome}`),
      violations: (counts: Record<string, number>) => found.push(counts),
    },
  };
}

async function database(t: TestContext) {
  const { url, connect } = await freshDatabase(t);
  const db = openDatabase({ url, max: 4, poolTimeoutMs: 5000, onError: () => undefined });
  t.after(() => db.close());
  return { url, db, connect };
}

async function until(condition: () => Promise<boolean> | boolean, ms = 15_000): Promise<void> {
  for (const end = Date.now() + ms; !(await condition()); await sleep(50)) {
    if (Date.now() > end) throw new Error('it did not come');
  }
}

test('the worker books due redemptions and hands on what happened', async (t) => {
  const api = await testApp(t);
  const offer_id = await api.offer({ stock_quantity: 5 });
  await api.grant(1, 30);
  const token = await api.member(1);
  for (let i = 0; i < 3; i += 1) {
    const { status } = await api.call('POST', '/rewards/redemptions', {
      token,
      body: { offer_id },
    });
    assert.equal(status, 201);
  }
  await api.db.query(
    sql(`UPDATE rewards.user_redemptions SET code_expires_at = now() - interval '1 s'`),
  );
  const { deps, counted } = depsOf(api.db);
  const worker = await startWorker(api.config.databaseUrl, deps);
  try {
    await api.db.query(sql(`SELECT lumis_worker.add_job('expire')`));
    await until(() => counted.includes('expire done'));
    await until(async () => {
      const { body } = await api.call('GET', '/rewards/balance', { token });
      return body.balance === 30 && body.held === 0;
    });
    const [offer] = await api.db.query(sql('SELECT * FROM rewards.redemption_offers'));
    assert.deepEqual([offer.stock_quantity, offer.stock_held], [5, 0]);
    await until(async () => {
      const [row] = await api.db.query(
        sql(`SELECT NOT EXISTS (SELECT FROM lumis.events e, lumis.event_cursors c
             WHERE (e.xid, e.id) > (c.xid, c.id)) AS all_handed`),
      );
      return row.all_handed;
    });
  } finally {
    await worker.stop();
  }
});

test('a job runs once at a time, and again when whoever was at it has died', async (t) => {
  const { db } = await database(t);
  const { deps } = depsOf(db);
  const book = () => JOBS.expire?.(deps);
  const ended = (answer: object | undefined) => answer && !('runs_already' in answer);
  const mark = (text: string) => db.query(sql(`UPDATE lumis.job_marks SET mark = now() ${text}`));
  // far longer than a turn of so few milliseconds lasts by itself
  const long = inTurn(db, 'expire', () => sleep(1500), 300);
  await until(async () => (await db.query(sql('SELECT FROM lumis.job_marks'))).length === 1);
  for (let i = 0; i < 10; i += 1) {
    assert.deepEqual(await book(), { booked: 0, runs_already: true });
    await sleep(100);
  }
  await long;
  assert.deepEqual(await book(), { booked: 0 });
  const fails = () => Promise.reject(new Error('it failed'));
  await assert.rejects(inTurn(db, 'expire', fails), /it failed/);
  assert.ok(ended(await book()), 'a fault ends the turn');
  await mark("+ interval '1 s'");
  assert.ok(!ended(await book()), 'somebody was killed a moment ago');
  await until(async () => Boolean(ended(await book())));
  await mark("+ interval '2 hours'");
  assert.ok(ended(await book()), 'a clock went back');
  // somebody who lost the turn leaves it to who has it
  await inTurn(db, 'expire', () => mark("+ interval '20 s'"));
  assert.ok(!ended(await book()));
});

test('the queue begins again when the database was away as a job ended', async (t) => {
  const { url, db, connect } = await database(t);
  const name = new URL(url).pathname.slice(1);
  const { deps, counted } = depsOf(db);
  const worker = await startWorker(url, deps);
  t.after(() => worker.stop());
  const elsewhere = await emptyDatabase(t);
  const [holder, other] = [await connect(), await elsewhere.connect()];
  await holder.query('BEGIN; LOCK TABLE rewards.redemption_offers IN ACCESS EXCLUSIVE MODE');
  const analyze = sql(`SELECT lumis_worker.add_job('analyze')`);
  await db.query(analyze);
  const { rows } = await holder.query('SELECT pg_backend_pid() AS pid');
  const isWaiting = `SELECT FROM pg_stat_activity
    WHERE $1 = ANY (pg_blocking_pids(pid)) AND query LIKE 'ANALYZE%'`;
  await until(async () => (await other.query(isWaiting, [rows[0].pid])).rowCount === 1);
  await other.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await other.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = $1 AND pid <> ALL (ARRAY[pg_backend_pid(), $2])`,
    [name, rows[0].pid],
  );
  await until(() => counted.includes('analyze failed'));
  await sleep(200); // its end cannot be written
  await other.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
  await holder.query('COMMIT');
  await db.query(analyze);
  await until(() => counted.includes('analyze done'));
});

test('a worker that stops ends its job, and leaves nothing locked', async (t) => {
  const { url, db, connect } = await database(t);
  const { deps, counted } = depsOf(db);
  const worker = await startWorker(url, deps);
  const holder = await connect();
  await holder.query('BEGIN; LOCK TABLE rewards.redemption_offers IN ACCESS EXCLUSIVE MODE');
  await db.query(sql(`SELECT lumis_worker.add_job('analyze')`));
  const text = `SELECT FROM lumis_worker.jobs
    WHERE task_identifier = 'analyze' AND locked_at IS NOT NULL`;
  const locked = async () => (await db.query(sql(text))).length;
  await until(async () => (await locked()) === 1);
  const stopped = worker.stop();
  await holder.query('COMMIT');
  await stopped;
  assert.deepEqual([counted.includes('analyze done'), await locked()], [true, 0]);
});

test('events are handed on once, in the order of commits, and none is overtaken', async (t) => {
  const { db, connect } = await database(t);
  const [early, late] = [await connect(), await connect()];
  const insert = (n: number) => `INSERT INTO lumis.events (type, user_id) VALUES ('test', ${n})`;
  const handed: (number | null)[] = [];
  const step = (node = 'one') =>
    dispatchEvents(db, node, (event: DomainEvent) => handed.push(event.user_id));
  await early.query('BEGIN');
  await early.query(insert(1));
  await late.query(insert(2));
  await step();
  assert.deepEqual(handed, [], 'what may still be overtaken waits');
  await early.query('COMMIT');
  // transactions of other databases count as open too: they may hold both back a while
  await until(async () => {
    await Promise.all([step('one'), step('two'), step('three')]);
    return handed.length >= 2;
  });
  await step();
  assert.deepEqual(handed, [1, 2]);
});

test('a step that could not be handed on is repeated', async (t) => {
  const { db } = await database(t);
  await db.query(sql(`INSERT INTO lumis.events (type) VALUES ('kept')`));
  const fails = () =>
    dispatchEvents(db, 'one', () => {
      throw new Error('the receiver is away');
    });
  await until(() =>
    fails().then(
      () => false,
      () => true,
    ),
  );
  const handed: string[] = [];
  await dispatchEvents(db, 'one', (event) => handed.push(event.type));
  assert.deepEqual(handed, ['kept']);
});

test('the dispatcher goes on after the database was restored into a younger server', async (t) => {
  const { db } = await database(t);
  await db.query(sql(`UPDATE lumis.event_cursors SET xid = '9000000000000000000', id = 5`));
  await db.query(sql(`INSERT INTO lumis.events (type) VALUES ('after the restore')`));
  const handed: string[] = [];
  await until(async () => {
    await dispatchEvents(db, 'one', (event) => handed.push(event.type));
    return handed.length > 0;
  });
  assert.deepEqual(handed, ['after the restore']);
});

test('old audit rows, keys and counts are purged, young ones stay', async (t) => {
  const { db } = await database(t);
  await db.query(
    sql(`INSERT INTO rewards.redemption_audit_log (action, actor_type, created_at)
         SELECT 'refused', 'user', now() - make_interval(days => d)
         FROM generate_series(1, 100) d, generate_series(1, 700)`),
  );
  await db.query(
    sql(`INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint, answer, created_at)
         SELECT 'user', '1', 'k' || h, '\\x00', '{}', now() - make_interval(hours => h)
         FROM generate_series(1, 100) h`),
  );
  const { deps, counted } = depsOf(db);
  assert.deepEqual(await runJob('audit_purge', deps), { rows: 11 * 700 });
  assert.deepEqual(await runJob('keys_purge', deps), { rows: 29 });
  assert.deepEqual(await runJob('audit_purge', deps), { rows: 0 });
  assert.deepEqual(counted, ['audit_purge done', 'keys_purge done', 'audit_purge done']);
});

test('a broken invariant is counted by its name', async (t) => {
  const { db } = await database(t);
  const { deps, found } = depsOf(db);
  await runJob('check_recent', deps);
  assert.ok(Object.values(found[0] ?? {}).every((rows) => rows === 0));
  await db.query(sql('INSERT INTO lumis.balances (user_id, balance) VALUES (5, 5)'));
  await runJob('check_all', deps);
  assert.equal(Object.values(found[1] ?? {}).filter((rows) => rows === 1).length, 1);
});

test('every job has its time, and every time its job', () => {
  const timed = [...CRONTAB.matchAll(/^(?:\S+ ){5}(\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(timed.sort(), Object.keys(JOBS).sort());
});
