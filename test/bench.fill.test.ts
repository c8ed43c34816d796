/** The generator of the benchmarks: what it writes is what the engine would have written. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as bench from '../bench/fill.ts';
import { changedBy, systemCaller } from '../src/core/actor.ts';
import { openDatabase } from '../src/db/pool.ts';
import { authenticateDevice } from '../src/devices/authenticate.ts';
import { dispatchEvents } from '../src/events/dispatch.ts';
import { claim } from '../src/idempotency/claim.ts';
import { checkInvariants } from '../src/invariants/check.ts';
import { balanceOf } from '../src/ledger/balance.ts';
import { authenticateKey, findKeys } from '../src/merchants/authenticate.ts';
import { createProver } from '../src/merchants/proof.ts';
import { confirm } from '../src/redemptions/confirm.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { emptyDatabase, freshDatabase } from './support/database.ts';
import { schemaOf } from './support/schema.ts';

const SIZE: bench.Size = {
  offers: 300,
  merchants: 30,
  members: 500,
  redemptions: 6000,
  pending: 1500,
  keys: 200,
};
const silent = () => undefined;

test('a filled database is whole, and the engine goes on in it', async (t) => {
  const database = await freshDatabase(t);
  const client = await database.connect();
  const before = await schemaOf(client);
  const told: string[] = [];
  assert.ok((await bench.fill(database.url, SIZE, (text) => told.push(text))) > 0);
  assert.match(told.join('\n'), /redemptions: 6,000 of 6,000, [\d,]+ a second/);
  const after = (await schemaOf(client)).filter((line) => !/\bbench\b/.test(line));
  assert.deepEqual(after, before);

  const db = openDatabase({ url: database.url, max: 2, poolTimeoutMs: 30_000, onError: silent });
  t.after(() => db.close());
  assert.deepEqual(await checkInvariants(db, {}), []);
  assert.deepEqual((await dispatchEvents(db, 'test', () => assert.fail())).handed, 0);

  await t.test('rows are called what names.ts says', async () => {
    const { rows } = await client.query(
      `SELECT redemption_id, user_id, offer_id, merchant_id, redemption_code, landing_token,
         redemption_status, code_expires_at > now() AS open
       FROM rewards.user_redemptions ORDER BY redemption_id`,
    );
    assert.equal(rows.length, SIZE.redemptions);
    rows.forEach((row, i) => {
      const n = i + 1;
      assert.deepEqual(row, {
        redemption_id: bench.redemptionId(n),
        user_id: bench.memberOf(n, SIZE),
        offer_id: bench.offerId(bench.offerOf(n, SIZE)),
        merchant_id: bench.merchantId(bench.merchantOf(n, SIZE)),
        redemption_code: bench.redemptionCode(n),
        landing_token: bench.landingToken(n),
        redemption_status: n <= SIZE.pending ? 'pending' : row.redemption_status,
        open: n <= SIZE.pending || row.open,
      });
    });
    const counts = await client.query(
      `SELECT redemption_status AS status, count(*)::integer AS rows
       FROM rewards.user_redemptions GROUP BY 1 ORDER BY 1`,
    );
    const share = Object.fromEntries(counts.rows.map(({ status, rows: n }) => [status, n / 4500]));
    for (const [status, expected] of [
      ['confirmed', 0.7],
      ['cancelled', 0.15],
      ['expired', 0.15],
      ['pending', 1 / 3],
    ] as const) {
      assert.ok(Math.abs((share[status] ?? 0) - expected) < 0.03, `${status} ${share[status]}`);
    }
  });

  await t.test('keys and devices open, codes are issued and confirmed', async () => {
    const keyOf = async (id: string) => (await findKeys(db, [id]))[0];
    const proof = { keyOf, prover: createProver(), beforeHashing: async () => undefined };
    const by = await authenticateKey(proof, bench.merchantKey(2));
    assert.equal(by.merchant_id, bench.merchantId(2));
    const { credential } = await authenticateDevice(db, bench.deviceKey(2));
    assert.equal(credential.merchant_id, bench.merchantId(2));
    assert.ok((await balanceOf(db, 1)).balance >= 1_000_000);

    const caller = systemCaller('test');
    const common = (key: string) => ({
      ...claim(caller.actor, key, 'test', {}),
      changed_by: changedBy(caller),
    });
    const issuing = { ttl_minutes: 60, public_url: 'https://lumis.example.com' };
    const offers = Array.from({ length: SIZE.offers }, (_, i) => i + 1);
    const wishes = offers.map((n) => ({
      ...common(`wish ${n}`),
      user_id: n,
      offer_id: bench.offerId(n),
    }));
    const answers = await redeem(db, issuing, wishes);
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.done !== undefined, bench.isOpen(i + 1), JSON.stringify(answer));
    }
    const pending = offers.filter((n) => bench.merchantOf(n, SIZE) === 2);
    const confirmed = await confirm(
      db,
      pending.map((n) => ({ ...common(`${n}`), ...by, redemption_id: bench.redemptionId(n) })),
    );
    assert.ok(pending.length > 0 && confirmed.every((answer) => answer.done));
  });

  assert.deepEqual(await checkInvariants(db, {}), []);
  await assert.rejects(bench.fill(database.url, SIZE, silent), /is filled already; drop it/);
});

test('a database that is not its to fill is left alone', async (t) => {
  const distant = 'postgres://postgres@db.example.com/lumis';
  await assert.rejects(bench.fill(distant, SIZE, silent), /must name a server on this machine/);
  const empty = await emptyDatabase(t);
  await assert.rejects(bench.fill(empty.url, SIZE, silent), /is not migrated; run lumis migrate/);

  const database = await freshDatabase(t);
  const client = await database.connect();
  const weak = new URL(database.url);
  weak.searchParams.set('options', '-c role=pg_read_all_data');
  await assert.rejects(bench.fill(weak.href, SIZE, silent), /is not opened as a superuser/);
  await client.query(`INSERT INTO rewards.merchants (merchant_name) VALUES ('somebody')`);
  await assert.rejects(bench.fill(database.url, SIZE, silent), /rows in rewards.merchants/);
  const { rows } = await client.query(`SELECT to_regnamespace('bench') AS schema`);
  assert.equal(rows[0].schema, null);
});

test('a fill that was interrupted says what to do, and the next one too', async (t) => {
  const database = await freshDatabase(t);
  const client = await database.connect();
  const cut = () => {
    client
      .query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'lumis_fill'`,
      )
      .catch(assert.fail);
  };
  const broken = new RegExp(`half filled.*DROP DATABASE "${database.name}"`);
  await assert.rejects(bench.fill(database.url, SIZE, cut), broken);
  await assert.rejects(bench.fill(database.url, SIZE, silent), broken);
});
