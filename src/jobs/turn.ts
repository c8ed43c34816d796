import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** How long a turn lasts after the last word of who has it, in milliseconds. */
const TURN_MS = 30_000;
const END = 'clock_timestamp() + make_interval(secs => $2::float / 1000)';

// Of such a job the mark says until when somebody is at it. One that lies further ahead than any
// turn was written before a clock went back.
const TAKE = prepared(
  'jobs.take_turn',
  `INSERT INTO lumis.job_marks (job, mark) VALUES ($1, ${END})
   ON CONFLICT (job) DO UPDATE SET mark = excluded.mark
   WHERE job_marks.mark <= clock_timestamp() OR job_marks.mark > ${END}
   RETURNING mark::text`,
);
const KEEP = prepared(
  'jobs.keep_turn',
  `UPDATE lumis.job_marks SET mark = ${END} WHERE job = $1 AND mark = $3::timestamptz
   RETURNING mark::text`,
);

/**
 * Runs a job, unless it runs already, on whichever node: undefined then. A queue of its own would
 * do the same, but what a killed node held there stays locked for four hours; a turn ends `ms`
 * after its last word. Two at once, after a node was frozen or cut off for longer, must do no harm.
 * Throws what `run` throws.
 */
export async function inTurn<Result>(
  db: Database,
  job: string,
  run: () => Promise<Result>,
  ms = TURN_MS,
): Promise<Result | undefined> {
  const [taken] = await db.query<{ mark: string }>(TAKE(job, ms));
  if (!taken) return undefined;
  let { mark } = taken;
  // one after the other, each by the mark of the one before: what somebody else took stays theirs
  let last: Promise<unknown> = Promise.resolve();
  const keep = (length: number) => {
    const keepOnce = async () => {
      const [kept] = await db.query<{ mark: string }>(KEEP(job, length, mark));
      if (kept) mark = kept.mark;
    };
    last = last.then(keepOnce).catch(() => undefined);
    return last;
  };
  const timer = setInterval(keep, ms / 3, ms);
  try {
    return await run();
  } finally {
    clearInterval(timer);
    await keep(0);
  }
}
