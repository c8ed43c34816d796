import type { TestContext } from 'node:test';
import { SignJWT } from 'jose';
import { type Config, readConfig } from '../../src/config.ts';
import type { OfferInput } from '../../src/contract/offer.ts';
import { changedBy, systemCaller } from '../../src/core/actor.ts';
import { unwrap } from '../../src/core/answer.ts';
import { createLog } from '../../src/core/log.ts';
import { type Database, openDatabase } from '../../src/db/pool.ts';
import type { App, ServerOptions } from '../../src/http/app.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { buildServer } from '../../src/http/server.ts';
import { claim } from '../../src/idempotency/claim.ts';
import { checkInvariants } from '../../src/invariants/check.ts';
import { adjust } from '../../src/ledger/adjust.ts';
import { createMerchant } from '../../src/merchants/save.ts';
import { createOffer } from '../../src/offers/save.ts';
import { freshDatabase } from './database.ts';

export const JWT_SECRET = 'a secret for tests alone, of more than 32 bytes';

export interface TestApp {
  app: App;
  db: Database;
  config: Config & { databaseUrl: string };
  /** a bearer token for this member */
  member(userId: number, claims?: object): Promise<string>;
  /** a bearer token for an administrator */
  admin(userId?: number): Promise<string>;
  /** a new merchant with its key */
  merchant(name?: string): Promise<{ merchant_id: string; api_key: string }>;
  /** a new offer's id; 10 Lümis unless it says otherwise */
  offer(input?: Partial<OfferInput>): Promise<string>;
  /** gives points */
  grant(userId: number, quantity: number): Promise<void>;
  /** a request with a JSON body; a fresh Idempotency-Key unless `headers` say otherwise */
  call(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    options?: { token?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<{ status: number; body: any; headers: Record<string, unknown> }>;
}

/** No limits, so that a test may ask as often as it likes; those of limits set their own. */
const UNLIMITED = {
  redeem: 0,
  read: 0,
  validate: 0,
  confirm: 0,
  misses: 0,
  authFailures: 0,
  landing: 0,
  admin: 0,
};

let serial = 0;

/**
 * The real server on a database of its own, or on the one of `changes` (of another such server),
 * spoken to without a port. When the test ends all
 * invariants are checked, and the server and the database are closed.
 */
export async function testApp(
  t: TestContext,
  changes: Partial<Config> = {},
  more: Partial<ServerOptions> = {},
): Promise<TestApp> {
  // before the database's own hook, which would drop it first
  let finish = async () => {};
  t.after(() => finish());
  const url = changes.databaseUrl ?? (await freshDatabase(t)).url;
  const base = readConfig({ DATABASE_URL: url, JWT_SECRET, LOG_LEVEL: 'silent' });
  const config = { ...base, rateLimits: UNLIMITED, ...changes, databaseUrl: url };
  const log = createLog('silent');
  const db = openDatabase({ url, max: 12, poolTimeoutMs: 30_000, onError: () => undefined });
  const metrics = createMetrics(db);
  const options = { config, db, log, metrics, version: 'test', demo: false };
  const app = await buildServer({ ...options, ...more });
  finish = async () => {
    try {
      const violations = await checkInvariants(db, {});
      if (violations.length > 0) throw new Error(`invariants: ${JSON.stringify(violations)}`);
    } finally {
      await app.close();
      await db.close();
    }
  };
  return { app, db, config, ...helpers(app, db) };
}

function helpers(app: App, db: Database): Omit<TestApp, 'app' | 'db' | 'config'> {
  const caller = systemCaller('test');
  const sign = (userId: number, claims: object) =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(String(userId))
      .setExpirationTime('10m')
      .sign(new TextEncoder().encode(JWT_SECRET));
  return {
    member: (userId, claims = {}) => sign(userId, claims),
    admin: (userId = 1000) => sign(userId, { role: 'admin' }),
    async merchant(name = `Merchant ${++serial}`) {
      return createMerchant(db, caller, { merchant_name: name });
    },
    async offer(input = {}) {
      const offer = { name_friendly: `Offer ${++serial}`, lumis_cost: 10, ...input };
      return (await createOffer(db, caller, offer)).offer_id;
    },
    async grant(userId, quantity) {
      const entry = { user_id: userId, quantity, reason: 'test' };
      const key = claim(caller.actor, `grant ${++serial}`, 'adjust', entry);
      const [answer] = await adjust(db, [{ ...key, ...entry, changed_by: changedBy(caller) }]);
      unwrap(answer);
    },
    async call(method, path, { token, body, headers = {} } = {}) {
      const reply = await app.inject({
        method,
        url: path.startsWith('/api') ? path : `/api/v1${path}`,
        headers: {
          ...(token ? { authorization: token.includes(' ') ? token : `Bearer ${token}` } : {}),
          ...(method === 'POST' ? { 'idempotency-key': `test ${++serial}` } : {}),
          ...headers,
        },
        ...(body === undefined ? {} : { payload: body as object }),
      });
      const isJson = String(reply.headers['content-type']).includes('json');
      const parsed = isJson && reply.body !== '' ? JSON.parse(reply.body) : reply.body;
      return { status: reply.statusCode, body: parsed, headers: reply.headers };
    },
  };
}
