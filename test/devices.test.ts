/** Phones at the counter: how they are paired, what they may do, and how that ends. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { readConfig } from '../src/config.ts';
import { systemCaller } from '../src/core/actor.ts';
import { Failure } from '../src/core/failure.ts';
import { createLog } from '../src/core/log.ts';
import { openDatabase } from '../src/db/pool.ts';
import { authenticateDevice } from '../src/devices/authenticate.ts';
import { pairDevice } from '../src/devices/pair.ts';
import { createPairing } from '../src/devices/pairings.ts';
import { createMetrics } from '../src/http/metrics.ts';
import { buildServer } from '../src/http/server.ts';
import { JWT_SECRET, type TestApp, testApp } from './support/app.ts';
import {
  exchange,
  makeBranch,
  makeCode,
  makeDevice,
  makePairing,
  makeTill,
} from './support/devices.ts';

const sql = (test: TestApp, text: string, ...values: unknown[]) =>
  test.db.query({ name: '', text, values });

async function own(test: TestApp, token: string): Promise<number> {
  return (await test.call('GET', '/merchant/device', { token })).status;
}

/** A second node on the same database, with caches of its own. */
async function secondNode(t: TestContext, test: TestApp) {
  const { databaseUrl: url } = test.config;
  const db = openDatabase({ url, max: 4, poolTimeoutMs: 5000, onError: () => undefined });
  const metrics = createMetrics(db);
  const log = createLog('silent');
  const { config } = test;
  const app = await buildServer({ config, db, log, metrics, version: 'test', demo: false });
  t.after(async () => {
    await app.close();
    await db.close();
  });
  return async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    return (await app.inject({ url: '/api/v1/merchant/device', headers })).statusCode;
  };
}

test('a phone is paired by a code, knows itself, validates and confirms', async (t) => {
  const test = await testApp(t);
  const { merchant_id, api_key } = await test.merchant('Kiosco');
  const zone = { branch_name: ' Vía España ', time_zone: 'America/Bogota' };
  const branch = await makeBranch(test, api_key, zone);
  assert.deepEqual([branch.branch_name, branch.is_active], ['Vía España', true]);
  const pairing = await makePairing(test, api_key, { branch_id: branch.branch_id });
  assert.match(pairing.pairing_code, /^lmp_[0-9A-Za-z]{38}$/);
  assert.equal(pairing.pairing_url, `${test.config.publicUrl}/scan/#pair=${pairing.pairing_code}`);
  assert.match(pairing.qr_svg, /^<svg .*<\/svg>$/);
  assert.deepEqual([pairing.branch_name, pairing.merchant_name], ['Vía España', 'Kiosco']);
  const minutes = (Date.parse(pairing.expires_at) - Date.now()) / 60_000;
  assert.ok(minutes > 9 && minutes <= 10, `${minutes} minutes`);

  const paired = await exchange(test, ` ${pairing.pairing_code}\n`, 'Caja 1');
  assert.equal(paired.status, 201);
  assert.equal(paired.headers['cache-control'], 'no-store');
  const { device_token, ...device } = paired.body;
  assert.match(device_token, /^lmd_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
  assert.deepEqual(device, {
    device_id: device_token.split('_')[1],
    device_name: 'Caja 1',
    scopes: ['scan'],
    merchant_id,
    merchant_name: 'Kiosco',
    branch_id: branch.branch_id,
    branch_name: 'Vía España',
    time_zone: 'America/Bogota',
  });
  const itself = await test.call('GET', '/merchant/device', { token: device_token });
  assert.deepEqual([itself.status, itself.body], [200, device]);

  const code = await makeCode(test, merchant_id);
  const seen = await test.call('POST', '/merchant/validate', {
    token: device_token,
    body: { code: code.redemption_code },
  });
  assert.deepEqual([seen.status, seen.body.redemption_id], [200, code.redemption_id]);
  const path = `/merchant/redemptions/${code.redemption_id}/confirm`;
  assert.equal((await test.call('POST', path, { token: device_token })).status, 200);
  const audit = await sql(
    test,
    `SELECT action, actor_type, actor_id, metadata->>'device_id' AS device_id,
       metadata->>'branch_id' AS branch_id, metadata ? 'key_id' AS has_key
     FROM rewards.redemption_audit_log WHERE action IN ('validated', 'confirmed') ORDER BY log_id`,
  );
  const by = {
    actor_type: 'merchant',
    actor_id: merchant_id,
    device_id: device.device_id,
    branch_id: branch.branch_id,
    has_key: false,
  };
  assert.deepEqual(audit, [
    { action: 'validated', ...by },
    { action: 'confirmed', ...by },
  ]);
});

test('nothing of a secret is stored, shown in a list, or logged as a change', async (t) => {
  const test = await testApp(t);
  const till = await makeTill(test);
  const pairing = await makePairing(test, till.api_key, { branch_id: till.branch.branch_id });
  const secrets = [till.device.device_token, pairing.pairing_code];
  for (const path of ['devices', 'branches']) {
    const { body } = await test.call('GET', `/merchant/${path}`, { token: till.api_key });
    for (const secret of secrets) assert.ok(!JSON.stringify(body).includes(secret.slice(17)));
    assert.ok(!JSON.stringify(body).includes('hash'));
  }
  const stored = await sql(
    test,
    `SELECT d::text AS line FROM lumis.devices d UNION ALL SELECT p::text FROM lumis.pairings p
     UNION ALL SELECT c::text FROM lumis.staff_changes c`,
  );
  const lines = stored.map(({ line }) => line).join('\n');
  assert.ok(stored.length > 5);
  for (const secret of secrets) assert.ok(!lines.includes(secret.slice(17, 40)));
  assert.ok(!/"(secret|code)_hash"/.test(lines));
});

test('of twenty phones with one code, one is paired; a used code is unauthorized', async (t) => {
  const test = await testApp(t);
  const { api_key } = await test.merchant();
  const { branch_id } = await makeBranch(test, api_key, { branch_name: 'Principal' });
  const { pairing_code } = await makePairing(test, api_key, { branch_id });
  const phones = await Promise.all(
    Array.from({ length: 20 }, (_, i) => exchange(test, pairing_code, `Phone ${i}`)),
  );
  const won = phones.filter(({ status }) => status === 201);
  assert.equal(won.length, 1);
  assert.ok(phones.every(({ status }) => status === 201 || status === 401));
  assert.equal((await exchange(test, pairing_code)).status, 401);
  const [{ count }] = await sql(test, 'SELECT count(*) FROM lumis.devices');
  assert.equal(count, 1);
  assert.equal(await own(test, won[0]?.body.device_token), 200);
});

test('used, expired, unknown, malformed and hostile codes are answered alike', async (t) => {
  const test = await testApp(t);
  const { api_key } = await test.merchant();
  const { branch_id } = await makeBranch(test, api_key, { branch_name: 'Principal' });
  const used = await makePairing(test, api_key, { branch_id });
  await exchange(test, used.pairing_code);
  const late = await makePairing(test, api_key, { branch_id });
  const other = await makePairing(test, api_key, { branch_id });
  await sql(
    test,
    `UPDATE lumis.pairings SET expires_at = now() WHERE used_at IS NULL
       AND created_at < (SELECT max(created_at) FROM lumis.pairings)`,
  );
  const codes = [
    used.pairing_code,
    late.pairing_code,
    `lmp_${'0'.repeat(38)}`,
    `${other.pairing_code.slice(0, -1)}${other.pairing_code.endsWith('0') ? '1' : '0'}`,
    other.pairing_code.toLowerCase(),
    other.pairing_code.replace('lmp', 'lmd'),
    `${other.pairing_code}'; DROP TABLE lumis.devices; --`,
    '\u202e😀',
    'x'.repeat(200),
  ];
  const told = new Set<string>();
  for (const code of codes) {
    const { status, body } = await exchange(test, code);
    told.add(JSON.stringify([status, { ...body, request_id: '' }]));
  }
  assert.deepEqual([...told].length, 1, [...told].join('\n'));
  assert.match([...told][0] ?? '', /^\[401,.*"unauthorized"/);
  for (const body of [{}, { pairing_code: 7 }, { pairing_code: 'a\0b' }, { pairing_code: '' }]) {
    assert.equal((await test.call('POST', '/devices/pair', { body })).status, 400);
  }
  assert.equal((await exchange(test, other.pairing_code)).status, 201);
});

test('a pairing dies with its branch and with its merchant', async (t) => {
  const test = await testApp(t);
  const { merchant_id, api_key } = await test.merchant();
  const admin = await test.admin();
  const { branch_id } = await makeBranch(test, api_key, { branch_name: 'Principal' });
  const { pairing_code } = await makePairing(test, api_key, { branch_id });
  const ends: [method: 'DELETE' | 'PATCH', path: string][] = [
    ['DELETE', `/admin/merchants/${merchant_id}/branches/${branch_id}`],
    ['PATCH', `/admin/merchants/${merchant_id}/branches/${branch_id}`],
    ['DELETE', `/admin/merchants/${merchant_id}`],
    ['PATCH', `/admin/merchants/${merchant_id}`],
  ];
  const seen: number[] = [];
  for (const [method, path] of ends) {
    const body = method === 'PATCH' ? { body: { is_active: true } } : {};
    await test.call(method, path, { token: admin, ...body });
    if (method === 'DELETE') seen.push((await exchange(test, pairing_code)).status);
  }
  assert.deepEqual(seen, [401, 401]);
  assert.equal((await exchange(test, pairing_code)).status, 201, 'not used up by the attempts');
});

test('a lost answer: the code is spent, the orphan can be ended, a new code works', async (t) => {
  const test = await testApp(t);
  const { api_key } = await test.merchant();
  const { branch_id } = await makeBranch(test, api_key, { branch_name: 'Principal' });
  const first = await makePairing(test, api_key, { branch_id, device_name: 'Caja' });
  await exchange(test, first.pairing_code); // the answer never arrives
  assert.equal((await exchange(test, first.pairing_code)).status, 401);
  const listed = await test.call('GET', '/merchant/devices', { token: api_key });
  const [orphan] = listed.body.data;
  assert.deepEqual([orphan.device_name, orphan.last_seen_at], ['Caja', null]);
  const path = `/merchant/devices/${orphan.device_id}`;
  assert.equal((await test.call('DELETE', path, { token: api_key })).status, 204);
  const again = await makePairing(test, api_key, { branch_id });
  const { status, body } = await exchange(test, again.pairing_code);
  assert.deepEqual([status, await own(test, body.device_token)], [201, 200]);
});

test('revoked, signed out, closed, stopped: refused at once, on every node', async (t) => {
  const test = await testApp(t);
  const onSecond = await secondNode(t, test);
  const till = await makeTill(test);
  const { merchant_id, api_key, branch } = till;
  const admin = await test.admin();
  const both = async (token: string) => [await own(test, token), await onSecond(token)];
  const device = till.device;
  assert.deepEqual(await both(device.device_token), [200, 200]);

  const path = `/merchant/devices/${device.device_id}`;
  assert.equal((await test.call('DELETE', path, { token: api_key })).status, 204);
  assert.deepEqual(await both(device.device_token), [401, 401]);
  const [{ revoked_at }] = await sql(test, 'SELECT revoked_at FROM lumis.devices');
  assert.equal((await test.call('DELETE', path, { token: api_key })).status, 204);
  const again = await sql(test, 'SELECT revoked_at FROM lumis.devices');
  assert.deepEqual(again, [{ revoked_at }], 'revoking again changes nothing');

  const second = await makeDevice(test, api_key, branch.branch_id);
  const out = await test.call('DELETE', '/merchant/device', { token: second.device_token });
  assert.equal(out.status, 204);
  assert.deepEqual(await both(second.device_token), [401, 401]);

  const { device_token } = await makeDevice(test, api_key, branch.branch_id);
  const branches = `/merchant/branches/${branch.branch_id}`;
  const merchants = `/admin/merchants/${merchant_id}`;
  for (const [place, token] of [
    [branches, api_key],
    [merchants, admin],
  ] as const) {
    assert.deepEqual(await both(device_token), [200, 200]);
    assert.equal((await test.call('DELETE', place, { token })).status, 204);
    assert.deepEqual(await both(device_token), [401, 401], place);
    const open = { is_active: true };
    assert.equal((await test.call('PATCH', place, { token, body: open })).status, 200);
  }
  assert.deepEqual(await both(device_token), [200, 200], 'opened again, it works again');
});

test('what was let in before it ended is refused by the statement that decides', async (t) => {
  const test = await testApp(t);
  const till = await makeTill(test, 'reverse');
  const code = await makeCode(test, till.merchant_id);
  const { device, credential } = await authenticateDevice(test.db, till.device.device_token);
  const may = async () => {
    const { merchant_id, key_id, proven_hash } = credential;
    const text = 'SELECT lumis.merchant_may_act($1, $2, $3) AS may';
    return (await sql(test, text, merchant_id, key_id, proven_hash))[0].may;
  };
  assert.equal(await may(), true);
  const asOther = { ...credential, merchant_id: (await test.merchant()).merchant_id };
  const text = 'SELECT lumis.merchant_may_act($1, $2, $3) AS may';
  const { merchant_id, key_id, proven_hash } = asOther;
  assert.equal((await sql(test, text, merchant_id, key_id, proven_hash))[0].may, false);
  assert.equal((await sql(test, text, till.merchant_id, key_id, null))[0].may, false);
  assert.equal((await sql(test, text, till.merchant_id, key_id, 'not hex'))[0].may, false);
  const path = `/merchant/devices/${device.device_id}/roll`;
  const rolled = await test.call('POST', path, { token: till.api_key });
  assert.equal(await may(), true, 'until the code is used');
  const { body } = await exchange(test, rolled.body.pairing_code);
  assert.equal(await may(), false);
  assert.equal(body.device_id, device.device_id);
  const confirm = `/merchant/redemptions/${code.redemption_id}/confirm`;
  const refused = await test.call('POST', confirm, { token: till.device.device_token });
  assert.equal(refused.status, 401);
  assert.equal((await test.call('POST', confirm, { token: body.device_token })).status, 200);
});

test('two phones that send the same key: one hands over', async (t) => {
  const test = await testApp(t);
  const till = await makeTill(test, 'reverse');
  const code = await makeCode(test, till.merchant_id);
  const other = await makeDevice(test, till.api_key, till.branch.branch_id);
  const path = `/merchant/redemptions/${code.redemption_id}/confirm`;
  const headers = { 'idempotency-key': `confirm-${code.redemption_id}` };
  const confirm = (token: string) => test.call('POST', path, { token, headers });
  const answers = await Promise.all(
    [till.device, other].map((phone) => confirm(phone.device_token)),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
  const again = await Promise.all([till.device, other].map((phone) => confirm(phone.device_token)));
  assert.deepEqual(
    again.map(({ status }) => status),
    answers.map(({ status }) => status),
  );
});

test('a rolled device keeps its id, name and scopes; the old token ends', async (t) => {
  const test = await testApp(t);
  const { api_key, device } = await makeTill(test, 'reverse');
  const path = `/merchant/devices/${device.device_id}`;
  const renamed = await test.call('PATCH', path, {
    token: api_key,
    body: { device_name: ' Terraza ' },
  });
  assert.deepEqual([renamed.status, renamed.body.device_name], [200, 'Terraza']);
  const { status, body: pairing } = await test.call('POST', `${path}/roll`, { token: api_key });
  assert.equal(status, 201);
  assert.equal(await own(test, device.device_token), 200);
  const { body } = await exchange(test, pairing.pairing_code, 'another name');
  const { device_token, ...same } = body;
  const { device_token: old, ...before } = device;
  assert.deepEqual(same, { ...before, device_name: 'Terraza' });
  assert.deepEqual([await own(test, old), await own(test, device_token)], [401, 200]);

  const late = await test.call('POST', `${path}/roll`, { token: api_key });
  await test.call('DELETE', path, { token: api_key });
  assert.equal((await exchange(test, late.body.pairing_code)).status, 401);
  const dead = await test.call('POST', `${path}/roll`, { token: api_key });
  assert.deepEqual([dead.status, dead.body.errors[0].field], [400, 'params.device_id']);
  const changes = await sql(
    test,
    `SELECT action, changed_by->>'type' AS type, changed_by->'details'->>'device_id' AS device_id,
       before->>'device_name' AS was, after->>'device_name' AS name
     FROM lumis.staff_changes WHERE action LIKE 'device.%' ORDER BY change_id`,
  );
  const { device_id } = device;
  assert.deepEqual(changes, [
    { action: 'device.paired', type: 'merchant', device_id, was: null, name: 'Caja' },
    { action: 'device.renamed', type: 'merchant', device_id: null, was: 'Caja', name: 'Terraza' },
    { action: 'device.rolled', type: 'merchant', device_id, was: null, name: 'Terraza' },
    {
      action: 'device.revoked',
      type: 'merchant',
      device_id: null,
      was: 'Terraza',
      name: 'Terraza',
    },
  ]);
});

test('scopes: only reverse may reverse, and nothing else is open to a device', async (t) => {
  const test = await testApp(t);
  const till = await makeTill(test);
  const { api_key, branch } = till;
  const chief = await makeDevice(test, api_key, branch.branch_id, 'reverse');
  assert.deepEqual(chief.scopes, ['scan', 'reverse']);
  const { redemption_id } = await makeCode(test, till.merchant_id);
  const path = `/merchant/redemptions/${redemption_id}`;
  const token = till.device.device_token;
  assert.equal((await test.call('POST', `${path}/confirm`, { token })).status, 200);
  const reverse = (who: string) =>
    test.call('POST', `${path}/reverse`, { token: who, body: { reason: 'Se enfrió' } });
  const forbidden = await reverse(token);
  assert.deepEqual([forbidden.status, forbidden.body.code], [403, 'forbidden']);
  assert.equal((await reverse(chief.device_token)).status, 200);

  const open = ['/merchant/validate', '/merchant/device', '/merchant/day', '/merchant/events'];
  const opens = (url: string) => open.includes(url) || /(confirm|reverse)$/.test(url);
  const others = test.app.routeTable.filter(
    ({ audience, url }) => audience === 'merchant' && !opens(url.slice('/api/v1'.length)),
  );
  assert.ok(others.length > 8);
  for (const { method, url } of others.filter(({ method }) => method !== 'HEAD')) {
    const at = url
      .replace(':branch_id', branch.branch_id)
      .replace(':device_id', chief.device_id)
      .replace(/:\w+/, redemption_id);
    const reply = await test.call(method as 'GET', at, { token: chief.device_token });
    assert.deepEqual([reply.status, reply.body.code], [403, 'forbidden'], `${method} ${url}`);
  }
  // a device is no member, and no administrator
  for (const at of ['/rewards/balance', '/admin/merchants']) {
    assert.equal((await test.call('GET', at, { token: chief.device_token })).status, 401);
  }
  // a key is no device
  for (const method of ['GET', 'DELETE'] as const) {
    assert.equal((await test.call(method, '/merchant/device', { token: api_key })).status, 403);
  }
});

test('one merchant sees and changes nothing of another', async (t) => {
  const test = await testApp(t);
  const [mine, theirs] = [await makeTill(test), await makeTill(test)];
  const token = mine.api_key;
  const { branch_id } = theirs.branch;
  const { device_id } = theirs.device;
  const asked: [method: 'PATCH' | 'DELETE' | 'POST', path: string, body: object | undefined][] = [
    ['PATCH', `branches/${branch_id}`, { branch_name: 'Mía' }],
    ['DELETE', `branches/${branch_id}`, undefined],
    ['PATCH', `devices/${device_id}`, { device_name: 'Mía' }],
    ['DELETE', `devices/${device_id}`, undefined],
    ['POST', `devices/${device_id}/roll`, undefined],
  ];
  const admin = await test.admin();
  for (const [method, path, body] of asked) {
    for (const [base, who] of [
      ['/merchant', token],
      [`/admin/merchants/${mine.merchant_id}`, admin],
    ] as const) {
      const reply = await test.call(method, `${base}/${path}`, { token: who, body });
      assert.equal(reply.status, 404, `${method} ${base}/${path}`);
    }
  }
  const pairing = await test.call('POST', '/merchant/pairings', { token, body: { branch_id } });
  assert.deepEqual([pairing.status, pairing.body.errors[0].field], [400, 'body.branch_id']);
  const { body } = await test.call('GET', '/merchant/devices', { token });
  assert.deepEqual(
    body.data.map((row: { device_id: string }) => row.device_id),
    [mine.device.device_id],
  );
  assert.equal(await own(test, theirs.device.device_token), 200);
});

test('a token with a wrong checksum, and a malformed code, cost no query', async (t) => {
  const test = await testApp(t);
  const { device } = await makeTill(test);
  // whoever asks this database anything learns that it is away
  const url = 'postgresql://nobody@127.0.0.1:1/none';
  const dead = openDatabase({ url, max: 1, poolTimeoutMs: 1000, onError: () => undefined });
  t.after(() => dead.close());
  const answers = (code: string) => (error: unknown) =>
    error instanceof Failure && error.code === code;
  const { device_token } = device;
  const typo = `${device_token.slice(0, -1)}${device_token.endsWith('0') ? '1' : '0'}`;
  for (const token of [typo, 'lmd_', `lmd_${'x'.repeat(5000)}`, `${device_token} `]) {
    await assert.rejects(authenticateDevice(dead, token), answers('unauthorized'), token);
  }
  await assert.rejects(authenticateDevice(dead, device_token), answers('overloaded'));
  const circumstances = { ip: null, agent: null, request_id: 'test' };
  const malformed = { pairing_code: `lmp_${'0'.repeat(37)}1` };
  await assert.rejects(pairDevice(dead, circumstances, malformed), answers('unauthorized'));
});

test('misses are limited by address, and a device by itself', async (t) => {
  const limits = readConfig({ DATABASE_URL: 'postgresql://x/y', JWT_SECRET }).rateLimits;
  const test = await testApp(t, { rateLimits: { ...limits, authFailures: 5, read: 3 } });
  const till = await makeTill(test);
  const { merchant_id, branch } = till;
  const waiting = await createPairing(test.db, systemCaller('test'), merchant_id, branch, 'x:');
  const second = await makeDevice(test, till.api_key, branch.branch_id);
  for (let i = 0; i < 3; i += 1) assert.equal(await own(test, second.device_token), 200);
  assert.equal(await own(test, second.device_token), 429);
  assert.equal(await own(test, till.device.device_token), 200, 'each phone by itself');
  const misses: number[] = [];
  for (let i = 0; i < 7; i += 1) misses.push((await exchange(test, 'lmp_guess')).status);
  assert.deepEqual(misses, [401, 401, 401, 401, 401, 429, 429]);
  assert.equal((await exchange(test, waiting.pairing_code)).status, 201);
  assert.equal(await own(test, till.device.device_token), 200, 'who proves itself goes on');
});

test('last_seen_at moves at most once a minute', async (t) => {
  const test = await testApp(t);
  const { device } = await makeTill(test);
  const seen = async () =>
    (await sql(test, 'SELECT last_seen_at, xmin::text FROM lumis.devices'))[0];
  assert.equal((await seen()).last_seen_at, null);
  await Promise.all(Array.from({ length: 10 }, () => own(test, device.device_token)));
  const first = await seen();
  assert.ok(first.last_seen_at);
  await own(test, device.device_token);
  assert.deepEqual(await seen(), first);
  await sql(test, `UPDATE lumis.devices SET last_seen_at = last_seen_at - interval '61 seconds'`);
  await own(test, device.device_token);
  assert.ok((await seen()).last_seen_at > first.last_seen_at);
});
