/**
 * Bare Fastify: the least that a Node server can do. A constant of a given size where the catalogue
 * is, or 304; a POST that is answered with such a constant; and, where it has a database, a redemption
 * by one call of the verb per request, which is what ours would be without gathering them.
 */

import { pathToFileURL } from 'node:url';
import Fastify, { type FastifyInstance } from 'fastify';
import { freePort } from '../src/db/embedded/port.ts';
import { openDatabase } from '../src/db/pool.ts';
import { claim } from '../src/idempotency/claim.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { isOpen, offerId } from './fill.ts';
import { memberAt } from './load/requests.ts';
import type { Size } from './load.ts';
import { type Node, startServer } from './node.ts';

/** How large a page and its 304 are. */
export interface CatalogueSizes {
  page: Size;
  unchanged: Size;
}

export interface BareOptions {
  /** a constant in the place of the catalogue, and a 304 for who has its tag */
  catalogue?: CatalogueSizes;
  /** of the constants, each with its path: `{'/page': 9000}` */
  constants?: Record<string, number>;
  /** `/redeem?offer=N` (0: any) redeems for a random member, by one call of the verb */
  redeem?: { url: string; offers: number; members: number; tokens: number };
}

/** Connections of that one call per statement: as many as a node of ours has by default. */
const POOL_MAX = 50;

/** Starts it as a process of its own, since it must not share ours. */
export async function startBare(options: BareOptions): Promise<Node> {
  const port = await freePort(0);
  return startServer({
    entry: 'bench/bare-fastify.js',
    parameters: [JSON.stringify({ ...options, port })],
    env: { PATH: process.env.PATH ?? '' },
    port,
    ready: '/ready',
  });
}

const JSON_TYPE = 'application/json; charset=utf-8';
const constantOf = (bytes: number) => `{"data":"${'x'.repeat(Math.max(0, bytes - 11))}"}`;

async function serve(options: BareOptions & { port: number }): Promise<void> {
  const { port, catalogue, constants = {}, redeem } = options;
  const app = Fastify();
  app.get('/ready', async () => ({ ready: true }));
  if (catalogue) constantCatalogue(app, catalogue);
  for (const [path, bytes] of Object.entries(constants)) {
    const constant = constantOf(bytes);
    app.post(path, async (_, reply) =>
      reply.code(201).header('content-type', JSON_TYPE).send(constant),
    );
  }
  if (redeem) redeemAlone(app, redeem);
  await app.listen({ host: '127.0.0.1', port });
}

/** Of a head what is there without the padding: what Fastify says by itself, the tag and the type. */
const HEAD_BYTES = { page: 203, unchanged: 143 };

function constantCatalogue(app: FastifyInstance, { page, unchanged }: CatalogueSizes): void {
  const text = constantOf(page.body);
  const padding = 'x'.repeat(Math.max(1, page.head - HEAD_BYTES.page));
  const paddingOfUnchanged = 'x'.repeat(Math.max(1, unchanged.head - HEAD_BYTES.unchanged));
  app.get('/api/v1/rewards/offers', async (request, reply) => {
    reply.header('etag', '"constant"');
    const isSame = request.headers['if-none-match'] !== undefined;
    if (isSame) return reply.header('padding', paddingOfUnchanged).code(304).send();
    return reply.header('padding', padding).header('content-type', JSON_TYPE).send(text);
  });
}

function redeemAlone(
  app: FastifyInstance,
  { url, offers, members, tokens }: NonNullable<BareOptions['redeem']>,
): void {
  const onError = (error: Error) => console.error(error.message);
  const db = openDatabase({ url, max: POOL_MAX, poolTimeoutMs: 30_000, onError });
  const issuing = { ttl_minutes: 1440, public_url: 'http://127.0.0.1:8000' };
  const run = Date.now().toString(36);
  let sent = 0;
  app.post<{ Querystring: { offer: string } }>('/redeem', async (request, reply) => {
    sent += 1;
    const user_id = memberAt(Math.floor(Math.random() * tokens), members, tokens);
    const any = 1 + Math.floor(Math.random() * offers);
    const n = Number(request.query.offer) || (isOpen(any) ? any : any - 1);
    const actor = { type: 'user' as const, id: String(user_id) };
    const row = {
      ...claim(actor, `alone-${run}-${sent}`, 'redeem', { offer_id: offerId(n) }),
      user_id,
      offer_id: offerId(n),
      changed_by: { ...actor, ip: '127.0.0.1', agent: 'lumis-bench', request_id: request.id },
    };
    const [answer] = await redeem(db, issuing, [row]);
    return reply.code(answer?.done ? 201 : 409).send(answer?.done ?? answer);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await serve(JSON.parse(process.argv[2] ?? '{}'));
}
