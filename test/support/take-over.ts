/** A taken-over programme at work: the server on a legacy database, and a month in a minute. */

import assert from 'node:assert/strict';
import { SignJWT } from 'jose';
import type pg from 'pg';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/core/log.ts';
import { checkMigration } from '../../src/db/checklist.ts';
import { migrationStates } from '../../src/db/migrate.ts';
import { type Database, openDatabase } from '../../src/db/pool.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { buildServer } from '../../src/http/server.ts';
import { checkInvariants } from '../../src/invariants/check.ts';
import { JWT_SECRET } from './app.ts';
import type { PerMember } from './legacy-snapshot.ts';
import type { LegacyWriters } from './legacy-statements.ts';

export interface Programme {
  db: Database;
  call(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    options?: { token?: string; body?: unknown },
  ): Promise<{ status: number; body: any }>;
  member(userId: number): Promise<string>;
  admin(): Promise<string>;
  /** redeems through the API; the answer's body, or the refusal's code */
  redeem(userId: number, offerId: string): Promise<any>;
  close(): Promise<void>;
}

let serial = 0;

function tokenFor(userId: number, claims = {}): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(String(userId))
    .setExpirationTime('10m')
    .sign(new TextEncoder().encode(JWT_SECRET));
}

/** The real server on this database, without limits, spoken to without a port. */
export async function openProgramme(url: string): Promise<Programme> {
  const none = {
    redeem: 0,
    read: 0,
    validate: 0,
    confirm: 0,
    misses: 0,
    authFailures: 0,
    landing: 0,
    admin: 0,
  };
  const base = readConfig({ DATABASE_URL: url, JWT_SECRET, LOG_LEVEL: 'silent' });
  const config = { ...base, rateLimits: none, databaseUrl: url };
  const db = openDatabase({ url, max: 6, poolTimeoutMs: 30_000, onError: () => undefined });
  const metrics = createMetrics(db);
  const log = createLog('silent');
  const app = await buildServer({ config, db, log, metrics, version: 'test', demo: false });
  const call: Programme['call'] = async (method, path, { token, body } = {}) => {
    const reply = await app.inject({
      method,
      url: `/api/v1${path}`,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(method === 'POST' ? { 'idempotency-key': `take-over ${++serial} ${Date.now()}` } : {}),
      },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    const isJson = String(reply.headers['content-type']).includes('json');
    return { status: reply.statusCode, body: isJson ? JSON.parse(reply.body) : reply.body };
  };
  return {
    db,
    call,
    member: (userId) => tokenFor(userId),
    admin: () => tokenFor(1, { role: 'admin' }),
    async redeem(userId, offer_id) {
      const token = await tokenFor(userId);
      const reply = await call('POST', '/rewards/redemptions', { token, body: { offer_id } });
      return reply.status === 201 ? reply.body : reply.body.code;
    },
    async close() {
      await app.close();
      await db.close();
    },
  };
}

/** The checklist, all invariants, nothing pending. */
export async function assertClean(url: string, message: string): Promise<void> {
  const db = openDatabase({ url, max: 2, poolTimeoutMs: 10_000, onError: () => undefined });
  try {
    const pending = (await migrationStates(url)).filter((state) => state.applied_at === null);
    assert.deepEqual(pending, [], `${message}: pending`);
    const wrong = (await checkMigration(db)).filter((check) => !check.ok);
    assert.deepEqual(wrong, [], `${message}: checklist`);
    assert.deepEqual(await checkInvariants(db, {}), [], `${message}: invariants`);
  } finally {
    await db.close();
  }
}

/** Exact, whatever the size and the fraction. */
export function plus(a: string, b: string | number): string {
  const places = 40;
  const scaled = (text: string) => {
    const [, sign, whole = '', fraction = ''] = /^(-?)(\d+)\.?(\d*)$/.exec(text) ?? [];
    return BigInt(`${sign}${whole}${fraction.padEnd(places, '0')}`);
  };
  const sum = scaled(a) + scaled(String(b));
  const digits = (sum < 0n ? -sum : sum).toString().padStart(places + 1, '0');
  const text = `${digits.slice(0, -places)}.${digits.slice(-places)}`.replace(/\.?0+$/, '');
  return sum < 0n ? `-${text}` : text;
}

/** Adds to what a member is expected to have. */
export function move(expected: PerMember, userId: number, amount: string | number): void {
  expected[userId] = plus(expected[userId] ?? '0', amount);
}

/** What one round leaves for the next. */
export interface Carried {
  merchant: { merchant_id: string; api_key: string };
  /** an offer that forfeits, made by the admin API, and one that stays in use */
  forfeit: string;
  made: string;
  /** redemptions of the round before: one still pending, one confirmed */
  pending?: any;
  confirmed?: any;
}

export async function offerOf(programme: Programme, legacyId: number): Promise<string> {
  const [row] = await programme.db.query({
    name: '',
    text: 'SELECT offer_id FROM rewards.redemption_offers WHERE legacy_id = $1',
    values: [legacyId],
  });
  return row.offer_id;
}

/** A merchant and two offers of our own, made by the admin API. */
export async function ourCatalogue(programme: Programme): Promise<Carried> {
  const token = await programme.admin();
  const make = async (path: string, body: object) => {
    const reply = await programme.call('POST', path, { token, body });
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
    return reply.body;
  };
  const merchant = await make('/admin/merchants', { merchant_name: 'Kiosco' });
  const { merchant_id } = merchant;
  const { offer_id: forfeit } = await make('/admin/offers', {
    name_friendly: 'Se pierde',
    lumis_cost: 15,
    on_expiry: 'forfeit',
    merchant_id,
  });
  const { offer_id: made } = await make('/admin/offers', {
    name_friendly: 'Hecha aquí',
    description: 'Nueva',
    lumis_cost: 15,
    stock_quantity: 50,
    merchant_id,
  });
  return { merchant, forfeit, made };
}

/**
 * Redemptions of every fate, through the API; moves what each member is expected to have. What the
 * round before left pending or confirmed ends here: cancelled or confirmed, and reversed.
 */
export async function redeemABit(p: Programme, carried: Carried, expected: PerMember) {
  const { api_key } = carried.merchant;
  const cafe = await offerOf(p, 1);
  const cine = await offerOf(p, 20);
  const redeem = async (userId: number, offer: string) => {
    const done = await p.redeem(userId, offer);
    assert.equal(typeof done, 'object', `member ${userId} is refused: ${done}`);
    move(expected, userId, -done.lumis_spent);
    const shown = expected[userId] ?? '';
    assert.equal(done.balance, Number(shown), `balance in the answer to member ${userId}`);
    return done;
  };
  const merchant = async (verb: string, { redemption_id }: any, body?: object) => {
    const at = `/merchant/redemptions/${redemption_id}/${verb}`;
    const reply = await p.call('POST', at, { token: api_key, ...(body ? { body } : {}) });
    assert.equal(reply.status, 200, `${verb}: ${JSON.stringify(reply.body)}`);
  };
  const cancel = async (userId: number, redemption: any) => {
    const at = `/rewards/redemptions/${redemption.redemption_id}/cancel`;
    const reply = await p.call('POST', at, { token: await p.member(userId) });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    move(expected, userId, redemption.lumis_spent);
  };
  const expire = async (userId: number, redemption: any, refund: boolean) => {
    await p.db.query({
      name: '',
      text: `UPDATE rewards.user_redemptions SET code_expires_at = clock_timestamp()
             WHERE redemption_id = $1`,
      values: [redemption.redemption_id],
    });
    await p.db.query({ name: '', text: 'SELECT rewards.expire_old_redemptions()', values: [] });
    if (refund) move(expected, userId, redemption.lumis_spent);
  };

  if (carried.pending) await cancel(1001, carried.pending);
  if (carried.confirmed) {
    await merchant('reverse', carried.confirmed, { reason: 'otro día' });
    move(expected, 1003, carried.confirmed.lumis_spent);
  }
  carried.pending = await redeem(1001, cafe);
  await cancel(1002, await redeem(1002, cafe));
  carried.confirmed = await redeem(1003, cafe);
  await merchant('confirm', carried.confirmed);
  await expire(1004, await redeem(1004, cine), true);
  await expire(1005, await redeem(1005, carried.forfeit), false);
  const back = await redeem(1006, cine);
  await merchant('confirm', back);
  await merchant('reverse', back, { reason: 'frío' });
  move(expected, 1006, back.lumis_spent);
  await merchant('confirm', await redeem(1008, carried.made));
  await redeem(1015, cine);
  await merchant('confirm', await redeem(1017, cine));
  await redeem(1018, cafe);
  await redeem(1018, cafe);
  await redeem(10, cine);
  assert.equal(await p.redeem(7, cine), 'insufficient_points');
}

/** Points given and taken by staff, through the API. */
export async function adjustABit(p: Programme, expected: PerMember): Promise<void> {
  const token = await p.admin();
  for (const [userId, quantity] of [
    [1007, 25],
    [1007, -5],
    [3, 30],
    [4_000_000, 9],
  ] as const) {
    const body = { quantity, reason: 'prueba' };
    const reply = await p.call('POST', `/admin/members/${userId}/ledger`, { token, body });
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
    move(expected, userId, quantity);
  }
}

/** What the old services write meanwhile. */
export async function legacyGoesOn(
  w: LegacyWriters,
  round: number,
  expected: PerMember,
): Promise<void> {
  const earn = async (userId: number, points: string | number) => {
    await w.earn(userId, points);
    move(expected, userId, points);
  };
  const purchase = async (userId: number, points: number) => {
    assert.equal(await w.purchase(userId, 20, points), true);
    move(expected, userId, -points);
  };
  await earn(1009, 1);
  await earn(5, 1);
  await earn(9, 1);
  await earn(7, 1);
  await earn(26, '0.5');
  await w.earnUndated(1010, '2.5');
  move(expected, 1010, '2.5');
  await w.play(1011);
  await w.earnOtherKinds(1011);
  await w.earn(null, 1);
  await purchase(1012, 30);
  await w.setBalance(1013, plus(expected[1013] ?? '0', 7));
  move(expected, 1013, 7);
  await purchase(1014, 30);
  await w.setBalance(1014, plus(expected[1014] ?? '0', 3));
  move(expected, 1014, 3);
  await purchase(1015, 30);
  await w.subscribe(1016);
  await earn(1017, 1);
  await purchase(1017, 10);
  await w.upsertBalance(9000 + round, 12);
  move(expected, 9000 + round, 12);
  await w.earn(2147483647, 1);
  move(expected, 2147483647, 1);
}

/** Every row that is ours alone, which a way down and up again must bring back. */
export async function ourRows(client: pg.Client): Promise<string[]> {
  const lines: string[] = [];
  for (const table of [
    'rewards.user_redemptions',
    'rewards.redemption_audit_log',
    'rewards.merchants',
    'lumis.members',
    'lumis.events',
    'lumis.event_cursors',
    'lumis.idempotency_keys',
    'lumis.merchant_keys',
    'lumis.refusals',
    'lumis.staff_changes',
    'lumis.job_marks',
  ]) {
    const { rows } = await client.query(`SELECT t::text AS line FROM ${table} t ORDER BY 1`);
    lines.push(...rows.map((row) => `${table} ${row.line}`));
  }
  return lines;
}

/** Entries of redemptions, and offers by what makes them ours. */
export async function ourTraces(client: pg.Client, layout: string): Promise<string[]> {
  const { rows } = await client.query(`
    SELECT format('entry %s %s %s %s %s', redemption_id, kind, user_id, quantity, date) AS line
    FROM ${layout}.fact_accumulations WHERE redemption_id IS NOT NULL
    UNION ALL SELECT format('offer %s %s %s', offer_id, legacy_id, concat_ws(' ', name_friendly,
      description, lumis_cost, stock_quantity, stock_held, merchant_id, is_active, valid_from,
      valid_to, offer_category, max_redemptions_per_user, code_ttl_minutes, on_expiry, image_url,
      terms)) FROM rewards.redemption_offers
    ORDER BY 1`);
  return rows.map((row) => row.line);
}
