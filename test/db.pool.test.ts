import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Database, openDatabase } from '../src/db/pool.ts';
import { isConnectionLost } from '../src/db/sqlstate.ts';
import { expireOldRedemptions } from '../src/redemptions/expire.ts';
import { freshDatabase } from './support/database.ts';

const sql = (text: string, values: unknown[] = []) => ({ name: '', text, values });

async function open(t: TestContext) {
  const { url, name, connect } = await freshDatabase(t);
  const nodes: Database[] = [];
  t.after(() => Promise.all(nodes.map((node) => node.close())));
  const node = () => {
    const db = openDatabase({ url, max: 3, poolTimeoutMs: 5000, onError: () => undefined });
    nodes.push(db);
    return db;
  };
  return { url, name, client: await connect(), node };
}

test('a warning at the commit is in doubt, one before it is not', async (t) => {
  const { client, node } = await open(t);
  await client.query(`
    CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE WARNING 'not replicated'; RETURN NULL; END $$;
    CREATE TABLE early (id integer); CREATE TABLE late (id integer);
    CREATE TRIGGER t AFTER INSERT ON early FOR EACH ROW EXECUTE FUNCTION warn();
    CREATE CONSTRAINT TRIGGER t AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION warn()`);
  const db = node();
  for (let i = 0; i < 20; i += 1) {
    await db.transaction([sql('INSERT INTO early VALUES (1)'), sql('SELECT 1')]);
    await assert.rejects(db.transaction([sql('INSERT INTO late VALUES (1)')]), {
      code: 'overloaded',
    });
    // without BEGIN, and on one connection: everybody hears its own
    const lane = db.lane();
    const whole = (text: string) => lane.transaction([{ ...sql(text), name: text, isWhole: true }]);
    const told = await Promise.allSettled([
      whole('INSERT INTO early VALUES (1)'),
      whole('INSERT INTO late VALUES (1)'),
      whole('INSERT INTO early VALUES (1)'),
      lane.transaction([sql('INSERT INTO late VALUES (1)')]),
      whole('INSERT INTO early VALUES (1)'),
    ]);
    assert.deepEqual(
      told.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
  }
});

test('a connection that is cut off without a word is given up, and replaced', async (t) => {
  const { url } = await freshDatabase(t);
  const server = new URL(url);
  const ways = new Set<Socket>();
  let isCut = false;
  const way = createServer((socket) => {
    const there = connect(Number(server.port), server.hostname);
    for (const end of [socket, there]) ways.add(end.on('error', () => undefined));
    socket.on('data', (bytes) => isCut || there.write(bytes));
    there.on('data', (bytes) => isCut || socket.write(bytes));
  });
  await once(way.listen(0, '127.0.0.1'), 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((way.address() as AddressInfo).port);
  const db = openDatabase({
    ...{ url: through.href, max: 1, poolTimeoutMs: 5000, answerTimeoutMs: 300 },
    onError: () => undefined,
  });
  t.after(async () => {
    await db.close();
    for (const socket of ways) socket.destroy();
    way.close();
  });
  assert.deepEqual(await db.query(sql('SELECT 1 AS one')), [{ one: 1 }]);
  isCut = true;
  await assert.rejects(db.query(sql('SELECT 1')), { code: 'overloaded' });
  isCut = false;
  assert.deepEqual(await db.query(sql('SELECT 2 AS two')), [{ two: 2 }]);
});

test('times are right whatever DateStyle and zone the database has', async (t) => {
  const { client, name, node } = await open(t);
  await client.query(`ALTER DATABASE ${name} SET datestyle = 'SQL, DMY'`);
  await client.query(`ALTER DATABASE ${name} SET timezone = 'Asia/Kolkata'`);
  const at = sql(`SELECT '2026-03-01T15:00:00.123456Z'::timestamptz AS at`);
  const db = node();
  const alone = await db.query(at);
  const [together] = await db.transaction([at]);
  assert.equal(alone[0].at, '2026-03-01T15:00:00.123456Z');
  assert.equal(together?.[0].at, '2026-03-01T15:00:00.123456Z');
});

test('an error in the middle undoes all, and the connection goes on', async (t) => {
  const { node } = await open(t);
  const db = node();
  const grant = sql('INSERT INTO public.fact_accumulations (user_id, quantity) VALUES (1, 5)');
  const broken = { name: 'test.broken', text: 'SELECT 1 / $1::integer AS n', values: [0] };
  for (let i = 0; i < 3; i += 1) {
    await assert.rejects(db.transaction([grant, broken, grant]), { code: 'invalid_request' });
  }
  const [rows] = await db.transaction([{ ...broken, values: [1] }]);
  assert.equal(rows?.[0].n, 1);
  assert.deepEqual(await db.query(sql('SELECT FROM lumis.balances')), []);
});

test('what the driver says without the server means that the connection is lost', () => {
  for (const code of ['EPIPE', 'ECONNRESET', undefined]) {
    assert.equal(isConnectionLost(Object.assign(new Error('gone'), { code })), true);
  }
});

test('a redemption that somebody made impossible does not keep the others waiting', async (t) => {
  const { client, node } = await open(t);
  await client.query(`
    INSERT INTO rewards.redemption_offers (name_friendly, lumis_cost, stock_held) VALUES ('x', 1, 3);
    INSERT INTO public.fact_accumulations (user_id, quantity) VALUES (1, 10);
    INSERT INTO rewards.user_redemptions
      (user_id, offer_id, lumis_spent, redemption_code, code_expires_at)
      SELECT 1, offer_id, 1, 'TEST-' || n, now() - n * interval '1 minute'
      FROM rewards.redemption_offers, generate_series(1, 3) n;
    INSERT INTO public.fact_accumulations (user_id, quantity, redemption_id, kind)
      SELECT 1, -1, redemption_id, 'spend' FROM rewards.user_redemptions;
    INSERT INTO public.fact_accumulations (user_id, quantity, redemption_id, kind)
      SELECT 1, 1, redemption_id, 'refund' FROM rewards.user_redemptions
      WHERE redemption_code = 'TEST-3'`);
  assert.equal(await expireOldRedemptions(node()), 2);
  const { rows } = await client.query(
    `SELECT redemption_code FROM rewards.user_redemptions WHERE redemption_status = 'pending'`,
  );
  assert.deepEqual(rows, [{ redemption_code: 'TEST-3' }]);
});

test('our trigger functions cannot be borrowed for a table of one’s own', async (t) => {
  const { client, name } = await open(t);
  const role = `${name}_reader`;
  await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA lumis, rewards TO ${role}`);
  try {
    await client.query(`SET ROLE ${role}`);
    await client.query(
      'CREATE TEMP TABLE t (user_id int, quantity numeric, dtype text, kind text)',
    );
    for (const [referencing, each, borrowed] of [
      ['REFERENCING NEW TABLE AS entries', 'STATEMENT', 'lumis.apply_ledger_entries'],
      ['', 'ROW', 'rewards.audit_redemption_change'],
      ['REFERENCING NEW TABLE AS changed', 'STATEMENT', 'rewards.update_merchant_stats'],
    ]) {
      const trigger = `CREATE TRIGGER b AFTER INSERT ON t ${referencing}
        FOR EACH ${each} EXECUTE FUNCTION ${borrowed}()`;
      await assert.rejects(client.query(trigger), /permission denied for function/);
    }
  } finally {
    await client.query(
      `RESET ROLE; DROP TABLE IF EXISTS t; DROP OWNED BY ${role}; DROP ROLE ${role}`,
    );
  }
});
