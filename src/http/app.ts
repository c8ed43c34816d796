import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.ts';
import type { Log } from '../core/log.ts';
import type { Database } from '../db/pool.ts';
import type { Audience } from './auth.ts';
import type { Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';

export interface ServerOptions {
  config: Config;
  db: Database;
  log: Log;
  metrics: Metrics;
  version: string;
  /** the database was seeded for a first look */
  demo: boolean;
}

/** What every route gets. */
export interface RouteDeps extends ServerOptions {
  limits: Limits;
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
