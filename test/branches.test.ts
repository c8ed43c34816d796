/** Branches, what a counter is told of a code used elsewhere, the command line, and down and up. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { changedBy } from '../src/core/actor.ts';
import { createLog } from '../src/core/log.ts';
import { migrateDown, migrateUp } from '../src/db/migrate.ts';
import { openDatabase } from '../src/db/pool.ts';
import { authenticateDevice } from '../src/devices/authenticate.ts';
import { createMetrics } from '../src/http/metrics.ts';
import { buildServer } from '../src/http/server.ts';
import { claim } from '../src/idempotency/claim.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { confirm } from '../src/redemptions/confirm.ts';
import { JWT_SECRET, type TestApp, testApp } from './support/app.ts';
import { exchange, makeBranch, makeCode, makeDevice, makeTill } from './support/devices.ts';
import { MIGRATION } from './support/schema.ts';

const sql = (test: TestApp, text: string, ...values: unknown[]) =>
  test.db.query({ name: '', text, values });

test('branches are added, listed in pages, changed and closed', async (t) => {
  const test = await testApp(t);
  const { merchant_id, api_key: token } = await test.merchant();
  const branch = await makeBranch(test, token, { branch_name: 'Centro' });
  assert.equal(branch.time_zone, test.config.businessTimeZone);
  for (const name of ['Norte', 'Sur', 'Este']) await makeBranch(test, token, { branch_name: name });
  const names: string[] = [];
  let cursor = '';
  do {
    const { body } = await test.call('GET', `/merchant/branches?limit=3${cursor}`, { token });
    names.push(...body.data.map((row: { branch_name: string }) => row.branch_name));
    cursor = body.next_cursor ? `&cursor=${body.next_cursor}` : '';
  } while (cursor);
  assert.deepEqual(names, ['Centro', 'Norte', 'Sur', 'Este']);

  const path = `/merchant/branches/${branch.branch_id}`;
  const zone = { time_zone: 'America/Bogota' };
  const changed = await test.call('PATCH', path, { token, body: zone });
  assert.deepEqual(changed.body, { ...branch, ...zone, updated_at: changed.body.updated_at });
  for (const _ of [1, 2]) assert.equal((await test.call('DELETE', path, { token })).status, 204);
  const open = await test.call('GET', '/merchant/branches?is_active=true', { token });
  assert.equal(open.body.data.length, 3);

  // a closed branch's name is free; opening it again then needs another one
  await makeBranch(test, token, { branch_name: 'Centro' });
  const reopened = await test.call('PATCH', path, { token, body: { is_active: true } });
  assert.deepEqual([reopened.status, reopened.body.errors[0].field], [400, 'body.branch_name']);
  const both = { is_active: true, branch_name: 'Centro 2' };
  assert.equal((await test.call('PATCH', path, { token, body: both })).status, 200);

  const admin = await test.admin();
  const same = await test.call('GET', `/admin/merchants/${merchant_id}/branches`, { token: admin });
  assert.equal(same.body.data.length, 5);
  const { body } = await test.call('GET', `/admin/changes?entity_id=${merchant_id}`, {
    token: admin,
  });
  const actions = body.data.map((row: { action: string }) => row.action);
  for (const action of ['created', 'updated', 'deactivated']) {
    assert.ok(actions.includes(`branch.${action}`), action);
  }
});

test('what a branch cannot be is said field by field', async (t) => {
  const test = await testApp(t);
  const { api_key: token } = await test.merchant();
  const { branch_id } = await makeBranch(test, token, { branch_name: 'Centro' });
  const good = { branch_name: 'Norte' };
  const wrong: [body: object, field: string][] = [
    [{}, 'body.branch_name'],
    [{ branch_name: ' \t' }, 'body.branch_name'],
    [{ branch_name: 'x'.repeat(101) }, 'body.branch_name'],
    [{ branch_name: ' Centro ' }, 'body.branch_name'],
    [{ ...good, time_zone: 'Atlantis/Center' }, 'body.time_zone'],
    [{ ...good, time_zone: '+05:00' }, 'body.time_zone'],
    [{ ...good, time_zone: "UTC'; SELECT 1" }, 'body.time_zone'],
    [{ ...good, merchant_id: branch_id }, 'body.merchant_id'],
  ];
  for (const [body, field] of wrong) {
    const reply = await test.call('POST', '/merchant/branches', { token, body });
    assert.deepEqual([reply.status, reply.body.errors?.[0].field], [400, field], field);
  }
  const pairings: [body: object, field: string][] = [
    [{ branch_id: 'x' }, 'body.branch_id'],
    [{ branch_id, scopes: [] }, 'body.scopes'],
    [{ branch_id, scopes: ['admin'] }, 'body.scopes.0'],
    [{ branch_id, scopes: ['scan', 'scan'] }, 'body.scopes'],
    [{ branch_id, device_name: '' }, 'body.device_name'],
  ];
  for (const [body, field] of pairings) {
    const reply = await test.call('POST', '/merchant/pairings', { token, body });
    assert.deepEqual([reply.status, reply.body.errors?.[0].field], [400, field], field);
  }
  const names = ['=cmd|calc', '<script>alert(1)</script>', '\u202e😀', "O'Brien; DROP TABLE x"];
  for (const name of names) {
    assert.equal((await makeBranch(test, token, { branch_name: name })).branch_name, name);
  }
});

test('a used code tells its merchant when and where; an expired one since when', async (t) => {
  const test = await testApp(t);
  const till = await makeTill(test);
  const token = till.api_key;
  const north = await makeBranch(test, token, { branch_name: 'Norte' });
  const phone = await makeDevice(test, token, north.branch_id);
  const ask = (who: string, code: { redemption_id: string; redemption_code: string }) =>
    Promise.all([
      test.call('POST', '/merchant/validate', {
        token: who,
        body: { code: code.redemption_code },
      }),
      test.call('POST', `/merchant/redemptions/${code.redemption_id}/confirm`, { token: who }),
    ]);

  const code = await makeCode(test, till.merchant_id);
  const path = `/merchant/redemptions/${code.redemption_id}/confirm`;
  const { body: done } = await test.call('POST', path, { token: phone.device_token });
  for (const { status, body } of await ask(till.device.device_token, code)) {
    assert.deepEqual([status, body.code], [409, 'already_redeemed']);
    assert.deepEqual([body.redeemed_at, body.redeemed_branch], [done.validated_at, 'Norte']);
  }
  const byKey = await makeCode(test, till.merchant_id);
  await test.call('POST', `/merchant/redemptions/${byKey.redemption_id}/confirm`, { token });
  for (const { body } of await ask(phone.device_token, byKey)) {
    assert.deepEqual([typeof body.redeemed_at, 'redeemed_branch' in body], ['string', false]);
  }
  // one without a merchant: whoever used it is told, another merchant is not
  const open = await makeCode(test, null);
  const other = await makeTill(test);
  const first = `/merchant/redemptions/${open.redemption_id}/confirm`;
  await test.call('POST', first, { token: phone.device_token });
  for (const { body } of await ask(other.device.device_token, open)) {
    assert.deepEqual([body.code, body.redeemed_at], ['already_redeemed', undefined]);
    assert.equal(body.redeemed_branch, undefined);
  }
  for (const { body } of await ask(token, open)) assert.equal(body.redeemed_branch, 'Norte');

  const late = await makeCode(test, till.merchant_id);
  const [{ expired_at }] = await sql(
    test,
    `UPDATE rewards.user_redemptions SET code_expires_at = now() - interval '3 minutes'
     WHERE redemption_id = $1 RETURNING code_expires_at AS expired_at`,
    late.redemption_id,
  );
  for (const round of ['due', 'booked']) {
    for (const { status, body } of await ask(phone.device_token, late)) {
      assert.deepEqual([status, body.code, body.expired_at], [409, 'expired', expired_at], round);
    }
  }
  const [foreign] = await ask(other.device.device_token, late);
  assert.deepEqual([foreign.status, foreign.body.expired_at], [404, undefined]);
});

test('of two phones in one batch the later is told where the first one is', async (t) => {
  const test = await testApp(t);
  const till = await makeTill(test);
  const { branch_id } = await makeBranch(test, till.api_key, { branch_name: 'Norte' });
  const phone = await makeDevice(test, till.api_key, branch_id);
  const { redemption_id } = await makeCode(test, till.merchant_id);
  const rows = await Promise.all(
    [phone, till.device].map(async ({ device_token }, i) => {
      const { device, credential } = await authenticateDevice(test.db, device_token);
      const actor = { type: 'merchant' as const, id: device.merchant_id };
      const details = { device_id: device.device_id, branch_id: device.branch_id };
      const caller = { actor, ip: null, agent: null, request_id: 'test', details };
      const key = claim(actor, `batch ${i}`, 'confirm', { redemption_id });
      return { ...key, ...credential, redemption_id, changed_by: changedBy(caller) };
    }),
  );
  const [won, lost] = await confirm(test.db, rows);
  assert.equal(won?.done?.redemption_status, 'confirmed');
  const told = { redeemed_at: won?.done?.validated_at, redeemed_branch: 'Norte' };
  assert.deepEqual([lost?.refused, lost?.data], ['already_redeemed', told]);
});

test('down and up again: devices, their tokens and open pairings work on', async (t) => {
  const test = await testApp(t);
  const till = await makeTill(test, 'reverse');
  const ended = await makeDevice(test, till.api_key, till.branch.branch_id);
  const at = `/merchant/devices/${ended.device_id}`;
  await test.call('DELETE', at, { token: till.api_key });
  const { body: pairing } = await test.call('POST', '/merchant/pairings', {
    token: till.api_key,
    body: { branch_id: till.branch.branch_id },
  });
  const status = async (token: string) =>
    (await test.call('GET', '/merchant/device', { token })).status;
  for (const to of [MIGRATION, undefined]) {
    await migrateDown(test.config.databaseUrl, to);
    assert.ok((await status(till.device.device_token)) >= 500);
    await migrateUp(test.config.databaseUrl);
    assert.equal(await status(till.device.device_token), 200);
    assert.equal(await status(ended.device_token), 401);
  }
  const { redemption_id } = await makeCode(test, till.merchant_id);
  const path = `/merchant/redemptions/${redemption_id}/confirm`;
  const confirmed = await test.call('POST', path, { token: till.device.device_token });
  assert.equal(confirmed.status, 200);
  assert.equal((await exchange(test, pairing.pairing_code)).status, 201);
});

async function lumis(url: string, ...args: string[]) {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'bin/lumis.js'), 'device', ...args], {
    env: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: url,
      JWT_SECRET,
      LUMIS_DATA: '/nonexistent',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [[code], out, err] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, out, err };
}

test('the command pairs, lists and revokes', async (t) => {
  const test = await testApp(t);
  const run = (...args: string[]) => lumis(test.config.databaseUrl, ...args);
  const { merchant_id } = await test.merchant('Kiosco');
  const first = await run('pair', '--merchant', 'Kiosco', '--name', 'Caja 1', '--json');
  assert.equal(first.code, 0, first.err);
  const pairing = JSON.parse(first.out);
  assert.deepEqual([pairing.branch_name, pairing.merchant_name], ['Principal', 'Kiosco']);
  const { body: device } = await exchange(test, pairing.pairing_code);
  assert.deepEqual([device.device_name, device.scopes], ['Caja 1', ['scan']]);

  // the only branch there is; another one by name; then a name is needed
  const shown = await run('pair', '--merchant', merchant_id);
  assert.equal(shown.code, 0, shown.err);
  assert.match(
    shown.out,
    /^merchant {2}Kiosco\nbranch {4}Principal\nopen .*\/scan\/#pair=lmp_\w{38}\nuntil/,
  );
  assert.match((await run('pair', '--merchant', 'Kiosco', '--branch', 'Sur')).out, /Sur {2}\(new/);
  const north = ['--branch', 'Norte', '--reverse'];
  const second = await run('pair', '--merchant', merchant_id, ...north, '--json');
  const { body: chief } = await exchange(test, JSON.parse(second.out).pairing_code);
  assert.deepEqual([chief.branch_name, chief.scopes], ['Norte', ['scan', 'reverse']]);
  const unclear = await run('pair', '--merchant', 'Kiosco');
  assert.deepEqual([unclear.code, /Norte/.test(unclear.err)], [64, true], unclear.err);
  assert.equal((await run('pair', '--merchant', 'Nobody')).code, 64);
  assert.equal((await run('pair', '--merchant', 'Kiosco', '--branch', ' ')).code, 64);

  const revoked = await run('revoke', device.device_id, '--merchant', 'Kiosco');
  assert.equal(revoked.code, 0, revoked.err);
  const absent = await run('revoke', 'absent', '--merchant', 'Kiosco');
  assert.deepEqual([absent.code, /no device absent/.test(absent.err)], [64, true], absent.err);
  const { out } = await run('list', '--merchant', 'Kiosco', '--json');
  const listed = JSON.parse(out).map((row: { device_id: string; revoked_at: string | null }) => [
    row.device_id,
    row.revoked_at !== null,
  ]);
  assert.deepEqual(listed, [
    [chief.device_id, false],
    [device.device_id, true],
  ]);
  const { out: table } = await run('list', '--merchant', 'Kiosco');
  assert.match(table, /^device_id .*\n.*Norte/);
});

/** The statements that the operations guide gives for the runtime role, for another name. */
function documentedGrants(role: string): string {
  const guide = readFileSync(join(PROJECT_ROOT, 'docs/operations.md'), 'utf8');
  const [, block = ''] =
    /```sql\n-- as lumis_owner in database lumis, after the migration\n(.*?)```/s.exec(guide) ?? [];
  assert.match(block, /lumis\.devices/);
  return block.replaceAll('lumis_app', role);
}

test('the documented rights of the runtime role suffice for phones', async (t) => {
  const test = await testApp(t);
  const { pathname } = new URL(test.config.databaseUrl);
  const role = `${pathname.slice(1)}_app`;
  for (const statement of [
    `CREATE ROLE ${role} LOGIN PASSWORD 'app'`,
    ...documentedGrants(role).split(/;\n/),
  ]) {
    if (statement.trim() !== '') await sql(test, statement);
  }
  const url = new URL(test.config.databaseUrl);
  url.username = role;
  url.password = 'app';
  const db = openDatabase({ url: url.href, max: 4, poolTimeoutMs: 5000, onError: () => undefined });
  const options = { db, log: createLog('silent'), metrics: createMetrics(db), version: 'test' };
  const app = await buildServer({ ...options, config: test.config, demo: false });
  const call: TestApp['call'] = async (method, path, { token, body } = {}) => {
    const headers = {
      'idempotency-key': randomUUID(),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    };
    const payload = body ? { payload: body as object } : {};
    const reply = await app.inject({ method, url: `/api/v1${path}`, headers, ...payload });
    const told = reply.body === '' ? '' : reply.json();
    return { status: reply.statusCode, body: told, headers: reply.headers };
  };
  const poor: TestApp = { ...test, call };
  const till = await makeTill(poor, 'reverse');
  const { redemption_id, redemption_code } = await makeCode(poor, till.merchant_id);
  const token = till.device.device_token;
  const at = `/merchant/redemptions/${redemption_id}`;
  const path = `/merchant/devices/${till.device.device_id}`;
  const asked: [method: 'POST' | 'PATCH' | 'DELETE', path: string, who: string, body: object][] = [
    ['POST', '/merchant/validate', token, { code: redemption_code }],
    ['POST', `${at}/confirm`, token, {}],
    ['POST', `${at}/reverse`, token, { reason: 'Se enfrió' }],
    ['PATCH', path, till.api_key, { device_name: 'Terraza' }],
    ['POST', `${path}/roll`, till.api_key, {}],
    ['DELETE', path, till.api_key, {}],
    ['DELETE', `/merchant/branches/${till.branch.branch_id}`, till.api_key, {}],
  ];
  for (const [method, url, who, body] of asked) {
    const given = method === 'DELETE' ? {} : { body };
    const { status, body: told } = await poor.call(method, url, { token: who, ...given });
    assert.ok(status < 300, `${method} ${url}: ${JSON.stringify(told)}`);
  }
  await app.close();
  await db.close();
  await sql(test, `DROP OWNED BY ${role}`);
  await sql(test, `DROP ROLE ${role}`);
});
