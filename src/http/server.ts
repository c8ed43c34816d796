import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import Fastify, { type FastifyRequest, LogController } from 'fastify';
import { Failure } from '../core/failure.ts';
import { uuidV7 } from '../core/ids.ts';
import { isStorableTime } from '../core/time.ts';
import { listen } from '../db/listen.ts';
import { EVENTS_CHANNEL } from '../events/dispatch.ts';
import { openFeed } from '../events/feed.ts';
import { createProver } from '../merchants/proof.ts';
import { openLooking } from '../offers/looking.ts';
import { openAgain } from './again.ts';
import type { App, OwnTls, RouteDeps, RouteEntry, ServerOptions } from './app.ts';
import { createGate } from './auth.ts';
import { closeUnusedConnections } from './closing.ts';
import { openGrouped } from './grouped.ts';
import { openGuard } from './guard.ts';
import { DOCS_CSP, securityHeaders } from './headers.ts';
import { openLimits } from './limits.ts';
import { httpMetrics } from './metrics.ts';
import { sendFault } from './pages/fault.ts';
import { sendPlainHttpOn } from './plain.ts';
import { problemOf, sendProblem } from './problem.ts';
import { adminRoutes } from './routes/admin.ts';
import { adminCatalogueRoutes } from './routes/admin-catalogue.ts';
import { catalogueRoutes } from './routes/catalogue.ts';
import { countersRoutes } from './routes/counters.ts';
import { deviceRoutes } from './routes/devices.ts';
import { liveRoutes } from './routes/live.ts';
import { memberRoutes } from './routes/member.ts';
import { merchantRoutes } from './routes/merchant.ts';
import { publicRoutes } from './routes/public.ts';
import { siteRoutes } from './routes/site.ts';
import { openStreams } from './stream.ts';
import { createTokenVerifier } from './tokens.ts';
import { webPages } from './web.ts';

const BODY_BYTES_MAX = 32 * 1024;
const REQUEST_TIMEOUT_MS = 15_000;
const HEADERS_TIMEOUT_MS = 10_000;

/** Builds the server, ready to listen or to be injected into. Close it before its database. */
export async function buildServer(options: ServerOptions): Promise<App> {
  const { config, db, log } = options;
  const limits = await openLimits(config.rateLimits, config.redisUrl, log);
  // a phone that was told to insist on HTTPS could not come back when the certificate is gone
  const staysHttps = config.publicUrl.startsWith('https:') && !options.tls;
  const setSecurityHeaders = securityHeaders(staysHttps);
  const app = Fastify({
    loggerInstance: log,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    ...transportOf(options.tls),
    trustProxy: config.trustedProxies.length > 0 ? config.trustedProxies : false,
    genReqId: uuidV7,
    // one line per request would say more than the metrics only when something is wrong
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, request, reply) => {
      setSecurityHeaders(request, reply); // no hook runs for a URL that cannot be read
      sendFault(error, request, reply);
    },
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as App;

  if (options.tls) {
    const closePlain = sendPlainHttpOn(app.server, config.publicUrl);
    app.addHook('preClose', async () => closePlain());
  }
  closeUnusedConnections(app, options.tls !== undefined);
  setValidators(app);
  app.removeContentTypeParser('text/plain');
  acceptEmptyJson(app);
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request, reply) => sendFault(new Failure('not_found'), request, reply));
  const table: RouteEntry[] = [];
  app.decorate('routeTable', table);
  app.addHook('onRoute', ({ method, url, config, schema }) => {
    if (schema) Object.assign(schema, { operationId: operationId([method].flat()[0] ?? '', url) });
    for (const one of [method].flat()) table.push({ method: one, url, audience: config?.audience });
  });
  // with callbacks where nothing is awaited: each promise takes every request a microsecond
  app.addHook('onRequest', (request, reply, done) => {
    setSecurityHeaders(request, reply);
    done();
  });
  httpMetrics(app, options.metrics);
  app.addHook('onClose', () => limits.close());
  // before the gate: a browser must be able to read a refusal too
  await app.register(cors, {
    origin: config.corsOrigins.length > 0 ? config.corsOrigins : false,
    exposedHeaders: ['ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id', 'date'],
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    maxAge: 600,
  });
  const verify = createTokenVerifier({
    secret: config.jwtSecret,
    jwksUrl: config.jwksUrl,
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
  });
  const looking = openLooking(db);
  const grouped = openGrouped(options, looking);
  app.addHook('onClose', async () => {
    // a client may have gone; what it asked for is under way still
    await Promise.all(Object.values(grouped).map((group) => group.drain()));
  });
  const again = openAgain(app, { looking, grouped, limits, metrics: options.metrics });
  app.addHook('onRequest', createGate({ db, grouped, verify, prover: createProver(), limits }));
  app.addHook('preHandler', (request, _reply, done) => {
    refuseUnstorable(request);
    done();
  });

  await app.register(swagger, openApi(options.version));
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_CSP,
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list' },
  });
  const deps: RouteDeps = { ...options, limits, grouped, again, ...openLive(app, options) };
  await app.register(async (scope) => {
    publicRoutes(scope as unknown as App, deps);
  });
  const audiences = [
    catalogueRoutes,
    memberRoutes,
    merchantRoutes,
    adminRoutes,
    adminCatalogueRoutes,
  ];
  for (const routes of [...audiences, deviceRoutes, countersRoutes, liveRoutes, siteRoutes]) {
    await app.register(async (scope) => routes(scope as unknown as App, deps), {
      prefix: '/api/v1',
    });
  }
  const { webFolder } = options;
  if (webFolder) await webPages(app, webFolder, config.corsOrigins);
  await app.ready();
  return app;
}

/** What streams need: closed before the server waits for its connections, and before its database. */
function openLive(app: App, { config, db, log, metrics }: ServerOptions) {
  const url = config.databaseDirectUrl ?? config.databaseUrl;
  const onError = (error: unknown) =>
    log.warn({ err: error }, 'events cannot be followed just now');
  const feed = openFeed(db, {
    onError,
    listen: url
      ? (onNotify) => listen({ url, channel: EVENTS_CHANNEL, onNotify, onError })
      : undefined,
  });
  const streams = openStreams((open) => metrics.streams.set(open));
  const guard = openGuard(db, log);
  app.addHook('preClose', async () => {
    streams.close();
    guard.close();
  });
  app.addHook('onClose', () => feed.close());
  return { feed, streams, guard };
}

/** HTTP, or HTTPS with a certificate of our own; the same patience with slow senders. */
function transportOf(tls: OwnTls | undefined): object {
  const patience = { headersTimeout: HEADERS_TIMEOUT_MS };
  return tls ? { https: { ...patience, key: tls.key, cert: tls.cert } } : { http: patience };
}

/** Bodies are taken as they are; what comes as text in a URL or header is read as its type. */
function setValidators(app: App): void {
  const strict = addFormats.default(new Ajv({ allErrors: true, useDefaults: true }));
  const reading = addFormats.default(
    new Ajv({ allErrors: true, useDefaults: true, coerceTypes: true }),
  );
  for (const ajv of [strict, reading]) {
    ajv.addFormat('date-time', { type: 'string', validate: isStorableTime });
  }
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : reading).compile(schema),
  );
}

/** Many clients always say application/json, also where there is nothing to send. */
function acceptEmptyJson(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<string>(
    'application/json',
    { parseAs: 'string' },
    (request, body, done) => {
      if (body === '') done(null, undefined);
      else void parse(request, body, done);
    },
  );
}

/**
 * NUL and half surrogate pairs are legal JSON that PostgreSQL cannot store, and `limit=1e309` is
 * read as an infinite number.
 */
function refuseUnstorable(request: FastifyRequest): void {
  const parts = { body: request.body, query: request.query, params: request.params };
  for (const [place, part] of Object.entries(parts)) {
    for (const [name, value] of Object.entries(part ?? {})) {
      const field = `${place}.${name}`;
      if (typeof value === 'string' && (value.includes('\0') || !value.isWellFormed())) {
        throw new Failure('invalid_request', { fields: [{ field, detail: 'text' }] });
      }
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new Failure('invalid_request', { fields: [{ field, detail: 'number' }] });
      }
    }
  }
}

/** What is not even HTTP, or takes too long to arrive, gets its problem by hand. */
function answerUnreadable(
  error: Error & { code?: string },
  socket: import('node:net').Socket,
): void {
  const { _httpMessage: answer } = socket as { _httpMessage?: { headersSent: boolean } };
  if (error.code === 'ECONNRESET' || !socket.writable || answer?.headersSent) {
    socket.destroy();
    return;
  }
  const statuses: Record<string, [number, string]> = {
    HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
    ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
  };
  const [status, words] = statuses[error.code ?? ''] ?? [400, 'Bad Request'];
  const fields = [{ field: 'request', detail: 'request' }];
  const failure = new Failure('invalid_request', { fields });
  const body = JSON.stringify(problemOf(failure, status, uuidV7(), 'es'));
  socket.end(
    `HTTP/1.1 ${status} ${words}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** GET /api/v1/rewards/offers/:offer_id is getRewardsOffersByOfferId. */
function operationId(method: string, url: string): string {
  const parts = url
    .replace('/api/v1', '')
    .replace(/:/g, 'by_')
    .split(/[^A-Za-z0-9]+/);
  const words = parts.filter(Boolean).map((part) => part[0]?.toUpperCase() + part.slice(1));
  return method.toLowerCase() + words.join('');
}

/** The header is checked by hand, with a code of its own; in the document it is required. */
function requireKey<S extends object, U>({ schema, url }: { schema: S; url: U }) {
  const { headers } = schema as { headers?: { properties?: object } };
  if (!headers?.properties || !('idempotency-key' in headers.properties)) return { schema, url };
  return { schema: { ...schema, headers: { ...headers, required: ['idempotency-key'] } }, url };
}

function openApi(version: string) {
  return {
    transform: requireKey,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Lümis',
        version,
        description:
          'Redemption engine for loyalty points: spend, scan, confirm. Members and administrators ' +
          'send a signed token (`npx lumis token --user 1 [--role admin]` makes one), merchants ' +
          'their key. Problems are RFC 9457, in Spanish or English.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          member: { type: 'http' as const, scheme: 'bearer', bearerFormat: 'JWT' },
          admin: {
            type: 'http' as const,
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'with the claim role: admin',
          },
          merchantKey: { type: 'http' as const, scheme: 'bearer', bearerFormat: 'lmk_…' },
          device: { type: 'http' as const, scheme: 'bearer', bearerFormat: 'lmd_…' },
          merchantBasic: {
            type: 'http' as const,
            scheme: 'basic',
            description: 'merchant_id and key',
          },
        },
      },
    },
  };
}
