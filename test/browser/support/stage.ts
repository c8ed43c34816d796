/** Real servers over real sockets for browser tests, on one database of the test's own. */

import { after, type TestContext } from 'node:test';
import { SignJWT } from 'jose';
import type { Config } from '../../../src/config.ts';
import { prepared } from '../../../src/db/statement.ts';
import { type Role, serve } from '../../../src/main.ts';
import { JWT_SECRET, type TestApp, testApp } from '../../support/app.ts';
import { type FaultProxy, openProxy } from './proxy.ts';

const EXPIRE = `UPDATE rewards.user_redemptions
  SET code_expires_at = clock_timestamp() + $2 * interval '1 s' WHERE redemption_id = $1`;

/** A server behind a proxy that can be told to misbehave. */
export interface Node {
  /** where a page goes: the proxy's address */
  url: string;
  proxy: FaultProxy;
}

export interface Stage extends TestApp {
  nodes: Node[];
  /** the first node's address, which is PUBLIC_URL too */
  url: string;
  /** the address that pairs one new device of this merchant */
  pairingUrl(merchant: { api_key: string }, branch?: string): Promise<string>;
  /** redeems for a member by the API: the code, the link in its QR, and more */
  redeemed(userId: number, offerId: string): Promise<any>;
  /** a member's token that is good for so many seconds; one that is over if below 0 */
  shortToken(userId: number, seconds: number): Promise<string>;
  /** lets a pending redemption run out in so many seconds, by default a minute ago; unbooked */
  expire(redemptionId: string, inSeconds?: number): Promise<void>;
}

export interface StageOptions extends Partial<Config> {
  /** how many servers on the one database; 1 unless it says otherwise */
  nodeCount?: number;
}

/**
 * Servers with a worker on a fresh database, closed after the file with all invariants checked.
 * Call it at the top level of the file or in a test. Nothing is limited unless `rateLimits` says
 * so.
 */
export async function openStage({ nodeCount = 1, ...changes }: StageOptions = {}): Promise<Stage> {
  const opened: (() => Promise<unknown>)[] = [];
  // before the hooks of the database, which would drop it first
  after(async () => {
    for (const close of opened.splice(0).reverse()) await close();
  });
  const proxies = await Promise.all(Array.from({ length: nodeCount }, async () => openProxy(0)));
  const nodes = proxies.map((proxy) => ({ url: `http://127.0.0.1:${proxy.port}`, proxy }));
  const [{ url }] = nodes as [Node];
  const app = await testApp({ after } as TestContext, { publicUrl: url, ...changes });
  for (const [i, { proxy }] of nodes.entries()) {
    opened.push(() => proxy.close());
    const roles: Role[] = i === 0 ? ['api', 'web', 'worker'] : ['api', 'web'];
    const running = await serve({ ...app.config, host: '127.0.0.1', port: 0 }, roles);
    opened.push(() => running.stop());
    proxy.lead(Number(new URL(running.url as string).port));
  }
  return { ...app, nodes, url, ...helpers(app) };
}

function helpers({
  call,
  member,
  db,
}: TestApp): Pick<Stage, 'pairingUrl' | 'redeemed' | 'shortToken' | 'expire'> {
  const must = async (...request: Parameters<TestApp['call']>) => {
    const { status, body } = await call(...request);
    if (status >= 300) throw new Error(`${request[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  return {
    async pairingUrl({ api_key: token }, branch = 'Principal') {
      const { data } = await must('GET', '/merchant/branches', { token });
      const { branch_id } =
        data.find((one: { branch_name: string }) => one.branch_name === branch) ??
        (await must('POST', '/merchant/branches', { token, body: { branch_name: branch } }));
      const body = { branch_id, scopes: ['scan', 'reverse'] };
      return (await must('POST', '/merchant/pairings', { token, body })).pairing_url;
    },
    async redeemed(userId, offer_id) {
      const token = await member(userId);
      return must('POST', '/rewards/redemptions', { token, body: { offer_id } });
    },
    shortToken: (userId, seconds) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(String(userId))
        .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
        .sign(new TextEncoder().encode(JWT_SECRET)),
    async expire(redemptionId, inSeconds = -60) {
      await db.query(prepared('test.expire', EXPIRE)(redemptionId, inSeconds));
    },
  };
}
