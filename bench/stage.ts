/** What the scenarios play on: a database server, databases, and Lümis nodes as child processes. */

import { rmSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startCluster } from '../src/db/embedded/cluster.ts';
import { migrateUp } from '../src/db/migrate.ts';
import { BenchFault } from './fault.ts';
import { loopbackOnly, refuseDistant } from './loopback.ts';
import { type Node, type NodeOptions, startNode } from './node.ts';
import { parentOf } from './usage.ts';

export type { Node, NodeOptions } from './node.ts';

export interface Stage {
  /** a superuser's, on loopback; its database holds nothing of ours */
  serverUrl: string;
  /** the first process of the server; undefined where it cannot be told */
  serverPid: number | undefined;
  /** the server's log, where the server is our own */
  serverLog: string | undefined;
  /** what matters for the figures, as the server says it */
  settings: Record<string, string>;
  /** a migrated database of this name; made when absent. Its URL. */
  database(name: string): Promise<string>;
  drop(name: string): Promise<void>;
  /** starts `lumis start --roles <roles>` on a database; ready when /readyz answers 200 */
  node(databaseUrl: string, options?: NodeOptions): Promise<Node>;
  close(): Promise<void>;
}

export interface StageOptions {
  /** a PostgreSQL on this machine, as a superuser; without it one is started below `folder` */
  url?: string | undefined;
  folder: string;
  say(text: string): void;
}

/** 256 clients of pgbench, or three nodes with their pools, and some to look on. */
const CONNECTIONS_MAX = 600;
/** A quarter of the memory, as everybody's first advice is; more than the filled tables need not be. */
const BUFFERS_MB_MAX = 4096;
const MB = 1024 * 1024;
const DURABLE = ['fsync', 'full_page_writes', 'synchronous_commit'];
const SHOWN = [
  'server_version',
  ...DURABLE,
  'shared_buffers',
  'max_wal_size',
  'checkpoint_timeout',
  'max_connections',
];

/**
 * Opens the server: the one of `url`, or one of our own, durable, below `folder`. Throws BenchFault
 * when it is not on this machine, is not a superuser's, or would not keep what it acknowledges.
 */
export async function openStage(options: StageOptions): Promise<Stage> {
  const own = options.url === undefined ? await startOwn(options) : undefined;
  const serverUrl = own?.url ?? loopbackOnly(options.url ?? '');
  const nodes = new Set<Node>();
  try {
    const { settings, pid } = await lookAt(serverUrl);
    return {
      serverUrl,
      settings,
      serverPid: pid,
      serverLog: own?.log,
      database: (name) => makeDatabase(serverUrl, name),
      drop: (name) => dropDatabase(serverUrl, name),
      async node(databaseUrl, nodeOptions = {}) {
        const node = await startNode(databaseUrl, nodeOptions, options.say);
        nodes.add(node);
        void node.exited.then(() => nodes.delete(node));
        return node;
      },
      async close() {
        await Promise.all([...nodes].map((node) => node.stop()));
        await own?.stop();
      },
    };
  } catch (error) {
    await own?.stop();
    throw error;
  }
}

/** The same server as `lumis start` brings, with memory and log sized for a machine of its own. */
async function startOwn({ folder, say }: StageOptions) {
  const options = { directory: folder, durable: true, port: 0, maxConnections: CONNECTIONS_MAX };
  let cluster = await startCluster({ ...options, log: say });
  const buffers = Math.min(BUFFERS_MB_MAX, Math.floor(totalmem() / MB / 4));
  const wanted = { shared_buffers: `${buffers}MB`, max_wal_size: '8GB', min_wal_size: '2GB' };
  const fresh = await withClient(cluster.url, async (client) => {
    const { rows } = await client.query('SHOW max_wal_size');
    if (rows[0].max_wal_size === wanted.max_wal_size) return false;
    for (const [name, value] of Object.entries({ ...wanted, checkpoint_timeout: '15min' })) {
      await client.query(`ALTER SYSTEM SET ${name} = '${value}'`);
    }
    return true;
  });
  if (fresh) {
    await cluster.stop();
    cluster = await startCluster({ ...options, log: say });
  }
  const { url } = cluster;
  return { url, log: join(folder, 'postgres', 'postgres.log'), stop: () => cluster.stop() };
}

async function lookAt(url: string): Promise<{ settings: Record<string, string>; pid?: number }> {
  return withClient(url, async (client) => {
    await refuseDistant(client);
    const { rows } = await client.query(
      'SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name',
      [SHOWN],
    );
    const settings = Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    const lax = DURABLE.filter((name) => ['off', 'local'].includes(settings[name]));
    if (lax.length > 0) {
      const words = `${lax.join(', ')} off: this server may lose what it acknowledged`;
      throw new BenchFault(`${words}, so its figures would say nothing`, 78);
    }
    const { rows: who } = await client.query(`SELECT pg_backend_pid() AS pid,
      current_setting('is_superuser') = 'on' AS may`);
    if (!who[0].may) throw new BenchFault('--url must name a superuser', 64);
    const pid = parentOf(who[0].pid);
    return pid > 1 ? { settings, pid } : { settings };
  });
}

async function makeDatabase(serverUrl: string, name: string): Promise<string> {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error(`no name for a database: ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await withClient(serverUrl, async (client) => {
    const known = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (known.rowCount === 0) {
      await client.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
    }
  });
  await migrateUp(url.href, () => undefined, { takeOver: false });
  return url.href;
}

async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await withClient(serverUrl, (client) =>
    client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  );
}

/** One session for some work, closed afterwards; `lumis_bench` in pg_stat_activity. */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'lumis_bench' });
  client.on('error', () => undefined); // the statement under way reports it
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Removes a folder that a server of ours lived in, whose last files may go a moment later. */
export async function removeFolder(folder: string): Promise<void> {
  for (let attempt = 1; attempt < 5; attempt += 1) {
    try {
      rmSync(folder, { recursive: true, force: true });
      return;
    } catch {
      await sleep(200 * attempt);
    }
  }
  rmSync(folder, { recursive: true, force: true });
}
