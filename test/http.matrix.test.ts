/**
 * Who may call what: every route of the server × every kind of caller × whose object it is. A
 * route without an expectation fails, and so does an expectation without a route.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import bcrypt from 'bcrypt';
import { SignJWT } from 'jose';
import type { Paired } from '../src/contract/device.ts';
import { REFUSALS } from '../src/core/failure.ts';
import { landingToken } from '../src/core/ids.ts';
import { newPairingCode } from '../src/devices/token.ts';
import { newCode } from '../src/redemptions/code.ts';
import { JWT_SECRET, type TestApp, testApp } from './support/app.ts';
import { makeBranch, makeDevice, makePairing } from './support/devices.ts';
import { injected } from './support/events.ts';
import { BODIES, EXPECTED, type Expectation } from './support/matrix.ts';

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
  branchId: string;
  /** its phone, which may scan */
  device: Paired;
  pending: Issued;
  confirmed: Issued;
  /** every redemption the test made for this side */
  issued: Issued[];
}

interface Role {
  name: string;
  /** whom the credential lets in as; undefined is nobody */
  as: 'member' | 'merchant' | 'device' | 'admin' | undefined;
  scopes?: string[];
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
  side.branchId =
    shop?.branchId ??
    (await makeBranch(test, side.apiKey, { branch_name: `Branch-${name}` })).branch_id;
  side.device = shop?.device ?? (await makeDevice(test, side.apiKey, side.branchId));
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
  const chief = await makeDevice(test, ana.apiKey, ana.branchId, 'reverse');
  const ended = await makeDevice(test, ana.apiKey, ana.branchId);
  await must(test, 204, 'DELETE', `/merchant/devices/${ended.device_id}`, ana.apiKey);
  const shut = await makeBranch(test, ana.apiKey, { branch_name: 'Shut' });
  const stopped = await makeDevice(test, ana.apiKey, shut.branch_id);
  await must(test, 204, 'DELETE', `/merchant/branches/${shut.branch_id}`, ana.apiKey);
  // when a device was last seen is written once a minute: not while this looks for changes
  await sql(test, "UPDATE lumis.devices SET last_seen_at = now() + interval '1 hour'");
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
    ...[ended, stopped, closed.device].map(({ device_token }, i) => ({
      name: `device that was stopped ${i}`,
      ...nobody,
      authorization: `Bearer ${device_token}`,
    })),
    ...[ana.device, beto.device, chief].map(({ device_token, scopes }, i) => ({
      name: `device ${i}, ${scopes}`,
      as: 'device' as const,
      scopes,
      side: i === 1 ? beto : ana,
      authorization: `Bearer ${device_token}`,
    })),
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
  /** for a call that ends the caller */
  authorization?: string;
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
    case 'self': {
      if (!makes) return { params: {} };
      const { device_token } = await makeDevice(test, of.apiKey, of.branchId);
      return { params: {}, authorization: `Bearer ${device_token}` };
    }
    case 'branch': {
      const branch_id = makes ? await plainBranch(test, of) : of.branchId;
      return { params: { merchant_id: side.merchantId, branch_id: exists ? branch_id : ABSENT } };
    }
    case 'device': {
      const device_id = makes ? await plainDevice(test, of) : of.device.device_id;
      return { params: { merchant_id: side.merchantId, device_id: exists ? device_id : 'absent' } };
    }
    case 'pairing': {
      const branch_id = exists ? of.branchId : ABSENT;
      return { params: { merchant_id: side.merchantId }, body: { branch_id } };
    }
    case 'code-once': {
      const shop = world.sides[relation === 'another' ? 1 : 0] as Side;
      const made = await makePairing(test, shop.apiKey, { branch_id: shop.branchId });
      const pairing_code = exists ? made.pairing_code : newPairingCode();
      return { params: {}, body: { pairing_code } };
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

async function plainBranch(test: TestApp, side: Side): Promise<string> {
  const text = `INSERT INTO lumis.branches (merchant_id, branch_name, time_zone)
    VALUES ($1, $2, 'UTC') RETURNING branch_id AS id`;
  return (await sql(test, text, [side.merchantId, randomUUID()]))[0].id;
}

async function plainDevice(test: TestApp, side: Side): Promise<string> {
  const text = `INSERT INTO lumis.devices (device_id, merchant_id, branch_id, device_name, scopes,
      secret_hash, created_by)
    VALUES ($1, $2, $3, 'Plain', '{scan}', '', 'test') RETURNING device_id AS id`;
  const id = randomUUID().replaceAll('-', '').slice(0, 12);
  return (await sql(test, text, [id, side.merchantId, side.branchId]))[0].id;
}

function isLetIn({ audience, device }: Expectation, role: Role): boolean {
  if (audience === 'public' || audience === '-') return true;
  if (role.as === 'device') return device !== undefined && role.scopes?.includes(device) === true;
  // an administrator is a member too, of the own wallet alone
  return role.as === audience || (role.as === 'admin' && audience === 'member');
}

function outcomeOf(expectation: Expectation, role: Role, relation: Relation): string {
  const { audience, outcomes } = expectation;
  if (isLetIn(expectation, role)) return outcomes[RELATIONS.indexOf(relation)] as string;
  const isKnown =
    (audience === 'admin' && role.as === 'member') ||
    (audience === 'merchant' && role.as === 'device') ||
    (audience === 'device' && role.as === 'merchant');
  return isKnown ? '403:forbidden' : '401:unauthorized';
}

/** What must not be in the answer to this caller. */
function secretsFrom(world: World, expectation: Expectation, role: Role): string[] {
  const whom = expectation.audience === 'device' ? 'merchant' : expectation.audience;
  const entitled = isLetIn(expectation, role) ? whom : 'nobody';
  const keys = world.sides.map((side) => side.apiKey.split('_')[2] as string);
  const tokens = world.sides.map((side) => side.device.device_token.split('_')[2] as string);
  const secrets = [...keys, ...tokens, BASIC_SECRET, JWT_SECRET, '$2b$'];
  for (const side of world.sides) {
    const isOwn = side === role.side;
    const member = [String(side.userId), `Member-${side.name}`, `${side.name}@member.example`];
    const codes = side.issued.map((one) => one.code);
    const redemptions = side.issued.flatMap((one) => [one.redemption_id, one.token]);
    const merchant = [side.merchantId, `Shop-${side.name}`, side.branchId, side.device.device_id];
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
  const { authorization = role.authorization } = target;
  const headers = {
    ...(authorization === undefined ? {} : { authorization }),
    ...(method === 'POST' ? { 'idempotency-key': `matrix ${++serial}` } : {}),
  };
  const request = { method: method as 'GET', url, headers, ...(payload ? { payload } : {}) };
  const reply = await injected(world.test.app, request);
  const isProblem = String(reply.headers['content-type']).startsWith('application/problem+json');
  const code = isProblem && method !== 'HEAD' ? JSON.parse(reply.body).code : undefined;
  return { reply, code, outcome: [reply.statusCode, code].filter(Boolean).join(':') };
}

/** Asks one cell; what is wrong with the answer. `before` is the state it starts from, if known. */
async function faultsOf(world: World, cell: Cell, before: Checksums | undefined) {
  const { method, expectation, role, relation } = cell;
  const reads = method === 'GET' || method === 'HEAD';
  const isFresh = !reads && isLetIn(expectation, role);
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
  const secrets = secretsFrom(world, expectation, role);
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
    const whom = audience === 'device' ? 'merchant' : audience;
    assert.equal(routes.get(route) ?? '-', whom, `${route}: for whom`);
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
