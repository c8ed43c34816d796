import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { inspectInvariants } from './check.ts';

const MARK = prepared(
  'invariants.mark',
  `SELECT clock_timestamp()::text AS now,
     (SELECT (mark - interval '10 minutes')::text FROM lumis.job_marks WHERE job = 'check_recent')
       AS since`,
);
const SET_MARK = prepared(
  'invariants.set_mark',
  `INSERT INTO lumis.job_marks (job, mark) VALUES ('check_recent', $1::timestamptz)
   ON CONFLICT (job) DO UPDATE SET mark = excluded.mark`,
);

/**
 * Checks the invariants of what was touched since the last look (a transaction may commit ten
 * minutes after its clock), or of everything, and hands on how many rows break each.
 * Returns the number of violations and the first few.
 */
export async function watchInvariants(
  db: Database,
  scope: 'recent' | 'all',
  report: (counts: Record<string, number>, scope: 'recent' | 'all') => void,
): Promise<{ violations: number; first?: object[] }> {
  const [{ now, since }] = (await db.query(MARK())) as [{ now: string; since: string | null }];
  const limit: { since?: string } = scope === 'recent' && since ? { since } : {};
  const findings = await inspectInvariants(db, limit);
  report(
    Object.fromEntries(findings.map((found) => [found.invariant.id, found.violations.length])),
    limit.since === undefined ? 'all' : 'recent',
  );
  if (scope === 'recent') await db.query(SET_MARK(now));
  const violations = findings.flatMap((found) => found.violations);
  const first = violations.slice(0, 5);
  return { violations: violations.length, ...(first.length > 0 ? { first } : {}) };
}
