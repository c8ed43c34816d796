import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.ts';
import type { Log } from '../core/log.ts';
import type { Database } from '../db/pool.ts';
import type { Feed } from '../events/feed.ts';
import type { Again } from './again.ts';
import type { Audience } from './auth.ts';
import type { Grouped } from './grouped.ts';
import type { Guard } from './guard.ts';
import type { Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { Streams } from './stream.ts';

/** A certificate of our own making, PEM, and the authority's that signed it. */
export interface OwnTls {
  key: string;
  cert: string;
  ca: string;
}

/** What the demo's data holds: whom one can sign in as, and where one can pair a phone. */
export interface DemoSite {
  userIds: number[];
  merchantId: string;
}

export interface ServerOptions {
  config: Config;
  db: Database;
  log: Log;
  metrics: Metrics;
  version: string;
  /** the database was seeded for a first look */
  demo: boolean;
  /** what that first look begins with; undefined: nobody can sign in without a token */
  demoSite?: DemoSite | undefined;
  /** HTTPS with a certificate that browsers do not know by themselves; undefined for HTTP */
  tls?: OwnTls | undefined;
  /** the folder of the built web apps; undefined serves none */
  webFolder?: string | undefined;
}

/** What every route gets. */
export interface RouteDeps extends ServerOptions {
  limits: Limits;
  grouped: Grouped;
  feed: Feed;
  streams: Streams;
  guard: Guard;
  again: Again;
}

export type App = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  Log,
  TypeBoxTypeProvider
>;

/** A route as the table of routes has it; tests hold every one against an expectation. */
export interface RouteEntry {
  method: string;
  url: string;
  audience: Audience | undefined;
}

declare module 'fastify' {
  interface FastifyInstance {
    routeTable: RouteEntry[];
  }
}
