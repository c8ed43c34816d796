import type { Database, Step } from '../db/pool.ts';
import type { Invariant } from './invariant.ts';
import { INVARIANTS } from './invariants.ts';
import { WITH_EVERYTHING, WITH_TOUCHED_SINCE } from './scope.ts';

/** One row that breaks an invariant. */
export interface Violation {
  /** the invariant's id */
  invariant: string;
  /** which redemption, member, offer, merchant, key or guard */
  subject: string;
  detail: string;
}

/** What the check of one invariant found. */
export interface Finding {
  invariant: Invariant;
  /** VIOLATIONS_MAX at most: one suffices, and a broken trigger breaks every row */
  violations: Violation[];
  /** how long its query took in the database, in milliseconds */
  ms: number;
}

export interface Scope {
  /** a timestamptz: only what was touched since then; without it, everything */
  since?: string | undefined;
  /** of so many changes, and idempotency keys, since then at most, the newest */
  changes?: number | undefined;
  /** nobody waits for it: it takes one core, and leaves the others to the requests */
  isBeside?: boolean;
}

export const VIOLATIONS_MAX = 100;

/**
 * Checks all invariants, or with `since` those that can be judged by what was touched lately, in
 * one snapshot: a finding for each, in their order. Changes nothing and waits for nobody, so it can
 * run beside the busiest hour; a full check reads every row, and takes minutes for millions.
 * Throws Failure: `invalid_request` for a `since` that is no time, `overloaded` without a database.
 */
export async function inspectInvariants(db: Database, scope: Scope): Promise<Finding[]> {
  const { since } = scope;
  const invariants = INVARIANTS.filter((invariant) => since === undefined || invariant.scoped);
  const queries = invariants.map((invariant) => query(invariant, scope));
  const settings = [
    ...ONE_VIEW,
    ...(scope.isBeside ? [ONE_CORE] : []),
    ...(scope.changes ? [UNCOMPILED] : []),
  ];
  const results = await db.transaction([...settings, ...queries]);
  return invariants.map((invariant, i) => {
    const row = results[settings.length + i]?.[0];
    const found: Omit<Violation, 'invariant'>[] = row.violations;
    return {
      invariant,
      violations: found.map((violation) => ({ invariant: invariant.id, ...violation })),
      ms: row.ms,
    };
  });
}

/** Only the violations, of all invariants, in their order. Throws as `inspectInvariants` does. */
export async function checkInvariants(db: Database, scope: Scope): Promise<Violation[]> {
  return (await inspectInvariants(db, scope)).flatMap((finding) => finding.violations);
}

/** Not named, so that each is planned for the very rows in scope. */
function statement(text: string, values: unknown[] = []): Step {
  return { name: '', text, values };
}

// What redemptions and ledger say of each other may differ between two statements of READ
// COMMITTED. A full check outlasts any statement of a request, hence no timeout.
const ONE_VIEW: Step[] = [
  statement('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY'),
  statement('SET LOCAL statement_timeout = 0'),
];

const ONE_CORE = statement('SET LOCAL max_parallel_workers_per_gather = 0');
// to compile a statement takes longer than to look at a few thousand changes
const UNCOMPILED = statement('SET LOCAL jit = off');

// MATERIALIZED, or the planner would bank on meeting a hundred violations early and choose a plan
// that is the slowest of all when there are none.
function query(invariant: Invariant, { since, changes }: Scope): Step {
  return statement(
    `${since === undefined ? WITH_EVERYTHING : WITH_TOUCHED_SINCE},
violation AS MATERIALIZED (
${invariant.sql}
)
SELECT coalesce(json_agg(v), '[]') AS violations,
  extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000 AS ms
FROM (SELECT subject, detail FROM violation LIMIT ${VIOLATIONS_MAX}) v`,
    since === undefined ? [] : [since, changes ?? null],
  );
}
