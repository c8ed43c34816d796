import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { inspectInvariants, type Scope } from './check.ts';

const MARK = prepared(
  'invariants.mark',
  `SELECT clock_timestamp()::text AS now,
     (coalesce((SELECT mark FROM lumis.job_marks WHERE job = 'check_recent'),
       clock_timestamp() - interval '1 hour') - interval '10 minutes')::text AS since`,
);
const SET_MARK = prepared(
  'invariants.set_mark',
  `INSERT INTO lumis.job_marks (job, mark) VALUES ('check_recent', $1::timestamptz)
   ON CONFLICT (job) DO UPDATE SET mark = excluded.mark`,
);

/**
 * Of very many the newest are looked at, and the rest in the night: a change takes one core a third
 * of a millisecond, and what takes it for a hundredth of the five minutes shows in nobody's p99.
 */
const CHANGES_MAX = 5_000;

/**
 * Checks the invariants of what was touched since the last look, or of everything, and hands on how
 * many rows break each. A transaction may commit ten minutes after its clock (above the bound it is
 * too old then); the first look goes back an hour. Returns the number of violations and the first few.
 */
export async function watchInvariants(
  db: Database,
  scope: 'recent' | 'all',
  report: (counts: Record<string, number>, scope: 'recent' | 'all') => void,
): Promise<{ violations: number; first?: object[] }> {
  const [{ now, since }] = (await db.query(MARK())) as [{ now: string; since: string }];
  const limit: Scope = scope === 'recent' ? { since, changes: CHANGES_MAX } : {};
  const findings = await inspectInvariants(db, { ...limit, isBeside: true });
  report(
    Object.fromEntries(findings.map((found) => [found.invariant.id, found.violations.length])),
    scope,
  );
  if (scope === 'recent') await db.query(SET_MARK(now));
  const violations = findings.flatMap((found) => found.violations);
  const first = violations.slice(0, 5);
  return { violations: violations.length, ...(first.length > 0 ? { first } : {}) };
}
