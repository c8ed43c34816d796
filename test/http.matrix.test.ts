/**
 * Who may call what: every route of the server × every kind of caller × whose object it is. A
 * route without an expectation fails, and so does an expectation without a route.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import bcrypt from 'bcrypt';
import { SignJWT } from 'jose';
import { REFUSALS } from '../src/core/failure.ts';
import { landingToken } from '../src/core/ids.ts';
import { newCode } from '../src/redemptions/code.ts';
import { JWT_SECRET, type TestApp, testApp } from './support/app.ts';

/**
 * audience, method, path, kind of object, then what those it is for are told when the object is
 * their own, another's, or absent (`=`: the same as before). `-` is nothing. HEAD is expected to
 * answer as GET does. What is for somebody is below /api/v1.
 */
const EXPECTED = readTable(`
  -        OPTIONS *                                             -         404:not_found
  -        GET    /docs                                          -         200
  -        GET    /docs/static/index.html                        -         302
  -        GET    /docs/static/swagger-initializer.js            -         200
  -        GET    /docs/static/*                                 -         200
  -        GET    /docs/json                                     -         200
  -        GET    /docs/yaml                                     -         200
  public   GET    /                                              -         200
  public   GET    /assets/page.css                               -         200
  public   GET    /assets/icon.svg                               -         200
  public   GET    /openapi.json                                  -         200
  public   GET    /healthz                                       -         200
  public   GET    /readyz                                        -         200
  public   GET    /metrics                                       -         200
  public   GET    /r/:token                                      token     200 = 404
  member   GET    /rewards/offers                                -         200
  member   GET    /rewards/offers/:offer_id                      offer     200 = 404:unknown_offer
  member   POST   /rewards/redemptions                           redeem    201 = 404:unknown_offer
  member   GET    /rewards/redemptions                           -         200
  member   GET    /rewards/redemptions/:redemption_id            pending   200 404:not_found =
  member   POST   /rewards/redemptions/:redemption_id/cancel     pending   200 404:not_found =
  member   GET    /rewards/redemptions/:redemption_id/qr.svg     pending   200 404:not_found =
  member   GET    /rewards/redemptions/:redemption_id/qr.png     pending   200 404:not_found =
  member   GET    /rewards/balance                               -         200
  member   GET    /rewards/ledger                                -         200
  merchant POST   /merchant/validate                             code      200 404:unknown_code =
  merchant POST   /merchant/redemptions/:redemption_id/confirm   pending   200 404:unknown_code =
  merchant POST   /merchant/redemptions/:redemption_id/reverse   confirmed 200 404:unknown_code =
  merchant GET    /merchant/redemptions                          -         200
  merchant GET    /merchant/stats                                -         200
  admin    GET    /admin/members                                 -         200
  admin    GET    /admin/members/:user_id/balance                user      200 = =
  admin    GET    /admin/members/:user_id/ledger                 user      200 = =
  admin    POST   /admin/members/:user_id/ledger                 user      201 = =
  admin    GET    /admin/redemptions                             -         200
  admin    GET    /admin/redemptions/:redemption_id              pending   200 = 404:not_found
  admin    POST   /admin/redemptions/:redemption_id/cancel       pending   200 = 404:not_found
  admin    POST   /admin/redemptions/:redemption_id/reverse      confirmed 200 = 404:unknown_code
  admin    GET    /admin/audit                                   -         200
  admin    GET    /admin/changes                                 -         200
  admin    GET    /admin/offers                                  -         200
  admin    POST   /admin/offers                                  -         201
  admin    GET    /admin/offers/:offer_id                        offer     200 = 404:unknown_offer
  admin    PATCH  /admin/offers/:offer_id                        offer     200 = 404:unknown_offer
  admin    DELETE /admin/offers/:offer_id                        offer     204 = 404:unknown_offer
  admin    GET    /admin/merchants                               -         200
  admin    POST   /admin/merchants                               -         201
  admin    GET    /admin/merchants/:merchant_id                  merchant  200 = 404:not_found
  admin    PATCH  /admin/merchants/:merchant_id                  merchant  200 = 404:not_found
  admin    DELETE /admin/merchants/:merchant_id                  merchant  204 = 404:not_found
  admin    GET    /admin/merchants/:merchant_id/keys             merchant  200 = 404:not_found
  admin    POST   /admin/merchants/:merchant_id/keys             merchant  201 = 404:not_found
  admin    DELETE /admin/merchants/:merchant_id/keys/:key_id     key       204 404:not_found =
`);

interface Expectation {
  audience: string;
  kind: string;
  outcomes: string[];
}

function readTable(text: string): Map<string, Expectation> {
  const lines = text.trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [audience = '', method, path, kind = '', ...told] = line.trim().split(/\s+/);
      const outcomes: string[] = [];
      for (const one of told) outcomes.push(one === '=' ? (outcomes.at(-1) as string) : one);
      const base = ['-', 'public'].includes(audience) ? '' : '/api/v1';
      return [`${method} ${base}${path}`, { audience, kind, outcomes }];
    }),
  );
}

/** What a POST or PATCH sends when nothing of it names an object. */
const BODIES: Record<string, () => object> = {
  'POST /api/v1/merchant/redemptions/:redemption_id/reverse': () => ({ reason: 'matrix' }),
  'POST /api/v1/admin/redemptions/:redemption_id/cancel': () => ({ reason: 'matrix' }),
  'POST /api/v1/admin/redemptions/:redemption_id/reverse': () => ({ reason: 'matrix' }),
  'POST /api/v1/admin/members/:user_id/ledger': () => ({ quantity: 1, reason: 'matrix' }),
  'POST /api/v1/admin/offers': () => ({ name_friendly: 'New', lumis_cost: 5 }),
  'PATCH /api/v1/admin/offers/:offer_id': () => ({ terms: 'matrix' }),
  'POST /api/v1/admin/merchants': () => ({ merchant_name: `New ${randomUUID()}` }),
  'PATCH /api/v1/admin/merchants/:merchant_id': () => ({ contact_phone: '1' }),
  'POST /api/v1/admin/merchants/:merchant_id/keys': () => ({ label: 'matrix' }),
};

const RELATIONS = ['own', 'another', 'absent'] as const;
type Relation = (typeof RELATIONS)[number];

interface Issued {
  redemption_id: string;
  code: string;
  token: string;
}

/** A member and the merchant whose offers they redeem: what is one side's is another's secret. */
interface Side {
  name: string;
  userId: number;
  memberToken: string;
  merchantId: string;
  apiKey: string;
  keyId: string;
  offerId: string;
  pending: Issued;
  confirmed: Issued;
  /** every redemption the test made for this side */
  issued: Issued[];
}

interface Role {
  name: string;
  /** whom the credential lets in as; undefined is nobody */
  as: 'member' | 'merchant' | 'admin' | undefined;
  authorization: string | undefined;
  side: Side;
}

interface World {
  test: TestApp;
  sides: Side[];
  another: (side: Side) => Side;
  roles: Role[];
  /** SQL that gives each table's count of rows and checksum */
  tables: string;
}

const BASIC_SECRET = 'a key of the older kind';
const USER_IDS = { ana: 1710171017, beto: 1820182018, closed: 1930193019, staff: 2040204020 };

async function makeSide(test: TestApp, name: keyof typeof USER_IDS, shop?: Side): Promise<Side> {
  const userId = USER_IDS[name];
  const claims = { name: `Member-${name}`, email: `${name}@member.example` };
  const merchant = shop
    ? { merchant_id: shop.merchantId, api_key: shop.apiKey }
    : await test.merchant(`Shop-${name}`);
  const side = {
    name,
    userId,
    memberToken: await test.member(userId, claims),
    merchantId: merchant.merchant_id,
    apiKey: merchant.api_key,
    keyId: merchant.api_key.split('_')[1] as string,
    offerId: shop?.offerId ?? (await test.offer({ merchant_id: merchant.merchant_id })),
    issued: [] as Issued[],
  } as Side;
  await test.grant(userId, 100_000);
  side.pending = await issue(test, side);
  side.confirmed = await issue(test, side);
  await confirmed(test, side, side.confirmed);
  return side;
}

/** A step of the preparations, which has to succeed. */
async function must(
  test: TestApp,
  status: number,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  token: string,
  body: object = {},
) {
  const answer = await test.call(method, path, { token, ...(method === 'POST' ? { body } : {}) });
  assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

async function issue(test: TestApp, side: Side): Promise<Issued> {
  const input = { offer_id: side.offerId };
  const body = await must(test, 201, 'POST', '/rewards/redemptions', side.memberToken, input);
  const { redemption_id, redemption_code: code, qr_landing_url } = body;
  const issued = { redemption_id, code, token: qr_landing_url.split('/').at(-1) };
  side.issued.push(issued);
  return issued;
}

async function confirmed(test: TestApp, side: Side, issued: Issued): Promise<Issued> {
  const path = `/merchant/redemptions/${issued.redemption_id}/confirm`;
  await must(test, 200, 'POST', path, side.apiKey);
  return issued;
}

function signed(userId: number, secret: string, expires: string): Promise<string> {
  return new SignJWT({ role: 'admin' })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(String(userId))
    .setExpirationTime(expires)
    .sign(new TextEncoder().encode(secret));
}

/** The same claims as a good token has, and no signature. */
function unsigned(userId: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const claims = { sub: String(userId), exp, role: 'admin' };
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;
}

async function makeWorld(t: TestContext): Promise<World> {
  const test = await testApp(t);
  const ana = await makeSide(test, 'ana');
  const beto = await makeSide(test, 'beto');
  const closed = await makeSide(test, 'closed');
  const staff = await makeSide(test, 'staff', ana);
  const hash = await bcrypt.hash(BASIC_SECRET, 4);
  await sql(test, 'UPDATE rewards.merchants SET api_key_hash = $2 WHERE merchant_id = $1', [
    ana.merchantId,
    hash,
  ]);
  const adminToken = await test.admin(USER_IDS.staff);
  const keys = `/admin/merchants/${ana.merchantId}/keys`;
  const extra = await must(test, 201, 'POST', keys, adminToken);
  // proven before they end: what is remembered of a key must not outlive it
  await must(test, 200, 'GET', '/merchant/stats', extra.api_key);
  await must(test, 204, 'DELETE', `${keys}/${extra.key_id}`, adminToken);
  await must(test, 204, 'DELETE', `/admin/merchants/${closed.merchantId}`, adminToken);
  // the administrator becomes a member by looking at the own wallet
  await must(test, 200, 'GET', '/rewards/balance', adminToken);

  const basic = Buffer.from(`${ana.merchantId}:${BASIC_SECRET}`).toString('base64');
  const nobody = { as: undefined, side: ana };
  const old = await signed(ana.userId, JWT_SECRET, '-1m');
  const forged = await signed(ana.userId, `${JWT_SECRET} of somebody else`, '10m');
  const roles: Role[] = [
    { name: 'anonymous', ...nobody, authorization: undefined },
    { name: 'expired token', ...nobody, authorization: `Bearer ${old}` },
    { name: 'token of another key', ...nobody, authorization: `Bearer ${forged}` },
    { name: 'token of alg none', ...nobody, authorization: `Bearer ${unsigned(ana.userId)}` },
    { name: 'member A', as: 'member', side: ana, authorization: `Bearer ${ana.memberToken}` },
    { name: 'member B', as: 'member', side: beto, authorization: `Bearer ${beto.memberToken}` },
    { name: 'merchant 1', as: 'merchant', side: ana, authorization: `Bearer ${ana.apiKey}` },
    { name: 'merchant 1 by Basic', as: 'merchant', side: ana, authorization: `Basic ${basic}` },
    { name: 'merchant 2', as: 'merchant', side: beto, authorization: `Bearer ${beto.apiKey}` },
    { name: 'deactivated', as: undefined, side: closed, authorization: `Bearer ${closed.apiKey}` },
    { name: 'revoked key', ...nobody, authorization: `Bearer ${extra.api_key}` },
    { name: 'admin', as: 'admin', side: staff, authorization: `Bearer ${adminToken}` },
  ];
  const sides = [ana, beto, closed, staff];
  const another = (side: Side) => (side === beto ? ana : beto);
  return { test, sides, another, roles, tables: await checksums(test) };
}

const sql = (test: TestApp, text: string, values: unknown[] = []) =>
  test.db.query({ name: '', text, values });

/** What a refusal may write is left out: its audit row and its count. */
async function checksums(test: TestApp): Promise<string> {
  const tables = await sql(
    test,
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname IN ('rewards', 'lumis', 'public') ORDER BY 1`,
  );
  assert.ok(tables.length > 10);
  const without: Record<string, string> = {
    'lumis.refusals': 'WHERE false',
    'rewards.redemption_audit_log': "WHERE action <> 'refused'",
  };
  const each = tables.map(
    ({ name }) => `SELECT '${name}' AS name, count(*) AS rows,
      md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) AS sum
      FROM ${name} t ${without[name] ?? ''}`,
  );
  return each.join(' UNION ALL ');
}

type Checksums = Map<string, { rows: number; sum: string }>;

async function look({ test, tables }: World): Promise<Checksums> {
  return new Map((await sql(test, tables)).map(({ name, rows, sum }) => [name, { rows, sum }]));
}

/** The tables that differ; a stored refusal is one idempotency key more (R12). */
function differences(before: Checksums, after: Checksums, code: string | undefined): string[] {
  return [...before].flatMap(([name, { rows, sum }]) => {
    const now = after.get(name);
    if (now?.sum === sum) return [];
    const isStoredRefusal =
      name === 'lumis.idempotency_keys' &&
      (REFUSALS as readonly string[]).concat('not_found').includes(code ?? '') &&
      now?.rows === rows + 1;
    return isStoredRefusal ? [] : [name];
  });
}

/** One request of the matrix: the path's parameters and what the body has of the object. */
interface Target {
  params: Record<string, string>;
  body?: object;
}

const ABSENT = '0193e0a4-7c1e-7b9a-9d1f-5a3c2b1d0e9f';

/** The object of a cell. One that a call may change is made for that call alone. */
async function targetOf(
  world: World,
  kind: string,
  { side, relation, isFresh }: { side: Side; relation: Relation; isFresh: boolean },
): Promise<Target> {
  const { test } = world;
  const of = relation === 'another' ? world.another(side) : side;
  const exists = relation !== 'absent';
  const makes = isFresh && exists;
  switch (kind) {
    case 'offer':
    case 'redeem': {
      const made = makes && kind === 'offer' ? await test.offer() : of.offerId;
      const offer_id = exists ? made : ABSENT;
      return kind === 'offer' ? { params: { offer_id } } : { params: {}, body: { offer_id } };
    }
    case 'pending':
    case 'confirmed': {
      const issued = makes ? await issue(test, of) : of[kind];
      if (makes && kind === 'confirmed') await confirmed(test, of, issued);
      return { params: { redemption_id: exists ? issued.redemption_id : ABSENT } };
    }
    case 'code':
      return { params: {}, body: { code: exists ? of.pending.code : newCode() } };
    case 'token':
      return { params: { token: exists ? of.pending.token : landingToken() } };
    case 'user':
      return { params: { user_id: String(exists ? of.userId : 12345) } };
    case 'merchant': {
      const merchant_id = makes ? await plainMerchant(test) : of.merchantId;
      return { params: { merchant_id: exists ? merchant_id : ABSENT } };
    }
    case 'key': {
      const key_id = makes ? await plainKey(test, of) : of.keyId;
      return { params: { merchant_id: side.merchantId, key_id: exists ? key_id : 'absent' } };
    }
    default:
      return { params: {} };
  }
}

/** Without a key: hashing one would take a quarter of a second. */
async function plainMerchant(test: TestApp): Promise<string> {
  const text =
    'INSERT INTO rewards.merchants (merchant_name) VALUES ($1) RETURNING merchant_id AS id';
  return (await sql(test, text, [`Plain ${randomUUID()}`]))[0].id;
}

async function plainKey(test: TestApp, side: Side): Promise<string> {
  const text = `INSERT INTO lumis.merchant_keys (key_id, merchant_id, secret_hash, created_by)
    VALUES ($1, $2, 'x', 'test') RETURNING key_id AS id`;
  return (await sql(test, text, [randomUUID().slice(0, 12), side.merchantId]))[0].id;
}

function isLetIn(audience: string, role: Role): boolean {
  if (audience === 'public' || audience === '-') return true;
  // an administrator is a member too, of the own wallet alone
  return role.as === audience || (role.as === 'admin' && audience === 'member');
}

function outcomeOf(expectation: Expectation, role: Role, relation: Relation): string {
  const { audience, outcomes } = expectation;
  if (isLetIn(audience, role)) return outcomes[RELATIONS.indexOf(relation)] as string;
  return audience === 'admin' && role.as === 'member' ? '403:forbidden' : '401:unauthorized';
}

/** What must not be in the answer to this caller. */
function secretsFrom(world: World, audience: string, role: Role): string[] {
  const entitled = isLetIn(audience, role) ? audience : 'nobody';
  const keys = world.sides.map((side) => side.apiKey.split('_')[2] as string);
  const secrets = [...keys, BASIC_SECRET, JWT_SECRET, '$2b$'];
  for (const side of world.sides) {
    const isOwn = side === role.side;
    const member = [String(side.userId), `Member-${side.name}`, `${side.name}@member.example`];
    const codes = side.issued.map((one) => one.code);
    const redemptions = side.issued.flatMap((one) => [one.redemption_id, one.token]);
    const merchant = [side.merchantId, `Shop-${side.name}`];
    // two sides may share a shop, whose confirmations are then the shop's business
    const isOwnShop = side.merchantId === role.side.merchantId;
    if (entitled === 'nobody') secrets.push(...member, ...codes, ...redemptions, ...merchant);
    if (entitled === 'public') secrets.push(...member, ...codes);
    if (entitled === 'member' && !isOwn) secrets.push(...member, ...codes, ...redemptions);
    if (entitled === 'admin') secrets.push(...codes, ...side.issued.map((one) => one.token));
    if (entitled === 'merchant') secrets.push(...member, ...codes);
    if (entitled === 'merchant' && !isOwnShop) secrets.push(...redemptions, ...merchant);
  }
  return secrets;
}

interface Cell {
  name: string;
  method: string;
  route: string;
  expectation: Expectation;
  role: Role;
  relation: Relation;
}

/** The row that a route is held against: HEAD goes with GET, and `/docs/` with `/docs`. */
function rowOf(method: string, url: string): string {
  return `${method === 'HEAD' ? 'GET' : method} ${url.replace(/(.)\/$/, '$1')}`;
}

function* cellsOf(world: World): Generator<Cell> {
  for (const { method, url } of world.test.app.routeTable) {
    const route = rowOf(method, url);
    const expectation = EXPECTED.get(route);
    if (!expectation) continue;
    for (const role of world.roles) {
      for (const relation of RELATIONS.slice(0, expectation.outcomes.length)) {
        const name = `${method} ${url} as ${role.name}, ${relation}`;
        yield { name, method, route, expectation, role, relation };
      }
    }
  }
}

let serial = 0;

async function ask(world: World, { method, route, role }: Cell, target: Target) {
  const [, path = ''] = route.split(' ');
  const known: Record<string, string> = {
    '*': '/api/v1/rewards/offers',
    '/docs/static/*': '/docs/static/swagger-ui.css',
  };
  const url = known[path] ?? path.replace(/:(\w+)/g, (_, name) => target.params[name] as string);
  const payload = target.body ?? BODIES[route]?.();
  const headers = {
    ...(role.authorization === undefined ? {} : { authorization: role.authorization }),
    ...(method === 'POST' ? { 'idempotency-key': `matrix ${++serial}` } : {}),
  };
  const request = { method: method as 'GET', url, headers, ...(payload ? { payload } : {}) };
  const reply = await world.test.app.inject(request);
  const isProblem = String(reply.headers['content-type']).startsWith('application/problem+json');
  const code = isProblem && method !== 'HEAD' ? JSON.parse(reply.body).code : undefined;
  return { reply, code, outcome: [reply.statusCode, code].filter(Boolean).join(':') };
}

/** Asks one cell; what is wrong with the answer. `before` is the state it starts from, if known. */
async function faultsOf(world: World, cell: Cell, before: Checksums | undefined) {
  const { method, expectation, role, relation } = cell;
  const reads = method === 'GET' || method === 'HEAD';
  const isFresh = !reads && isLetIn(expectation.audience, role);
  const at = { side: role.side, relation, isFresh };
  const target = await targetOf(world, expectation.kind, at);
  const start = isFresh || !before ? await look(world) : before;
  const { reply, code, outcome } = await ask(world, cell, target);
  const end = await look(world);
  const faults: string[] = [];
  const full = outcomeOf(expectation, role, relation);
  const expected = method === 'HEAD' ? full.slice(0, 3) : full;
  if (outcome !== expected) faults.push(`expected ${expected}, got ${outcome}`);
  const changed = differences(start, end, code);
  if ((reads || reply.statusCode >= 400) && changed.length > 0) faults.push(`changed ${changed}`);
  if (method === 'HEAD' && reply.body !== '') faults.push('HEAD with a body');
  const secrets = secretsFrom(world, expectation.audience, role);
  const told = secrets.filter((secret) => reply.body.includes(secret));
  if (told.length > 0) faults.push(`tells ${told}`);
  return { faults: faults.map((fault) => `${cell.name}: ${fault}`), end };
}

test('every route and caller: as expected, no secret, nothing changed by a refusal', async (t) => {
  const world = await makeWorld(t);
  const table = world.test.app.routeTable;
  const routes = new Map(table.map(({ method, url, audience }) => [`${method} ${url}`, audience]));
  const unexpected = table.filter(({ method, url }) => !EXPECTED.has(rowOf(method, url)));
  assert.deepEqual(unexpected, [], 'routes that nobody expected');
  for (const [route, { audience }] of EXPECTED) {
    assert.ok(routes.has(route), `no such route: ${route}`);
    assert.equal(routes.get(route) ?? '-', audience, `${route}: for whom`);
  }

  const faults: string[] = [];
  let cells = 0;
  let state: Checksums | undefined;
  for (const cell of cellsOf(world)) {
    const result = await faultsOf(world, cell, state);
    state = result.end;
    faults.push(...result.faults);
    cells += 1;
  }
  t.diagnostic(`${cells} cells: ${routes.size} routes, ${world.roles.length} callers`);
  assert.deepEqual(faults, []);
});
