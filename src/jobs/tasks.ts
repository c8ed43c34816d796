import type { TaskList } from 'graphile-worker';
import { purgeAudit, purgeRefusals } from '../audit/purge.ts';
import type { Log } from '../core/log.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { purgeEvents } from '../events/purge.ts';
import { purgeKeys } from '../idempotency/purge.ts';
import { watchInvariants } from '../invariants/watch.ts';
import { expireOldRedemptions } from '../redemptions/expire.ts';
import { inTurn } from './turn.ts';

/** What a job needs; `count` and `violations` feed the metrics of the process that runs it. */
export interface JobDeps {
  db: Database;
  log: Log;
  count: (job: string, outcome: 'done' | 'failed') => void;
  violations: (counts: Record<string, number>, scope: 'recent' | 'all') => void;
}

type Job = (deps: JobDeps, signal?: AbortSignal) => Promise<object>;

const NO_HURRY = prepared('jobs.no_hurry', 'SET LOCAL statement_timeout = 0');
// In a database that was taken over, the ledger and the old purchases are in either schema.
const BUSY_TABLES = prepared(
  'jobs.busy_tables',
  `SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') AS names FROM pg_tables
   WHERE schemaname IN ('public', 'rewards') AND tablename IN ('user_redemptions',
     'redemption_offers', 'fact_accumulations', 'fact_redemptions_legacy', 'fact_balance_points')`,
);

/** Every job by name: one operation each. What they return is logged. */
export const JOBS: Record<string, Job> = {
  expire: async ({ db }, signal) => {
    const booked = await inTurn(db, 'expire', () => expireOldRedemptions(db, signal));
    return booked === undefined ? { booked: 0, runs_already: true } : { booked };
  },
  audit_purge: async ({ db }, signal) => ({ rows: await purgeAudit(db, signal) }),
  keys_purge: async ({ db }, signal) => ({
    rows: (await purgeKeys(db, signal)) + (await purgeRefusals(db)),
  }),
  analyze: async ({ db }) => {
    const [tables] = await db.query(BUSY_TABLES());
    await db.transaction([NO_HURRY(), { name: '', text: `ANALYZE ${tables?.names}`, values: [] }]);
    return {};
  },
  events_purge: async ({ db }, signal) => ({ rows: await purgeEvents(db, signal) }),
  check_recent: ({ db, violations }) => watchInvariants(db, 'recent', violations),
  check_all: ({ db, violations }) => watchInvariants(db, 'all', violations),
};

/**
 * When they run, in UTC: minute, hour, day of month, month, day of week. The same work by cron and
 * psql is in docs/operations.md; both together do no harm.
 */
export const CRONTAB = `
* * * * * expire ?max=3
*/5 * * * * check_recent ?max=3
17 * * * * keys_purge ?max=3
0 7 * * 0 audit_purge ?max=3
15 7 * * 0 events_purge ?max=3
0 8 * * * analyze ?max=3
30 8 * * * check_all ?max=3
`;

/** Runs a job by its name, counts and logs it. Throws what the job throws. */
export async function runJob(name: string, deps: JobDeps, signal?: AbortSignal): Promise<object> {
  const job = JOBS[name];
  if (!job) throw new Error(`there is no job ${name}; there are: ${Object.keys(JOBS).join(', ')}`);
  try {
    const result = await job(deps, signal);
    deps.count(name, 'done');
    const isIdle = Object.values(result).every((value) => value === 0);
    deps.log[isIdle ? 'debug' : 'info']({ job: name, ...result }, 'job done');
    return result;
  } catch (error) {
    deps.count(name, 'failed');
    throw error;
  }
}

/** The jobs as the queue wants them. */
export function taskList(deps: JobDeps): TaskList {
  return Object.fromEntries(
    Object.keys(JOBS).map((name) => [
      name,
      async (_payload: unknown, helpers: { abortSignal?: AbortSignal }) => {
        await runJob(name, deps, helpers.abortSignal);
      },
    ]),
  );
}
