import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { setBounded } from '../core/bounded.ts';
import { uuidV7 } from '../core/ids.ts';
import type { Look, Looking } from '../offers/looking.ts';
import type { App } from './app.ts';
import { callerKey } from './auth.ts';
import type { Grouped } from './grouped.ts';
import { isOfUnchanged } from './headers.ts';
import type { LimitName, Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { isHeld, JSON_TYPE, openPages, type Tagged } from './tagged.ts';

/**
 * The short way for a member who looks at the catalogue again. Wallets ask for the same page over
 * and over, mostly to be told that nothing has changed, and to find once more what was found a
 * moment ago (who it is, whether they may, what the query means) costs more than the answer. So a
 * request with the very same URL, token and origin as one that was answered goes past the framework.
 * It counts for the same limit, sees the catalogue as it is now, and gets the same headers; when
 * anything is in its way, it goes the long way and hears there what that is.
 */
export interface Again {
  /** What a member sees. */
  show(look: Look): Promise<Tagged>;
  /** Lets requests like this one go the short way for a while; when its headers are set. */
  remember(request: FastifyRequest, reply: FastifyReply, look: Look): void;
}

interface Known {
  url: string | undefined;
  origin: string | undefined;
  look: Look;
  limit: LimitName;
  caller: string;
  route: string;
  /** names and values in turn: those that are the same each time, and of them those of a 304 */
  headers: string[];
  ofUnchanged: string[];
  /** Unix time in milliseconds */
  until: number;
}

/** A request under way, and what its answer has of its own. */
interface Asked {
  one: Known;
  request: IncomingMessage;
  response: ServerResponse;
  /** header names and values in turn */
  own: string[];
  /** as performance.now() tells it */
  began: number;
}

/**
 * Milliseconds after which a request goes the long way once more, so that its token is looked at; one
 * of a key set may be believed so much longer, beside the ten minutes for which the set is.
 */
const KNOWN_MS = 60_000;
const TOKENS_MAX = 10_000;
const PAGES_MAX = 8;
/** As many requests as the processor has at hand still when they are answered. */
const TOGETHER_MAX = 24;
/** What each answer has of its own. */
const OWN = new Set(['x-request-id', 'ratelimit', 'ratelimit-policy', 'etag', 'content-type']);

export interface AgainOptions {
  looking: Looking;
  grouped: Grouped;
  limits: Limits;
  metrics: Metrics;
}

/** Puts the short way before the server's own. To be called before the gate's hook is added. */
export function openAgain(app: App, options: AgainOptions): Again {
  const { looking, grouped, limits, metrics } = options;
  const known = new Map<string, Known[]>();
  const failed = new WeakMap<IncomingMessage, Error>();
  const answerTo = openPages();
  let isClosing = false;
  app.addHook('preClose', async () => {
    isClosing = true; // the framework tells clients that this server goes
  });
  app.addHook('onRequest', (request, reply, done) => {
    const changes = request.method !== 'GET' && request.method !== 'HEAD';
    if (changes) reply.raw.once('close', looking.doubt);
    // what failed on the short way is told on the long one, not tried and counted a second time
    done(failed.get(request.raw));
  });

  const show = async (look: Look) => answerTo(await grouped.offers.submit(look));
  const send = (asked: Asked, { tag, bytes }: Tagged) => {
    const { one, request, response, own } = asked;
    own.push('etag', tag);
    const isSame = isHeld(tag, request.headers['if-none-match']);
    if (isSame) response.writeHead(304, one.ofUnchanged.concat(own)).end();
    else {
      own.push('content-type', JSON_TYPE, 'content-length', String(bytes.length));
      response.writeHead(200, one.headers.concat(own)).end(bytes);
    }
    const labels = { method: 'GET', route: one.route, status: isSame ? 304 : 200 };
    metrics.requests.observe(labels, (performance.now() - asked.began) / 1000);
  };
  const answer = (asked: Asked) => {
    const { look } = asked.one;
    const seen = looking.glance(look, asked.began);
    if (seen) return send(asked, answerTo(seen));
    return show(look).then((tagged) => send(asked, tagged));
  };
  // Who came in the same turn of the event loop is answered at its end, together: to wake a process
  // that sleeps costs as much as the rest of an answer, and a proxy is woken once for all of them.
  let waiting: Asked[] = [];
  const answerAll = () => {
    const all = waiting;
    waiting = [];
    for (const asked of all) {
      const { one, request, response, own } = asked;
      const tell = (name: string, value: string) => own.push(name, value);
      const answerThis = () => answer(asked);
      const goLong = () => long(request, response);
      limits
        .take(one.limit, one.caller, tell)
        .then(answerThis, goLong)
        .catch((error) => {
          failed.set(request, error);
          goLong();
        });
    }
  };

  const [long] = app.server.listeners('request') as [RequestListener];
  app.server.off('request', long);
  app.server.prependListener('request', (request, response) => {
    const one = isClosing ? undefined : find(known, request);
    if (!one) return long(request, response);
    const own = ['x-request-id', uuidV7()];
    const count = waiting.push({ one, request, response, own, began: performance.now() });
    if (count === TOGETHER_MAX) answerAll();
    else if (count === 1) setImmediate(answerAll);
  });
  return {
    show,
    remember(request, reply, look) {
      const one = knownOf(request, reply, look);
      const { authorization } = request.headers;
      if (!one || !authorization) return;
      const others = known.get(authorization)?.filter((it) => !isAskedBy(request.raw, it)) ?? [];
      setBounded(known, TOKENS_MAX, authorization, [one, ...others].slice(0, PAGES_MAX));
    },
  };
}

function find(known: Map<string, Known[]>, request: IncomingMessage): Known | undefined {
  if (request.method !== 'GET') return undefined;
  const { authorization } = request.headers;
  const pages = authorization === undefined ? undefined : known.get(authorization);
  if (!pages) return undefined;
  for (const one of pages) {
    if (isAskedBy(request, one) && one.until > Date.now()) return one;
  }
  return undefined;
}

function isAskedBy({ url, headers }: IncomingMessage, one: Known): boolean {
  return one.url === url && one.origin === headers.origin;
}

function knownOf(request: FastifyRequest, reply: FastifyReply, look: Look): Known | undefined {
  const { url: route, config } = request.routeOptions;
  if (request.method !== 'GET' || !route || !config.limit) return undefined;
  const fixed = Object.entries(reply.getHeaders())
    .filter(([name]) => !OWN.has(name))
    .map(([name, value]) => [name, String(value)] as const);
  return {
    url: request.raw.url,
    origin: request.headers.origin,
    look,
    limit: config.limit,
    caller: callerKey(request.caller),
    route,
    headers: fixed.flat(),
    ofUnchanged: fixed.filter(([name]) => isOfUnchanged(name)).flat(),
    until: Math.min(request.expiresAt * 1000, Date.now() + KNOWN_MS),
  };
}
