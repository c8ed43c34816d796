import type { AddressInfo } from 'node:net';
import type { Config } from './config.ts';
import { createLog, type Log } from './core/log.ts';
import { migrateUp } from './db/migrate.ts';
import { type Database, openDatabase } from './db/pool.ts';
import { seedDemo } from './demo.ts';
import type { OwnTls } from './http/app.ts';
import { createMetrics, type Metrics } from './http/metrics.ts';
import { buildServer } from './http/server.ts';
import { CRONTAB, JOBS, runJob } from './jobs/tasks.ts';
import { startWorker } from './jobs/worker.ts';
import { openInstallation } from './local.ts';
import { VERSION, WEB_FOLDER } from './project.ts';

/** `web` is the pages; they are served by the same server as `api`. */
export type Role = 'api' | 'worker' | 'web';

export interface Running {
  /** where it listens, or undefined without `api` */
  url: string | undefined;
  databaseUrl: string;
  /** the seeded merchant's key, in an embedded installation */
  demo: { merchantKey: string } | undefined;
  log: Log;
  stop(): Promise<void>;
}

/**
 * The only wiring: configuration → database → server and worker. What was opened last is closed
 * first; a fault on the way closes what was opened before it. With `tls` it speaks HTTPS.
 */
export async function serve(
  config: Config,
  roles: readonly Role[],
  tls?: OwnTls,
): Promise<Running> {
  const log = createLog(config.logLevel);
  const opened: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const close of opened.splice(0).reverse()) {
      await close().catch((error) => log.error({ err: error }, 'while stopping'));
    }
  };
  try {
    const installation = await openInstallation(config, {
      exclusive: true,
      log: (line) => log.warn(line),
    });
    const { cluster } = installation;
    if (cluster) opened.push(() => cluster.stop());
    const ready = installation.config;
    const direct = ready.databaseDirectUrl ?? ready.databaseUrl;
    await migrateUp(direct, (text) => log.info(text), { takeOver: false });
    const db = openPool(ready, log);
    opened.push(() => db.close());
    const demo = cluster
      ? await seedDemo(db, ready.dataDirectory, ready.businessTimeZone)
      : undefined;
    const metrics = createMetrics(db);
    if (roles.includes('worker')) {
      const worker = await startWorker(direct, jobDeps(db, log, metrics));
      opened.push(() => worker.stop());
    }
    let url: string | undefined;
    if (roles.includes('api') || roles.includes('web')) {
      const options = {
        config: ready,
        db,
        log,
        metrics,
        version: VERSION,
        demo: Boolean(demo),
        demoSite: demo,
        tls,
        webFolder: roles.includes('web') ? WEB_FOLDER : undefined,
      };
      const app = await buildServer(options);
      opened.push(() => app.close());
      await app.listen({ host: ready.host, port: ready.port });
      const { address, family, port } = app.server.address() as AddressInfo;
      url = `${tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    }
    log.info({ url, roles, version: VERSION }, 'running');
    return { url, databaseUrl: ready.databaseUrl, demo, log, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The pool of a process, with its faults in the log. */
export function openPool(config: Config & { databaseUrl: string }, log: Log): Database {
  return openDatabase({
    url: config.databaseUrl,
    max: config.databasePoolMax,
    poolTimeoutMs: config.databasePoolTimeoutMs,
    onError: (error) => log.warn({ err: error }, 'a database connection was lost'),
  });
}

/** What jobs get: their outcomes go to the metrics. */
export function jobDeps(db: Database, log: Log, metrics?: Metrics) {
  return {
    db,
    log,
    count: (job: string, outcome: 'done' | 'failed') => metrics?.jobs.inc({ job, outcome }),
    violations(counts: Record<string, number>, scope: 'recent' | 'all') {
      for (const [invariant, rows] of Object.entries(counts)) {
        metrics?.violations.set({ invariant, scope }, rows);
        if (rows > 0) log.error({ invariant, rows }, 'invariant violated');
      }
    },
  };
}

/** Every job and its line of the crontab, for the command line, which does not know the worker. */
export function jobNames(): { name: string; schedule: string }[] {
  return Object.keys(JOBS).map((name) => {
    const line = CRONTAB.split('\n').find((entry) => entry.includes(` ${name} `)) ?? '';
    return { name, schedule: line.split(` ${name}`)[0] ?? '' };
  });
}

export type { OwnTls };
export { runJob };
