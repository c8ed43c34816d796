/**
 * Requests that nobody foresaw, made from the OpenAPI document: FUZZ_REQUESTS of them (20000 for a
 * long look), FUZZ_SEED to repeat a run. What an answer may be is in `judge`.
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import bcrypt from 'bcrypt';
import { type JWTPayload, SignJWT } from 'jose';
import type { Paired } from '../src/contract/device.ts';
import { PROBLEMS, REFUSALS } from '../src/core/failure.ts';
import { JWT_SECRET, type TestApp, testApp } from './support/app.ts';
import { makePhones, mendPhones } from './support/devices.ts';
import { injected } from './support/events.ts';
import {
  type FuzzRequest,
  harvest,
  makeRequest,
  mutated,
  type Operation,
  operationsOf,
  type Pools,
  type Random,
  randomFrom,
  type Sources,
} from './support/fuzz.ts';

const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 3000);
const SEED = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31));
const BURST = 8;
const SPOILT_AT_ONCE = 30;
const MEND_EVERY = 150;
const HEAP_GROWTH_MAX = 48 * 1024 ** 2;
const FAULTS_SHOWN = 15;
const ANSWER_MS_MAX = 10_000;

interface World extends Sources {
  api: TestApp;
  pools: Pools;
  members: string[];
  /** of merchants that are open */
  keys: string[];
  /** their phones */
  phones: Paired[];
}

const MEMBERS = [71, 72, 2_147_483_647];

async function makeWorld(t: TestContext): Promise<World> {
  // with a proxy before it, so that what X-Forwarded-For says counts
  const api = await testApp(t, { trustedProxies: ['127.0.0.1'] });
  const document = (await api.app.inject('/openapi.json')).json();
  const shops = [await api.merchant('Uno'), await api.merchant('Dos')] as const;
  const closed = await api.merchant('Cerrado');
  const hash = await bcrypt.hash('basic', 4);
  await sql(api, `UPDATE rewards.merchants SET api_key_hash = '${hash}'`);
  const basic = Buffer.from(`${shops[0].merchant_id}:basic`).toString('base64');
  const members = await Promise.all(
    MEMBERS.map(async (id) => `Bearer ${await api.member(id, { name: 'Ñandú 😀' })}`),
  );
  const admin = `Bearer ${await api.admin()}`;
  const keys = [...shops, closed].map(({ api_key }) => `Bearer ${api_key}`);
  const phones = await makePhones(api, shops);
  await makeOffers(api, [shops[0].merchant_id, shops[1].merchant_id, null]);
  const world = {
    api,
    members,
    keys: keys.slice(0, 2),
    phones,
    operations: operationsOf(document, api.app.routeTable),
    pools: { user_id: [...MEMBERS], code: [], token: [] } as Pools,
    credentials: {
      member: [...members, admin],
      merchant: [
        ...[...keys.slice(0, 2), `Basic ${basic}`],
        ...phones.map(({ device_token }) => `Bearer ${device_token}`),
      ],
      admin: [admin],
      public: ['', members[0] as string],
    },
    junkCredentials: [...(await junkTokens()), ...junkKeys(shops[0].api_key), keys[2] as string],
  };
  await mend(world);
  await api.call('DELETE', `/admin/merchants/${closed.merchant_id}`, { token: admin });
  return world;
}

/** One in every state that an offer can be in. */
async function makeOffers(api: TestApp, shops: (string | null)[]): Promise<void> {
  const [past, future] = ['2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z'];
  const states: Parameters<TestApp['offer']>[0][] = [
    ...[{}, { stock_quantity: 5 }, { stock_quantity: 0 }, { max_redemptions_per_user: 1 }],
    ...[{ valid_to: past }, { valid_from: future }, { is_active: false }, { code_ttl_minutes: 1 }],
    { valid_from: past, valid_to: future, on_expiry: 'forfeit' },
    { lumis_cost: 2_147_483_647 },
  ];
  for (const state of states) {
    for (const merchant_id of shops) await api.offer({ ...state, merchant_id });
  }
}

const sql = (api: TestApp, text: string) => api.db.query({ name: '', text, values: [] });

/**
 * Administrators' requests retire what the others need. From time to time it is put right, there
 * are new codes, one of which falls due, and the pools learn what there is by now.
 */
async function mend({ api, pools, members, keys, phones }: World): Promise<void> {
  const offers = 'rewards.redemption_offers WHERE lumis_cost BETWEEN 1 AND 100 AND stock_held < 50';
  await sql(api, "UPDATE rewards.merchants SET is_active = true WHERE merchant_name <> 'Cerrado'");
  await sql(api, 'UPDATE lumis.merchant_keys SET revoked_at = NULL');
  await mendPhones(api, phones);
  await sql(
    api,
    `UPDATE rewards.redemption_offers SET is_active = true, valid_from = NULL, valid_to = NULL,
       stock_quantity = greatest(stock_quantity, 3) WHERE lumis_cost BETWEEN 1 AND 100`,
  );
  // nothing random of the database's own: a seed repeats a run as nearly as its races allow
  const shuffled = 'ORDER BY md5(name_friendly || stock_held) LIMIT 9';
  const some = await sql(api, `SELECT offer_id FROM ${offers} ${shuffled}`);
  for (const [i, { offer_id }] of some.entries()) {
    const token = members[i % members.length] as string;
    if (i < members.length) await api.grant(MEMBERS[i] as number, 500);
    const { body } = await api.call('POST', '/rewards/redemptions', { token, body: { offer_id } });
    const path = `/merchant/redemptions/${body.redemption_id}/confirm`;
    if (i % 3 === 0) for (const key of keys) await api.call('POST', path, { token: key });
  }
  const one = `SELECT redemption_id FROM rewards.user_redemptions WHERE redemption_status = `;
  await sql(
    api,
    `UPDATE rewards.user_redemptions SET code_expires_at = now()
     WHERE redemption_id = (${one} 'pending' ORDER BY created_at LIMIT 1)`,
  );
  const known: Record<string, string> = {
    offer_id: `SELECT offer_id FROM ${offers}`,
    merchant_id: 'SELECT merchant_id FROM rewards.merchants',
    key_id: 'SELECT key_id FROM lumis.merchant_keys',
    branch_id: 'SELECT branch_id FROM lumis.branches',
    device_id: 'SELECT device_id FROM lumis.devices',
    redemption_id: `${one} redemption_status`,
    pending: `${one} 'pending'`,
    confirmed: `${one} 'confirmed'`,
    code: `SELECT redemption_code FROM rewards.user_redemptions`,
    token: 'SELECT landing_token FROM rewards.user_redemptions',
  };
  for (const [name, text] of Object.entries(known)) {
    const rows = await sql(api, `${text} ORDER BY created_at DESC LIMIT 20`);
    pools[name] = rows.map((row) => Object.values(row)[0]);
  }
}

/** Tokens that a careless verifier would take, and some that are no tokens at all. */
async function junkTokens(): Promise<string[]> {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const right = { sub: '71', exp };
  const sign = (claims: object, header: object = {}, secret = JWT_SECRET) =>
    new SignJWT(claims as JWTPayload)
      .setProtectedHeader({ alg: 'HS256', ...header })
      .sign(new TextEncoder().encode(secret));
  const good = await sign(right);
  const [head, body, signature] = good.split('.');
  const claims = [
    ...[0, -1, 1.5, '', '01', '1e3', '2147483648', ' 71', '71\n', null, [71], { a: 1 }, true].map(
      (sub) => ({ ...right, sub }),
    ),
    ...[exp - 1000, 0, -1, String(exp), null, 1e300].map((odd) => ({ ...right, exp: odd })),
    ...[{ exp }, { sub: '71' }, {}, { ...right, nbf: exp }, { ...right, iat: exp * 2 }],
    ...['Admin', ['admin'], { admin: true }, 'admin\0'].map((role) => ({ ...right, role })),
    { ...right, name: '\ud800\0'.repeat(300), email: 7, locale: ['x'] },
    { ...right, __proto__: null, constructor: 1 },
  ];
  const signed = await Promise.all(claims.map((one) => sign(one)));
  const headers = [{ kid: '../../x' }, { jku: 'http://127.0.0.1:1/' }, { typ: 'x' }];
  const headed = await Promise.all(headers.map((header) => sign(right, header)));
  const forged = ['none', 'None', 'HS384', 'RS256', 'ES256', 'EdDSA', '', 'hs256'].map(
    (alg) => `${part({ alg, typ: 'JWT' })}.${body}.${alg === 'none' ? '' : signature}`,
  );
  const crit = `${part({ alg: 'HS256', crit: ['exp'], b64: false })}.${body}.${signature}`;
  const odd = [good.slice(0, -1), `${good}x`, `${head}.${body}`, `${head}..`, '..', '....', crit];
  const other = await sign(right, {}, `${JWT_SECRET}!`);
  const tokens = [...signed, ...headed, ...forged, ...odd, other, 'x'.repeat(1_000_000)];
  return tokens.map((token) => `Bearer ${token}`);
}

function junkKeys(key: string): string[] {
  const [, id, secret = ''] = key.split('_');
  const base64 = (text: string) => `Basic ${Buffer.from(text, 'latin1').toString('base64')}`;
  const uuid = '0193e0a4-7c1e-7b9a-9d1f-5a3c2b1d0e9f';
  return [
    ...['', 'Bearer', 'Bearer ', 'Bearer a b', 'bearer\tx', 'Basic', 'Basic !!!', 'Digest x', 'é'],
    ...[':', '::', `${uuid}:x`, `${uuid}:\0`, `${uuid}:${'x'.repeat(73)}`, `x:${key}`].map(base64),
    ...[
      `lmk_${id}_`,
      `lmk_${id}_${secret.slice(0, -1)}x`,
      `lmk__${secret}`,
      `LMK_${id}_${secret}`,
    ].map((text) => `Bearer ${text}`),
    `Bearer ${key}${'x'.repeat(1_000_000)}`,
    `Basic ${'A'.repeat(1_000_000)}`,
  ];
}

interface Reply {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

const PROBLEM_TYPE = 'application/problem+json';
const CODES: readonly string[] = [...REFUSALS, ...PROBLEMS];
/** What only comes from inside: SQL, relations, stack traces, paths. */
const INNARDS = new RegExp(
  [
    '\\bSELECT\\b|INSERT INTO|\\bFROM (rewards|lumis|public)\\b|(rewards|lumis)\\.\\w|SQLSTATE',
    'fact_accum|\\bpg_[a-z]{3}|(relation|column) "|violates|syntax error|node_modules|Error:',
    '\\n\\s+at \\w|\\.[jt]s:\\d',
  ].join('|'),
);

const ajv = addFormats.default(new Ajv({ strict: false, allErrors: true }));
const validators = new Map<object, ValidateFunction>();

function conforms(schema: object, value: unknown): string[] {
  const validate = validators.get(schema) ?? ajv.compile(schema);
  validators.set(schema, validate);
  if (validate(value)) return [];
  return [`not as documented: ${ajv.errorsText(validate.errors).slice(0, 300)}`];
}

/** What is wrong with an answer; nothing, if it is as promised. */
function judge({ operation }: FuzzRequest, reply: Reply): string[] {
  const { status, headers, body } = reply;
  const type = String(headers['content-type'] ?? '').split(';')[0] as string;
  const faults: string[] = [];
  if (status >= 500) faults.push(`status ${status}`);
  // a 304 has no content for them to tell of: what was kept with the page goes on applying to it
  if (status === 304 && !headers.etag) faults.push('a 304 without its tag');
  else if (status !== 304 && headers['x-content-type-options'] !== 'nosniff') {
    faults.push('no security headers');
  }
  if (operation.method === 'HEAD') return body === '' ? faults : [...faults, 'HEAD with a body'];
  const isPage = type === 'text/html';
  if (status >= 400 && !isPage) faults.push(...problemFaults(status, type, body));
  if (!operation.responses) return faults;
  const documented = operation.responses[status] ?? operation.responses[`${String(status)[0]}XX`];
  if (!documented) return [...faults, `status ${status} is not documented`];
  const content = documented.content?.[type];
  if (!content && body !== '') faults.push(`${status} as ${type} is not documented`);
  if (type.endsWith('json') && content) faults.push(...conforms(content.schema, parse(body)));
  if (!/image|yaml/.test(type) && INNARDS.test(body)) faults.push(`tells ${INNARDS.exec(body)}`);
  return faults;
}

function problemFaults(status: number, type: string, body: string): string[] {
  if (type !== PROBLEM_TYPE) return [`${status} as ${type}`];
  const problem = parse(body) as Record<string, any>;
  const faults: string[] = [];
  if (!CODES.includes(problem?.code)) faults.push(`unknown code ${problem?.code}`);
  if (problem?.status !== status) faults.push(`says status ${problem?.status}`);
  // `request` is what is said when nobody knows what was wrong: the schema should have
  const fields = (problem?.errors ?? []).map((one: any) => one.field);
  const isVague = fields.length === 0 || (status === 400 && fields.includes('request'));
  if (problem?.code === 'invalid_request' && isVague) faults.push(`${status} names no field`);
  return faults;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

async function send({ api }: World, request: FuzzRequest): Promise<Reply & { ms: number }> {
  const { operation: _, flaws: __, method, ...rest } = request;
  const began = performance.now();
  const { statusCode, headers, body } = await injected(api.app, { method, ...rest });
  return { status: statusCode, headers, body, ms: performance.now() - began };
}

/** Faults by what went wrong where, so that one bug is one line with one example. */
type Findings = Map<string, string>;

function assertNone(findings: Findings): void {
  const shown = [...findings].slice(0, FAULTS_SHOWN).map(([what, one]) => `${what}\n    ${one}`);
  const more = Math.max(0, findings.size - FAULTS_SHOWN);
  assert.equal(findings.size, 0, `FUZZ_SEED=${SEED}\n${shown.join('\n')}\nand ${more} more`);
}

function example(nth: number, { method, url, headers, payload, flaws }: FuzzRequest): string {
  const cut = (text: string) =>
    text.length > 200 ? `${text.slice(0, 200)}… ${text.length}` : text;
  const shown = Object.entries(headers).map(([name, value]) => `${name}: ${cut(value)}`);
  const body = payload === undefined ? '' : JSON.stringify(cut(String(payload)));
  return `#${nth} ${flaws} ${method} ${cut(url)} | ${shown.join(' | ')} | ${body}`;
}

function heap(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

async function fuzz(world: World, random: Random, findings: Findings) {
  const statuses = new Map<number, number>();
  const succeeded = new Set<Operation>();
  let slowest = 0;
  let quarter = 0;
  for (let nth = 0; nth < REQUESTS; ) {
    // Most alone, so that a seed repeats a run; some together, for the races.
    const size = random.chance(0.03) ? BURST : 1;
    const requests = Array.from({ length: size }, () => makeRequest(random, world));
    const replies = await Promise.all(requests.map((request) => send(world, request)));
    requests.forEach((request, i) => {
      const reply = replies[i] as Reply & { ms: number };
      const { operation } = request;
      statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
      slowest = Math.max(slowest, reply.ms);
      for (const fault of judge(request, reply)) {
        const where = `${operation.method} ${operation.url}: ${fault}`;
        const body = reply.body.slice(0, 300);
        if (!findings.has(where)) findings.set(where, `${example(nth + i, request)}\n    ${body}`);
      }
      if (reply.status < 300) {
        succeeded.add(operation);
        harvest(world.pools, operation.url, parse(reply.body));
      }
    });
    if (Math.floor((nth + size) / MEND_EVERY) > Math.floor(nth / MEND_EVERY)) await mend(world);
    nth += size;
    if (quarter === 0 && nth >= REQUESTS / 4) quarter = heap();
  }
  return { statuses, succeeded, slowest, growth: heap() - quarter };
}

test('whatever is asked, the answer is as documented', async (t) => {
  t.diagnostic(`FUZZ_SEED=${SEED} FUZZ_REQUESTS=${REQUESTS}`);
  const world = await makeWorld(t);
  const findings: Findings = new Map();
  const began = performance.now();
  const { statuses, succeeded, slowest, growth } = await fuzz(world, randomFrom(SEED), findings);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`);
  t.diagnostic(`${REQUESTS} requests in ${seconds} s; ${counts.join(', ')}`);
  t.diagnostic(`slowest ${Math.round(slowest)} ms, heap +${Math.round(growth / 2 ** 20)} MiB`);
  assertNone(findings);
  assert.ok(slowest < ANSWER_MS_MAX, `an answer took ${Math.round(slowest)} ms`);
  assert.ok(growth < HEAP_GROWTH_MAX, `the heap grew by ${growth} bytes`);
  assert.equal(({} as Record<string, unknown>).polluted, undefined, 'a prototype was changed');
  // that the fuzzing reaches what lies behind the checks; all of it, given the time
  const wanted = world.operations.filter((one) => one.responses && one.audience !== 'public');
  const never = wanted.filter((one) => !succeeded.has(one));
  const allowed = REQUESTS < 1000 ? wanted.length : REQUESTS < 20_000 ? wanted.length / 4 : 0;
  const names = never.map(({ method, url }) => `${method} ${url}`);
  t.diagnostic(`never succeeded: ${names.join(', ') || 'none'}`);
  assert.ok(never.length <= allowed, `never succeeded: ${names}`);
  const token = await world.api.member(73);
  await world.api.grant(73, 10);
  const body = { offer_id: await world.api.offer() };
  const { status } = await world.api.call('POST', '/rewards/redemptions', { token, body });
  assert.equal(status, 201, 'and an honest member still gets a code');
});

const HEAD = 'POST /api/v1/merchant/validate HTTP/1.1\r\nHost: x\r\n';
const HEALTHY = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const JSON_HEAD = `${HEAD}Content-Type: application/json\r\n`;
const filled = (length: number) => 'x'.repeat(length);

/** Bytes that are no request of ours: each is told 4xx, or the connection is closed. */
const GARBAGE = [
  ...['2, 2', '-1', '+2', '0x2', '2 2', '9'.repeat(25), '2\r\nContent-Length: 3'].map(
    (length) => `${HEAD}Content-Length: ${length}\r\n\r\n{}x`,
  ),
  // what a proxy could read as two requests
  ...[
    'chunked\r\nContent-Length: 4',
    'xchunked',
    'chunked, identity',
    '\vchunked',
    'chunked\r\n ',
  ].map((coding) => `${HEAD}Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n${HEALTHY}`),
  `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  ...['zz\r\n{}', `${'F'.repeat(17)}\r\n{}`, '-1\r\n', '10\r\n{'].map((chunk) => CHUNKED + chunk),
  `${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n9C40\r\n${filled(40_000)}\r\n0\r\n\r\n`,
  `${JSON_HEAD}Content-Length: 40000\r\n\r\n{`,
  `${JSON_HEAD}Content-Length: 100\r\n\r\n{"code":`,
  ...['X-A: a\0b', 'X-A: a\rb', 'X-A: a\r\n b', ': a', 'xyz', 'X A: a', `A: ${filled(40_000)}`].map(
    (header) => `${HEAD}${header}\r\n\r\n`,
  ),
  `${HEAD}${'X-A: b\r\n'.repeat(6000)}\r\n`,
  `${HEAD}Authorization: Bearer ${filled(1_000_000)}\r\n\r\n`,
  `${HEAD}Expect: miracles\r\nContent-Length: 0\r\n\r\n`,
  ...[`/${filled(40_000)}`, '/r/\xff\xfe\x80', '/healthz x', '', 'healthz', 'http://', '\0'].map(
    (path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`,
  ),
  ...['FOO / HTTP/1.1', 'get / HTTP/1.1', 'CONNECT x:443 HTTP/1.1', 'GET / HTTP/9.9'].map(
    (line) => `${line}\r\nHost: x\r\n\r\n`,
  ),
  ...['GET /healthz HTTP/1.1\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nX-', 'GET /hea', filled(9000)],
  ...[
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    '\0'.repeat(999),
  ],
];

/** How long the server may say nothing before the connection is given up. */
const SILENCE_MS = 150;

/** Sends bytes and collects what comes back until the connection closes or falls silent. */
async function exchange(port: number, text: string): Promise<{ statuses: number[]; told: string }> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  // a reset is an answer too
  socket.on('error', () => undefined);
  socket.setTimeout(SILENCE_MS, () => socket.destroy());
  socket.write(Buffer.from(text, 'latin1'));
  await once(socket, 'close');
  const told = Buffer.concat(chunks).toString('latin1');
  return { told, statuses: [...told.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, s]) => Number(s)) };
}

/** Right requests, alone and in a row, for `mutated` to spoil. */
async function rightTexts(api: TestApp): Promise<string[]> {
  const { api_key } = await api.merchant();
  await api.grant(1, 1000);
  const [token, offer_id] = [await api.member(1), await api.offer()];
  const post = (path: string, credential: string, body: object) => {
    const text = JSON.stringify(body);
    const head = `POST /api/v1${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${credential}`;
    const type = `Idempotency-Key: raw\r\nContent-Type: application/json`;
    return `${head}\r\n${type}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
  };
  const redeem = post('/rewards/redemptions', token, { offer_id });
  const validate = post('/merchant/validate', api_key, { code: 'LUMS-0000' });
  const own = HEALTHY.replace('Host', `Authorization: Bearer ${token}\r\nHost`);
  const balance = own.replace('/healthz', '/api/v1/rewards/balance');
  const chunked = redeem.replace(/Content-Length: (\d+)\r\n\r\n(.*)$/s, (_, length, text) => {
    const size = Number(length).toString(16);
    return `Transfer-Encoding: chunked\r\n\r\n${size}\r\n${text}\r\n0\r\n\r\n`;
  });
  return [HEALTHY, redeem, validate, balance, chunked, HEALTHY + validate + balance + redeem];
}

test('bytes that are no request are told 4xx or cut off, and the server goes on', async (t) => {
  const api = await testApp(t);
  const right = await rightTexts(api);
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.app.server.address() as AddressInfo;
  const replies = await Promise.all(GARBAGE.map((text) => exchange(port, text)));
  for (const [i, { statuses, told }] of replies.entries()) {
    const what = JSON.stringify(GARBAGE[i]?.slice(0, 150));
    assert.ok(
      statuses.every((status) => status >= 400 && status < 500),
      `${what}: ${statuses}`,
    );
    // an empty one is of Node itself
    const types = [...told.matchAll(/^content-type: ([^;\r]*)/gim)].map(([, type]) => type);
    assert.ok(
      types.every((type) => type === PROBLEM_TYPE),
      `${what}: ${types}`,
    );
    assert.doesNotMatch(told, INNARDS, what);
  }

  const random = randomFrom(SEED);
  const counts = new Map<number | string, number>();
  for (let nth = 0; nth < REQUESTS / 10; nth += SPOILT_AT_ONCE) {
    const spoilt = Array.from({ length: SPOILT_AT_ONCE }, () =>
      mutated(random, random.pick(right)),
    );
    const answers = await Promise.all(spoilt.map((text) => exchange(port, text)));
    answers.forEach(({ statuses, told }, i) => {
      const what = `FUZZ_SEED=${SEED} ${JSON.stringify(spoilt[i])}: ${statuses}`;
      assert.ok(
        statuses.every((status) => status < 500),
        what,
      );
      assert.doesNotMatch(told, INNARDS, what);
      const outcomes = statuses.length > 0 ? statuses : ['closed'];
      for (const one of outcomes) counts.set(one, (counts.get(one) ?? 0) + 1);
    });
  }
  const spread = [...counts].map(([status, n]) => `${status}: ${n}`).join(', ');
  t.diagnostic(`${GARBAGE.length} kinds of garbage; spoilt requests ${spread}`);
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
});
