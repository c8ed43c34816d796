/** Bad input by table: what is sent, and the one answer it gets. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import bcrypt from 'bcrypt';
import { newCode } from '../src/redemptions/code.ts';
import { type TestApp, testApp } from './support/app.ts';

type Options = Parameters<TestApp['call']>[2];
type Ask = readonly ['GET' | 'POST' | 'PATCH' | 'DELETE', string];

interface Scene extends TestApp {
  shop: { merchant_id: string; api_key: string; offer_id: string };
  /** an administrator's token, and that of member 1, who has points */
  admin1: string;
  member1: string;
  /** a new pending redemption of member 1 at the shop */
  issue(): Promise<{ redemption_id: string; redemption_code: string; qr_landing_url: string }>;
}

async function scene(t: TestContext, changes: Parameters<typeof testApp>[1] = {}): Promise<Scene> {
  const api = await testApp(t, changes);
  const merchant = await api.merchant();
  const offer_id = await api.offer({ merchant_id: merchant.merchant_id });
  await api.grant(1, 10_000);
  const member1 = await api.member(1);
  const issue = async () => {
    const input = { token: member1, body: { offer_id } };
    const { status, body } = await api.call('POST', '/rewards/redemptions', input);
    assert.equal(status, 201, JSON.stringify(body));
    return body;
  };
  return { ...api, shop: { ...merchant, offer_id }, admin1: await api.admin(), member1, issue };
}

const ABSENT = '0193e0a4-7c1e-7b9a-9d1f-5a3c2b1d0e9f';
const words = (text: string) => text.split(' ');
const sql = (api: TestApp, text: string, ...values: unknown[]) =>
  api.db.query({ name: '', text, values });
const without = (body: object) => ({ ...body, request_id: '' });
const named = (body: { errors?: { field: string }[] }) =>
  (body.errors ?? []).map(({ field }) => field);

/** Asks; the answer must be the problem `expected`: status, code, and the field that it names. */
async function refused(api: TestApp, expected: string, ask: Ask, options: Options = {}) {
  const answer = await api.call(...ask, options);
  const [status, code, field] = expected.split(' ');
  const shown = `${ask.join(' ').slice(0, 200)}: ${JSON.stringify(answer.body).slice(0, 500)}`;
  assert.deepEqual([String(answer.status), answer.body.code], [status, code], shown);
  assert.match(String(answer.headers['content-type']), /^application\/problem\+json\b/, shown);
  assert.ok(!field || named(answer.body).includes(field), shown);
  return answer;
}

const VALIDATE = ['POST', '/merchant/validate'] as const;

test('a code is read however it was typed; what is none is unknown, or no text', async (t) => {
  const api = await scene(t);
  const token = api.shop.api_key;
  const { redemption_id, redemption_code: code, qr_landing_url: url } = await api.issue();
  const bare = code.replaceAll('-', '').slice(4);
  const folded = bare.replaceAll('0', 'o').replaceAll('1', 'l');
  for (const typed of [
    ...[code, code.toLowerCase(), ` ${code}\t\r\n`, code.replaceAll('-', ' '), bare, folded],
    ...[bare.split('').join(' '), folded.toUpperCase().replaceAll('L', 'I'), `LUMS ${folded}`],
    ...[url, `${url}?lang=en`, ` ${url.split('/').at(-1)} `],
  ]) {
    const { status, body } = await api.call(...VALIDATE, { token, body: { code: typed } });
    assert.deepEqual([status, body.redemption_id], [200, redemption_id], typed);
  }
  const fullWidth = code.replace(/\w/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0));
  for (const typed of [
    ...[newCode(), bare.slice(1), `${code}0`, code + code, fullWidth, `${code}\u{1F600}`, ' '],
    ...[code.replace('L', '\u216c'), code.replace('M', '\u039c'), code.replace('-', '\u2011')],
    ...["' OR 1=1 --", '%00', '__proto__', '\u{1F600}', 'x'.repeat(10_000), `${code}\\`],
    ...[url.replace('localhost', 'x.example'), `javascript:${url}`, redemption_id],
  ]) {
    const options = { token, body: { code: typed } };
    const { body } = await refused(api, '404 unknown_code', VALIDATE, options);
    assert.deepEqual(Object.keys(body), words('type title status detail code request_id'));
  }
  for (const typed of [[code], { code }, null, 7, true, 1e300, '', `${code}\0`, '\ud800']) {
    const options = { token, body: { code: typed } };
    await refused(api, '400 invalid_request body.code', VALIDATE, options);
  }
});

const LISTS = [
  ...words('offers offers?sort=cost_asc offers?sort=cost_desc redemptions ledger').map(
    (name) => `/rewards/${name}`,
  ),
  '/merchant/redemptions',
  ...words('members members/1/ledger redemptions audit changes offers merchants').map(
    (name) => `/admin/${name}`,
  ),
];
/** Who may read what is below a path. */
function readerOf({ shop, admin1, member1 }: Scene, path: string): { token: string } {
  if (path.startsWith('/merchant')) return { token: shop.api_key };
  return { token: path.startsWith('/admin') ? admin1 : member1 };
}
// a ledger's cursor is an entry's number, whoever looks at it
const listOf = (path: string) => (path.endsWith('/ledger') ? 'ledger' : path);

test('limits are 1 to 100, and a cursor is of its own list', async (t) => {
  const api = await scene(t);
  await api.offer();
  await api.merchant();
  await api.call('GET', '/rewards/balance', { token: await api.member(2) });
  for (let i = 0; i < 2; i += 1) {
    const path = `/merchant/redemptions/${(await api.issue()).redemption_id}/confirm`;
    assert.equal((await api.call('POST', path, { token: api.shop.api_key })).status, 200);
  }
  const at = (path: string, query: string) =>
    ['GET', `${path}${path.includes('?') ? '&' : '?'}${query}`] as const;
  const cursors = new Map<string, string>();
  for (const path of LISTS) {
    const options = readerOf(api, path);
    for (const limit of words('0 -1 101 1000000000 1e309 -1e309 1.5 x  1&limit=2')) {
      await refused(api, '400 invalid_request query.limit', at(path, `limit=${limit}`), options);
    }
    await refused(api, '400 invalid_request query.x', at(path, 'x=1'), options);
    const first = await api.call(...at(path, 'limit=1'), options);
    assert.deepEqual([first.status, first.body.data?.length], [200, 1], path);
    cursors.set(path, first.body.next_cursor);
  }
  for (const path of LISTS) {
    const foreign = [...cursors].filter(([other]) => listOf(other) !== listOf(path));
    const forged = forgeries(cursors.get(path) as string);
    for (const cursor of [...foreign.map(([, one]) => one), ...forged]) {
      const ask = at(path, `cursor=${encodeURIComponent(cursor)}`);
      await refused(api, '400 invalid_request query.cursor', ask, readerOf(api, path));
    }
  }
});

function forgeries(real: string): string[] {
  const parts: unknown[] = JSON.parse(Buffer.from(real, 'base64url').toString());
  const days = words('2026-02-31 2026-13-01 0000-01-01').map((day) => `${day}T00:00:00.000000Z`);
  const large = /members|cost/.test(String(parts[0])) ? 2 ** 31 : 10 ** 18;
  const odd = [...days, -(10 ** 20), 1.5, '1e3', null, [], {}, 'x', "' OR 1=1", '\0', large];
  const changed = [parts.slice(0, -1), parts.slice(1), ...odd.map((one) => parts.with(1, one))];
  const made = [...changed, [...parts, 1]].map((one) => JSON.stringify(one));
  const encoded = made.map((text) => Buffer.from(text).toString('base64url'));
  return ['', 'x', '%%%', 'e30', 'bnVsbA', 'x'.repeat(501), ...encoded];
}

const STATS = ['GET', '/merchant/stats'] as const;
const basic = (text: string) => `Basic ${Buffer.from(text, 'latin1').toString('base64')}`;
const bearer = (text: string) => `Bearer ${text}`;

test('a wrong credential is told the same, whatever is wrong with it', async (t) => {
  const api = await scene(t);
  await sql(api, 'UPDATE rewards.merchants SET api_key_hash = $1', await bcrypt.hash('secret', 4));
  const { api_key: key, merchant_id: id } = api.shop;
  const right = basic(`${id}:secret`);
  // as after a restart: a key that many use at once is hashed once, and nobody is sent away
  const many = Array.from({ length: 30 }, () => api.call(...STATS, { token: key }));
  assert.deepEqual([...new Set((await Promise.all(many)).map(({ status }) => status))], [200]);
  assert.equal((await api.call(...STATS, { token: right })).status, 200);
  const first = await refused(api, '401 unauthorized', STATS);
  const sizes = [1, 72, 73, 10_000, 1_000_000].map((bytes) => bearer('x'.repeat(bytes)));
  const malformed = [
    ...['', 'Bearer', 'Bearer ', `bearer\t${key}`, 'Token x', 'é', key, 'Basic !!!', ...sizes],
    ...[key.slice(0, -1), `${key}x`, `${key} x`, `${key}\0`, key.toUpperCase(), 'é'].map(bearer),
    ...['', ':', ':secret', 'x:secret', `${id}\0:secret`, "'--:secret", `:${key}`].map(basic),
  ];
  const wrong = [`${ABSENT}:secret`, `${id}:`, `${id}:Secret`, `${id}:secret\0`];
  const { query } = api.db;
  let queries = 0;
  api.db.query = (statement) => {
    queries += 1;
    return query(statement);
  };
  for (const authorization of [...malformed, ...wrong.map(basic)]) {
    if (authorization === basic(wrong[0] as string)) assert.equal(queries, 0, 'no key, no query');
    const told = await refused(api, '401 unauthorized', STATS, { headers: { authorization } });
    assert.deepEqual(without(told.body), without(first.body));
    assert.ok(told.headers['www-authenticate']);
  }
  api.db.query = query;
  for (const token of [key, right]) {
    await refused(api, '401 unauthorized', ['GET', '/rewards/balance'], { token });
  }
  await refused(api, '401 unauthorized', STATS, { token: api.member1 });
  await refused(api, '403 forbidden', ['GET', '/admin/offers'], { token: api.member1 });
});

test('what moves something needs an idempotency key, one for one request', async (t) => {
  const api = await scene(t);
  const { api_key, offer_id } = api.shop;
  const ids = [(await api.issue()).redemption_id, (await api.issue()).redemption_id];
  const reason = { reason: 'a' };
  // each with what asks for something else under the same key; R stands for the redemption
  const ways: [string, string, object?, object?][] = [
    ['/rewards/redemptions', api.member1, { offer_id }, { offer_id: ABSENT }],
    ['/rewards/redemptions/R/cancel', api.member1],
    ['/merchant/redemptions/R/confirm', api_key],
    ['/merchant/redemptions/R/reverse', api_key, reason],
    ['/admin/redemptions/R/cancel', api.admin1, reason],
    ['/admin/redemptions/R/reverse', api.admin1, reason],
    ['/admin/members/1/ledger', api.admin1, { quantity: 1, ...reason }, { quantity: 2, ...reason }],
  ];
  for (const [path, token, body, otherBody = body] of ways) {
    const asks = ids.map((id): Ask => ['POST', path.replace('R', id)]);
    const [ask, other] = asks as [Ask, Ask];
    const options = (key: string, input = body) => {
      return { token, headers: { 'idempotency-key': key }, ...(input ? { body: input } : {}) };
    };
    const headers = { authorization: bearer(token) };
    const request = { method: 'POST' as const, url: `/api/v1${ask[1]}`, headers };
    const none = await api.app.inject({ ...request, ...(body ? { payload: body } : {}) });
    assert.deepEqual([none.statusCode, none.json().code], [400, 'idempotency_key_missing'], path);
    await refused(api, '400 idempotency_key_missing', ask, options(''));
    for (const key of ['x'.repeat(256), 'x'.repeat(1_000_000), 'é', '\x7f', 'a\tb', '\u{1F600}']) {
      await refused(api, '400 invalid_request headers.idempotency-key', ask, options(key));
    }
    const key = `${path} ~`.padEnd(255, 'x');
    const first = await api.call(...ask, options(key));
    const again = await api.call(...ask, options(key));
    const told = [first, again].map((one) => [one.status, without(one.body)]);
    assert.deepEqual(told[0], told[1]);
    // what is refused as invalid is not kept: its key is free still
    const otherwise = first.status === 400 ? '400 invalid_request' : '422 idempotency_key_reused';
    await refused(api, otherwise, other, options(key, otherBody));
  }
});

test('an idempotency key is its caller’s own', async (t) => {
  const api = await scene(t);
  await api.grant(2, 100);
  const rival = await api.merchant();
  const headers = { 'idempotency-key': 'the same for all' };
  const body = { offer_id: api.shop.offer_id };
  const redeem = (token: string) =>
    api.call('POST', '/rewards/redemptions', { token, body, headers });
  const first = await redeem(api.member1);
  const second = await redeem(await api.member(2));
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.deepEqual((await redeem(api.member1)).body, first.body);
  assert.notEqual(second.body.redemption_id, first.body.redemption_id);
  const path = `/merchant/redemptions/${first.body.redemption_id}/confirm`;
  const confirm = (token: string) => api.call('POST', path, { token, headers });
  assert.equal((await confirm(rival.api_key)).body.code, 'unknown_code');
  const done = await confirm(api.shop.api_key);
  assert.equal(done.status, 200);
  assert.deepEqual((await confirm(api.shop.api_key)).body, done.body);
  assert.equal((await confirm(rival.api_key)).body.code, 'unknown_code');
});

test('bodies: 32 kB of JSON with the fields that are known', async (t) => {
  type Case = [string | Buffer, number, string, string?];
  const api = await scene(t);
  const right = JSON.stringify({ name_friendly: 'Ñ', lumis_cost: 1 });
  const odd = (from: string, to: string, field: string): Case => {
    return [right.replace(from, to), 400, `body.${field}`];
  };
  const types = words('text/plain text/html application/x-www-form-urlencoded x/y json');
  const texts = words(' { null [] "x" 1 {"a":1,} {"__proto__":{"a":1}} {}{} \ufeff');
  const cases: Case[] = [
    [right, 201, ''],
    [right, 201, '', 'application/json; charset=utf-8'],
    [right.padEnd(32 * 1024 - 1), 201, ''],
    [right.padEnd(32 * 1024), 413, 'body'],
    ...types.map((type): Case => [right, 415, 'body', type]),
    ...texts.map((text): Case => [text, 400, 'body']),
    [Buffer.from(right, 'utf16le'), 400, 'body'],
    [right.replace('}', ',"constructor":{"prototype":{}}}'), 400, 'body'],
    ...words('offer_id stock_held __defineGetter__').map((name) => odd('}', `,"${name}":1}`, name)),
    ...['\\u0000', '\\ud800', '', 'x'.repeat(256)].map((text) => odd('Ñ', text, 'name_friendly')),
    ...words('0 -1 1.5 1e309 2147483648 "1" null true [] {}').map((cost) => {
      return odd('1}', `${cost}}`, 'lumis_cost');
    }),
    // of two with one name, the last counts
    [right.replace('{', '{"lumis_cost":0,'), 201, ''],
  ];
  for (const [payload, status, field, type = 'application/json'] of cases) {
    const headers = { authorization: bearer(api.admin1), 'content-type': type };
    const url = '/api/v1/admin/offers';
    const reply = await api.app.inject({ method: 'POST', url, headers, payload });
    const shown = `${String(payload).slice(0, 200)} ${type}: ${reply.body.slice(0, 300)}`;
    assert.equal(reply.statusCode, status, shown);
    assert.ok(field === '' || named(reply.json()).includes(field), shown);
  }
});

test('offers and merchants: what contradicts itself or others is named', async (t) => {
  const api = await scene(t);
  const { offer_id } = api.shop;
  const options = (body: object) => ({ token: api.admin1, body });
  await api.merchant('Café Sur');
  const other = await api.merchant('Otro');
  const merchant = `/admin/merchants/${other.merchant_id}`;
  const taken = { merchant_name: 'Café Sur' };
  const nameTaken = '400 invalid_request body.merchant_name';
  await refused(api, nameTaken, ['POST', '/admin/merchants'], options(taken));
  await refused(api, nameTaken, ['PATCH', merchant], options(taken));
  assert.equal((await api.call('PATCH', merchant, options({ merchant_name: 'Otro' }))).status, 200);

  const [march, april] = ['2027-03-01T00:00:00Z', '2027-04-01T00:00:00Z'];
  const offer = { name_friendly: 'x', lumis_cost: 1 };
  const times = [
    ...words('now infinity 2027-01-01 2027-02-29T00:00:00Z 2027-13-01T00:00:00Z'),
    ...words('0000-01-01T00:00:00Z 9999-12-31T23:59:59-15:59 2027-01-01T00:00:00+23:59'),
    ...[`2027-01-01T00:00:00.${'1'.repeat(300)}Z`, '', 7, {}],
  ];
  const faults: [object, string][] = [
    [{ valid_from: april, valid_to: march }, 'valid_to'],
    [{ valid_from: march, valid_to: march }, 'valid_to'],
    [{ merchant_id: ABSENT }, 'merchant_id'],
    [{ lumis_cost: 0 }, 'lumis_cost'],
    ...words('http://x.example javascript:alert(1) data:,x https://a"b').map(
      (image_url): [object, string] => [{ image_url }, 'image_url'],
    ),
    ...times.map((valid_to): [object, string] => [{ valid_to }, 'valid_to']),
  ];
  for (const [fault, field] of faults) {
    const expected = `400 invalid_request body.${field}`;
    await refused(api, expected, ['POST', '/admin/offers'], options({ ...offer, ...fault }));
    await refused(api, expected, ['PATCH', `/admin/offers/${offer_id}`], options(fault));
  }
  for (const path of ['/admin/audit?from=', '/admin/redemptions?to=']) {
    for (const time of times.slice(0, 9)) {
      const ask = ['GET', path + encodeURIComponent(String(time))] as const;
      const field = path.endsWith('from=') ? 'query.from' : 'query.to';
      await refused(api, `400 invalid_request ${field}`, ask, { token: api.admin1 });
    }
  }
});

test('a retired offer is out of the catalogue, and its codes still count', async (t) => {
  const api = await scene(t);
  const { offer_id, api_key } = api.shop;
  const { redemption_code: code } = await api.issue();
  const admin = `/admin/offers/${offer_id}`;
  // all there can be, so that nothing has room to come back
  const body = { stock_quantity: 2_147_483_647 };
  await api.call('PATCH', admin, { token: api.admin1, body });
  for (let i = 0; i < 2; i += 1) {
    assert.equal((await api.call('DELETE', admin, { token: api.admin1 })).status, 204);
  }
  const token = api.member1;
  const list = await api.call('GET', '/rewards/offers', { token });
  assert.deepEqual(list.body.data, []);
  const one = await api.call('GET', `/rewards/offers/${offer_id}`, { token });
  assert.deepEqual(one.body.availability.reasons, ['offer_inactive']);
  const redeem = ['POST', '/rewards/redemptions'] as const;
  await refused(api, '409 offer_inactive', redeem, { token, body: { offer_id } });
  const seen = await api.call(...VALIDATE, { token: api_key, body: { code } });
  assert.equal(seen.status, 200);
  const cancel = `/rewards/redemptions/${seen.body.redemption_id}/cancel`;
  assert.equal((await api.call('POST', cancel, { token })).status, 200);
});

test('times beyond four digits, which SQL can set, stop no list', async (t) => {
  const api = await scene(t);
  const { redemption_id, qr_landing_url } = await api.issue();
  for (const time of ['infinity', '10000-01-01 00:00:00+00', '9999-12-31 23:59:59-12']) {
    await sql(api, 'UPDATE rewards.user_redemptions SET code_expires_at = $1', time);
    await sql(api, 'UPDATE rewards.redemption_offers SET valid_to = $1', time);
    const own = `/rewards/redemptions/${redemption_id}`;
    for (const path of [own, '/rewards/offers', '/admin/offers', '/admin/redemptions']) {
      const { status, body } = await api.call('GET', path, readerOf(api, path));
      assert.equal(status, 200, `${path} ${time}: ${JSON.stringify(body)}`);
    }
    const page = await api.app.inject(new URL(qr_landing_url).pathname);
    assert.equal(page.statusCode, 200, time);
  }
});

test('a problem speaks the caller’s language, Spanish when it says none', async (t) => {
  const api = await testApp(t);
  const title = { es: 'Sin autorización', en: 'Unauthorized' };
  const spanish = words(' es es-PA fr * q=1 ,,;; xx;q=9 en;q=0 fr,es;q=0.1 en;q=0.1,es;q=0.2');
  const english = words('en EN en-US,en;q=0.9,es;q=0.8 fr,en;q=0.1 es;q=0.1,en;q=0.2 es;q=0,en');
  for (const header of [...spanish, `es,${'en,'.repeat(300_000)}`, ...english]) {
    const language = english.includes(header) ? 'en' : 'es';
    const headers: Record<string, string> = header === '' ? {} : { 'accept-language': header };
    const ask = ['GET', '/rewards/balance'] as const;
    const told = await refused(api, '401 unauthorized', ask, { headers });
    assert.equal(told.body.title, title[language], header);
    assert.equal(told.headers['content-language'], language, header);
  }
  const token = await api.member(1);
  for (const [language, detail] of [['es', /^debe ser/] as const, ['en', /^must be/] as const]) {
    const headers = { 'accept-language': language };
    const ask = ['GET', '/rewards/offers?limit=0'] as const;
    const { body } = await refused(api, '400 invalid_request', ask, { token, headers });
    assert.match(body.errors[0].detail, detail);
  }
});

/** Limits of so many a window, and none but these. */
function limited(limits: object) {
  const none = { redeem: 0, read: 0, validate: 0, confirm: 0 };
  const rest = { misses: 0, authFailures: 0, landing: 0, admin: 0 };
  return { rateLimits: { ...none, ...rest, ...limits } };
}

test('too many requests are told to wait, each caller by itself', async (t) => {
  const names = ['redeem', 'read', 'validate', 'confirm', 'landing', 'admin', 'authFailures'];
  const api = await scene(t, limited(Object.fromEntries(names.map((name) => [name, 3]))));
  const { api_key, offer_id } = api.shop;
  const [rival, member2] = [(await api.merchant()).api_key, await api.member(2)];
  const confirm = ['POST', `/merchant/redemptions/${ABSENT}/confirm`] as const;
  const redeem = ['POST', '/rewards/redemptions'] as const;
  const cases: [string, number, Ask, string, string, object?][] = [
    ['redeem', 3, redeem, api.member1, member2, { offer_id }],
    ['read', 3, ['GET', '/rewards/balance'], api.member1, member2],
    ['validate', 6, VALIDATE, api_key, rival, { code: newCode() }],
    ['confirm', 6, confirm, api_key, rival],
    ['admin', 3, ['GET', '/admin/offers'], api.admin1, await api.admin(7)],
  ];
  for (const [name, points, ask, token, anotherToken, body] of cases) {
    const input = { token, ...(body && { body }) };
    for (let left = points - 1; left >= 0; left -= 1) {
      const { status, headers } = await api.call(...ask, input);
      assert.notEqual(status, 429, `${name}: ${left} left`);
      assert.match(
        String(headers['ratelimit-policy']),
        new RegExp(`^"${name}";q=${points};w=\\d+$`),
      );
      assert.match(String(headers.ratelimit), new RegExp(`^"${name}";r=${left};t=\\d+$`));
    }
    const { headers } = await refused(api, '429 rate_limited', ask, input);
    const seconds = Number(headers['retry-after']);
    assert.ok(seconds >= 1 && seconds <= 60, `${name}: Retry-After ${seconds}`);
    assert.match(String(headers.ratelimit), new RegExp(`^"${name}";r=0;t=\\d+$`));
    const other = await api.call(...ask, { ...input, token: anotherToken });
    assert.notEqual(other.status, 429, `${name}: another caller`);
  }
  // by address, which nobody can change by saying so
  const statuses: number[] = [];
  for (let nth = 0; nth < 4; nth += 1) {
    const headers = { 'x-forwarded-for': `203.0.113.${nth}` };
    statuses.push((await api.app.inject({ url: '/r/x', headers })).statusCode);
    statuses.push((await api.call(...STATS, { token: `lmk_${nth}`, headers })).status);
  }
  assert.deepEqual(statuses, [404, 401, 404, 401, 404, 401, 429, 429]);
  assert.equal((await api.call(...STATS, { token: api_key })).status, 200, 'proven before');
});

test('guessing codes ends after ten misses, and the shop goes on', async (t) => {
  const api = await scene(t, limited({ misses: 10 }));
  const { redemption_code } = await api.issue();
  const { api_key: token } = api.shop;
  const guess = (code: string) => ({ token, body: { code } });
  for (let i = 0; i < 10; i += 1) {
    const code = i % 2 ? newCode() : 'no code at all';
    await refused(api, '404 unknown_code', VALIDATE, guess(code));
  }
  for (let i = 0; i < 3; i += 1) {
    const { headers } = await refused(api, '429 rate_limited', VALIDATE, guess(newCode()));
    assert.ok(Number(headers['retry-after']) >= 1);
    assert.equal((await api.call(...VALIDATE, guess(redemption_code))).status, 200);
  }
  const rival = { token: (await api.merchant()).api_key, body: { code: newCode() } };
  await refused(api, '404 unknown_code', VALIDATE, rival);
});

test('refusals are audited within a budget, what is no code never', async (t) => {
  const api = await scene(t);
  const { api_key: token } = api.shop;
  for (let i = 0; i < 15; i += 1) {
    await refused(api, '404 unknown_code', VALIDATE, { token, body: { code: newCode() } });
    await refused(api, '404 unknown_code', VALIDATE, { token, body: { code: `no code ${i}` } });
  }
  const counts = await sql(api, "SELECT count FROM lumis.refusals WHERE kind = 'unknown'");
  const log = "rewards.redemption_audit_log WHERE metadata->>'reason' = 'unknown_code'";
  const [audited] = await sql(api, `SELECT count(*) AS rows FROM ${log}`);
  // the run may have met the turn of a minute
  const sum = (list: number[]) => list.reduce((all, one) => all + one, 0);
  assert.equal(sum(counts.map(({ count }) => count)), 15);
  assert.equal(audited.rows, sum(counts.map(({ count }) => Math.min(count, 10))));
});

test('the audit log has the address that a trusted proxy tells, and no junk', async (t) => {
  const junk = words("junk ' 999.1.1.1 [::1]:80 203.0.113.9:80 1.2.3.4/8");
  const told: Record<string, string | null> = {
    ...Object.fromEntries([...junk, 'x'.repeat(100_000)].map((one) => [one, null])),
    '203.0.113.9': '203.0.113.9',
    '10.0.0.1, 203.0.113.9': '203.0.113.9',
    '2001:db8::1': '2001:db8::1',
    'fe80::1%eth0': 'fe80::1',
    ',,,': '127.0.0.1',
  };
  for (const trustedProxies of [[], ['127.0.0.1']]) {
    const api = await scene(t, { trustedProxies });
    for (const [header, address] of Object.entries(told)) {
      const headers = { 'x-forwarded-for': header };
      const input = { token: api.member1, body: { offer_id: api.shop.offer_id }, headers };
      const { status, body } = await api.call('POST', '/rewards/redemptions', input);
      assert.equal(status, 201, `${header}: ${JSON.stringify(body)}`);
      const log = 'rewards.redemption_audit_log WHERE redemption_id = $1';
      const [row] = await sql(api, `SELECT host(ip_address) AS ip FROM ${log}`, body.redemption_id);
      const expected = trustedProxies.length > 0 ? address : '127.0.0.1';
      assert.equal(row.ip, expected, header.slice(0, 50));
    }
  }
});
