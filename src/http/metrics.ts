import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../db/pool.ts';
import type { App } from './app.ts';

/** The figures of this process, as Prometheus reads them at /metrics. */
export interface Metrics {
  registry: Registry;
  requests: Histogram<'method' | 'route' | 'status'>;
  outcomes: Counter<'verb' | 'outcome'>;
  violations: Gauge<'invariant' | 'scope'>;
  jobs: Counter<'job' | 'outcome'>;
  streams: Gauge;
  groups: Histogram<'verb'>;
}

/** Labels are bounded: routes, statuses and codes, never ids. */
export function createMetrics(db: Database): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const connections = new Gauge({
    name: 'lumis_database_connections',
    help: 'connections to the database: total, idle, and requests waiting for one',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(db.usage())) this.set({ state }, count);
    },
  });
  connections.reset();
  return {
    registry,
    requests: new Histogram({
      name: 'lumis_http_request_duration_seconds',
      help: 'time from request to answer',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    outcomes: new Counter({
      name: 'lumis_outcomes_total',
      help: 'what the verbs answered: done, or the code of the refusal',
      labelNames: ['verb', 'outcome'],
      registers,
    }),
    violations: new Gauge({
      name: 'lumis_invariant_violations',
      help: 'rows that break an invariant, as the last check of recent or of all rows found them; 0 is right',
      labelNames: ['invariant', 'scope'],
      registers,
    }),
    groups: new Histogram({
      name: 'lumis_group_rows',
      help: 'rows that one transaction of a verb decided together: 1 while it is quiet',
      labelNames: ['verb'],
      buckets: [1, 2, 4, 8, 16, 32, 64, 128],
      registers,
    }),
    streams: new Gauge({
      name: 'lumis_http_streams_open',
      help: 'streams of server-sent events that are open',
      registers,
    }),
    jobs: new Counter({
      name: 'lumis_jobs_total',
      help: 'jobs that ran',
      labelNames: ['job', 'outcome'],
      registers,
    }),
  };
}

/** Times every request by its route. */
export function httpMetrics(app: App, metrics: Metrics): void {
  app.addHook('onResponse', (request, reply, done) => {
    // a stream lasts as long as somebody looks
    if (!String(reply.raw.getHeader('content-type')).startsWith('text/event-stream')) {
      const route = request.routeOptions.url ?? 'unknown';
      const labels = { method: request.method, route, status: reply.statusCode };
      metrics.requests.observe(labels, reply.elapsedTime / 1000);
    }
    done();
  });
}
