/** The day at a counter, what became of a redemption, and what web apps ask first. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type TestApp, testApp } from './support/app.ts';
import { confirmed, listenOn, openEvents, redeemed } from './support/events.ts';

const sql = (text: string, values: unknown[] = []) => ({ name: '', text, values });

/** A merchant with a branch in Auckland and a phone there that may also reverse. */
async function counter(t: TestContext) {
  const api = await testApp(t);
  const { merchant_id, api_key } = await api.merchant('Café');
  const offer_id = await api.offer({ merchant_id, name_friendly: 'Tea' });
  await api.grant(1, 10_000);
  const branch = await made(api, api_key, '/merchant/branches', {
    branch_name: 'Queen Street',
    time_zone: 'Pacific/Auckland',
  });
  const phone = await paired(api, api_key, branch.branch_id, 'Till 1');
  return { api, api_key, merchant_id, offer_id, branch, phone };
}

async function made(api: TestApp, token: string, path: string, body: object) {
  const answer = await api.call('POST', path, { token, body });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body;
}

async function paired(api: TestApp, token: string, branch_id: string, device_name: string) {
  const scopes = ['scan', 'reverse'];
  const { pairing_code } = await made(api, token, '/merchant/pairings', { branch_id, scopes });
  return made(api, token, '/devices/pair', { pairing_code, device_name });
}

async function day(api: TestApp, token: string, query = '') {
  const { status, body } = await api.call('GET', `/merchant/day${query}`, { token });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

async function reversed(api: TestApp, token: string, id: string) {
  const { status } = await api.call('POST', `/merchant/redemptions/${id}/reverse`, {
    token,
    body: { reason: 'cold' },
  });
  assert.equal(status, 200);
}

const ids = (body: { data: { redemption_id: string }[] }) =>
  body.data.map((one) => one.redemption_id);

test("a phone's day is its branch's; a key's is the merchant's", async (t) => {
  const { api, api_key, offer_id, phone, branch } = await counter(t);
  const { branch_id: other } = await made(api, api_key, '/merchant/branches', {
    branch_name: 'Harbour',
    time_zone: 'America/Panama',
  });
  const far = await paired(api, api_key, other, 'Till 2');
  const [first, second, third] = [
    await redeemed(api, offer_id),
    await redeemed(api, offer_id),
    await redeemed(api, offer_id),
  ];
  await confirmed(api, phone.device_token, first.id);
  await confirmed(api, far.device_token, second.id);
  await confirmed(api, api_key, third.id);

  const mine = await day(api, phone.device_token);
  assert.deepEqual([mine.time_zone, mine.count, mine.lumis], ['Pacific/Auckland', 1, 10]);
  const [{ validated_at, ...row }] = mine.data;
  assert.deepEqual(row, {
    redemption_id: first.id,
    offer_name: 'Tea',
    lumis_spent: 10,
    redemption_status: 'confirmed',
    closed_at: null,
    code_ending: first.code.slice(-4),
    device_name: 'Till 1',
    branch_name: 'Queen Street',
  });
  const whole = await day(api, api_key);
  assert.deepEqual([whole.time_zone, whole.count, whole.lumis], ['America/Panama', 3, 30]);
  assert.deepEqual(ids(whole), [third.id, second.id, first.id], 'newest first');
  assert.deepEqual(whole.data[0].device_name, null);
  assert.deepEqual(ids(await day(api, api_key, `?branch_id=${other}`)), [second.id]);

  await reversed(api, phone.device_token, first.id);
  const after = await day(api, phone.device_token);
  assert.deepEqual([after.count, after.lumis], [0, 0], 'what was reversed does not count');
  assert.equal(after.data[0].redemption_status, 'cancelled');
  assert.equal(after.data[0].device_name, 'Till 1', 'who confirmed, not who reversed');
  assert.ok(after.data[0].closed_at);

  const strangers = await api.merchant();
  for (const [token, query, status] of [
    [phone.device_token, `?branch_id=${other}`, 404],
    [strangers.api_key, `?branch_id=${branch.branch_id}`, 404],
    [api_key, '?date=2026-02-30', 400],
    [api_key, '?date=0000-01-01', 400],
    [api_key, '?date=22/11/2026', 400],
    [api_key, '?limit=101', 400],
  ] as const) {
    const answer = await api.call('GET', `/merchant/day${query}`, { token });
    assert.equal(answer.status, status, query);
  }
  assert.deepEqual(ids(await day(api, strangers.api_key)), []);
});

test('a day begins at midnight in its time zone, also when clocks change', async (t) => {
  const { api, api_key, offer_id, phone, branch } = await counter(t);
  // In New Zealand 27 September 2026 has 23 hours and 5 April 2026 has 25.
  const moments: [string, string][] = [
    ['2026-09-26T11:59:59.999999Z', '2026-09-26'],
    ['2026-09-26T12:00:00.000000Z', '2026-09-27'],
    ['2026-09-27T10:59:59.999999Z', '2026-09-27'],
    ['2026-09-27T11:00:00.000000Z', '2026-09-28'],
    ['2026-04-04T10:59:59.999999Z', '2026-04-04'],
    ['2026-04-04T11:00:00.000000Z', '2026-04-05'],
    ['2026-04-05T11:59:59.999999Z', '2026-04-05'],
    ['2026-04-05T12:00:00.000000Z', '2026-04-06'],
  ];
  const expected = new Map<string, string[]>();
  for (const [moment, date] of moments) {
    const { id } = await redeemed(api, offer_id);
    await confirmed(api, phone.device_token, id);
    const text = 'UPDATE rewards.user_redemptions SET validated_at = $2 WHERE redemption_id = $1';
    await api.db.query(sql(text, [id, moment]));
    expected.set(date, [id, ...(expected.get(date) ?? [])]);
  }
  for (const [date, wanted] of expected) {
    const body = await day(api, phone.device_token, `?date=${date}`);
    assert.deepEqual([ids(body), body.count, body.date], [wanted, wanted.length, date]);
    const byKey = await day(api, api_key, `?date=${date}&branch_id=${branch.branch_id}`);
    assert.deepEqual(ids(byKey), wanted);
  }
  const panama = await day(api, api_key, '?date=2026-09-26');
  assert.equal(panama.count, 2, 'the same moments on a Panamanian day');
  const zone = { timeZone: 'Pacific/Auckland', dateStyle: 'short' } as const;
  const today = new Intl.DateTimeFormat('sv', zone).format(new Date());
  assert.equal((await day(api, phone.device_token)).date, today);
});

test('pages of a day neither repeat nor skip, and its figures are of the whole day', async (t) => {
  const { api, offer_id, phone } = await counter(t);
  const all: string[] = [];
  for (let i = 0; i < 7; i += 1) {
    const { id } = await redeemed(api, offer_id);
    await confirmed(api, phone.device_token, id);
    all.unshift(id);
  }
  // at one and the same moment: the id decides
  await api.db.query(sql('UPDATE rewards.user_redemptions SET validated_at = now()'));
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor ? `&cursor=${cursor}` : '';
    const body = await day(api, phone.device_token, `?limit=3${query}`);
    assert.deepEqual([body.count, body.lumis], [7, 70]);
    seen.push(...ids(body));
    cursor = body.next_cursor;
  } while (cursor);
  assert.deepEqual(seen, [...all].sort().reverse());
});

test("a phone's stream is its branch's, and says what the day's list says", async (t) => {
  const { api, api_key, offer_id, phone } = await counter(t);
  const base = await listenOn(api.app);
  const here = await openEvents(t, `${base}/merchant/events`, phone.device_token);
  const office = await openEvents(t, `${base}/merchant/events`, api_key);
  await Promise.all([here.count(1), office.count(1)]);
  const [a, b] = [await redeemed(api, offer_id), await redeemed(api, offer_id)];
  await confirmed(api, api_key, a.id);
  await confirmed(api, phone.device_token, b.id);
  await reversed(api, phone.device_token, b.id);
  await Promise.all([here.count(3), office.count(4)]);
  const told = (client: typeof here) =>
    client.events.slice(1).map(({ event, data }) => `${event} ${data.redemption_id}`);
  const own = [`redemption.confirmed ${b.id}`, `redemption.reversed ${b.id}`];
  assert.deepEqual(told(here), own);
  assert.deepEqual(told(office), [`redemption.confirmed ${a.id}`, ...own]);
  assert.equal(here.events[1]?.data.redemption_status, 'confirmed', 'as that event left it');
  const [row] = (await day(api, phone.device_token)).data;
  assert.deepEqual(here.events[2]?.data, row);
});

test("a redemption's timeline: what happened, where, and what it moved", async (t) => {
  const { api, api_key, offer_id, phone } = await counter(t);
  const { id, code, token } = await redeemed(api, offer_id);
  const timeline = async (path = id, who = token) => {
    const answer = await api.call('GET', `/rewards/redemptions/${path}/timeline`, { token: who });
    return answer.status === 200
      ? answer.body.data.map((one: any) => [
          one.action,
          one.merchant_name,
          one.branch_name,
          one.lumis,
        ])
      : answer.status;
  };
  assert.deepEqual(await timeline(), [['created', null, null, -10]]);
  const scan = await api.call('POST', '/merchant/validate', {
    token: phone.device_token,
    body: { code },
  });
  assert.equal(scan.status, 200);
  await confirmed(api, phone.device_token, id);
  await reversed(api, api_key, id);
  const whole = [
    ['created', null, null, -10],
    ['validated', 'Café', 'Queen Street', null],
    ['confirmed', 'Café', 'Queen Street', null],
    ['reversed', 'Café', null, 10],
  ];
  assert.deepEqual(await timeline(), whole);
  assert.equal(await timeline(id, await api.member(2)), 404);
  assert.equal(await timeline('0193e0a4-7c1e-7b9a-9d1f-5a3c2b1d0e9f'), 404);

  const lost = await redeemed(api, await api.offer({ on_expiry: 'forfeit' }));
  const late = `UPDATE rewards.user_redemptions SET code_expires_at = now() WHERE redemption_id = $1`;
  await api.db.query(sql(late, [lost.id]));
  await api.db.query(sql('SELECT rewards.expire_old_redemptions()'));
  assert.deepEqual(await timeline(lost.id), [
    ['created', null, null, -10],
    ['expired', null, null, null],
  ]);
  const back = await redeemed(api, offer_id);
  await api.call('POST', `/rewards/redemptions/${back.id}/cancel`, { token });
  assert.deepEqual((await timeline(back.id)).at(-1), ['cancelled', null, null, 10]);
});

test('what a web app asks first; demo routes only where there is a demo', async (t) => {
  const api = await testApp(t, { corsOrigins: ['https://app.example.com'] });
  const { status, body, headers } = await api.call('GET', '/config');
  assert.equal(status, 200);
  assert.equal(headers['cache-control'], 'public, max-age=60');
  assert.deepEqual(body, {
    demo: false,
    time_zone: 'America/Panama',
    embed_origins: ['https://app.example.com'],
    redemption_ttl_minutes: 1440,
    version: 'test',
  });
  for (const [method, path] of [
    ['GET', '/demo/members'],
    ['POST', '/demo/sign-in'],
    ['POST', '/demo/pairing'],
  ] as const) {
    assert.equal((await api.call(method, path, { body: { user_id: 1 } })).status, 404, path);
  }
});

test('a demo lets anybody sign in as its members, and pair a phone with its café', async (t) => {
  const plain = await testApp(t);
  const { merchant_id, api_key } = await plain.merchant('Café Test');
  await plain.call('GET', '/rewards/balance', { token: await plain.member(1, { name: 'Ana' }) });
  await plain.grant(1, 50);
  const { databaseUrl } = plain.config;
  const demoSite = { userIds: [1, 2], merchantId: merchant_id };
  const api = await testApp(t, { databaseUrl, jwtIssuer: 'https://id.example.com' }, { demoSite });
  assert.equal((await api.call('GET', '/config')).body.demo, true);
  const { body } = await api.call('GET', '/demo/members');
  assert.deepEqual(body.data, [{ user_id: 1, display_name: 'Ana', balance: 50 }]);
  const signIn = (user_id: number) => api.call('POST', '/demo/sign-in', { body: { user_id } });
  assert.equal((await signIn(3)).status, 404);
  const { body: signed } = await signIn(1);
  const hours = (Date.parse(signed.expires_at) - Date.now()) / 3_600_000;
  assert.ok(hours > 11.9 && hours <= 12, signed.expires_at);
  const own = await api.call('GET', '/rewards/balance', { token: signed.token });
  assert.equal(own.body.balance, 50);
  assert.equal((await api.call('GET', '/admin/members', { token: signed.token })).status, 403);
  for (const place of ['Principal', 'Principal']) {
    const { body: pairing, status } = await api.call('POST', '/demo/pairing');
    assert.equal(status, 201);
    assert.deepEqual([pairing.branch_name, pairing.merchant_name], [place, 'Café Test']);
    const { pairing_code } = pairing;
    const phone = await api.call('POST', '/devices/pair', { body: { pairing_code } });
    assert.equal(phone.body.merchant_id, merchant_id);
  }
  const branches = await plain.call('GET', '/merchant/branches', { token: api_key });
  assert.equal(branches.body.data.length, 1, 'made once');
});
