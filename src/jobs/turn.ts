import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** How long a turn lasts after the last word of who has it. */
const TURN_MS = 30_000;

// Of such a job the mark says until when somebody is at it.
const TAKE = prepared(
  'jobs.take_turn',
  `INSERT INTO lumis.job_marks (job, mark)
   VALUES ($1, clock_timestamp() + make_interval(secs => $2::float / 1000))
   ON CONFLICT (job) DO UPDATE SET mark = excluded.mark
   WHERE job_marks.mark <= clock_timestamp() RETURNING job`,
);
const KEEP = prepared(
  'jobs.keep_turn',
  `UPDATE lumis.job_marks SET mark = clock_timestamp() + make_interval(secs => $2::float / 1000)
   WHERE job = $1`,
);

/**
 * Runs a job, unless it runs already, on whichever node: undefined then. A queue of its own would
 * do the same, but one whose node was killed stays locked for four hours; a turn ends after half a
 * minute. Two at once, after a node was frozen for longer, must do no harm. Throws what `run` throws.
 */
export async function inTurn<Result>(
  db: Database,
  job: string,
  run: () => Promise<Result>,
): Promise<Result | undefined> {
  const [taken] = await db.query(TAKE(job, TURN_MS));
  if (!taken) return undefined;
  const keep = (ms: number) => db.query(KEEP(job, ms)).catch(() => undefined);
  const timer = setInterval(keep, TURN_MS / 3, TURN_MS);
  try {
    return await run();
  } finally {
    clearInterval(timer);
    await keep(0);
  }
}
