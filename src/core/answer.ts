import { Failure, type FailureCode, type FieldFault } from './failure.ts';

/**
 * What a verb answers for one row of its input: done with a value, or refused with a code. The same
 * JSON is what an idempotency key stores, so a repeated request gets exactly this again.
 */
export type Answer<Value> =
  | { done: Value; refused?: never; data?: never; fields?: never; redemption_id?: never }
  | {
      refused: FailureCode;
      /** facts for the caller */
      data?: Record<string, unknown>;
      fields?: FieldFault[];
      /** the redemption it is about, for the audit log alone */
      redemption_id?: string;
      done?: never;
    };

/** The value of a done answer; a refused one becomes the Failure that the caller is told. */
export function unwrap<Value>(answer: Answer<Value> | undefined): Value {
  if (answer?.done !== undefined) return answer.done;
  const { refused, data = {}, fields = [] } = answer ?? { refused: 'internal' as const };
  throw new Failure(refused ?? 'internal', { data, fields });
}

/** What somebody changes in the moment of each run is left undecided by it; nobody waits for ever. */
const RUNS_WITHOUT_EFFECT_MAX = 5;

/**
 * Runs a verb on its rows, and again on those that it left undecided. The first time nobody waits
 * for a lock: a row that somebody else holds, or has just changed, is left for the next time, when
 * locks are taken before (R14). Rows that are not `apart` from an earlier one wait for their turn.
 * One answer per row, in their order. Throws `overloaded` when that never ends.
 */
export async function decideAll<Row, Value>(
  rows: readonly Row[],
  apart: (row: Row) => unknown,
  decide: (open: readonly Row[], isAgain: boolean) => Promise<(Answer<Value> | undefined)[]>,
): Promise<Answer<Value>[]> {
  const answers = new Map<Row, Answer<Value>>();
  for (let run = 0; answers.size < rows.length; run += 1) {
    if (run > rows.length + RUNS_WITHOUT_EFFECT_MAX) {
      throw new Failure('overloaded', { retryAfterSeconds: 1 });
    }
    const taken = new Set<unknown>();
    const open = rows.filter((row) => {
      if (answers.has(row) || taken.has(apart(row))) return false;
      taken.add(apart(row));
      return true;
    });
    const decided = await decide(open, run > 0);
    for (const [i, row] of open.entries()) {
      const answer = decided[i];
      if (answer) answers.set(row, answer);
    }
  }
  return rows.map((row) => answers.get(row) as Answer<Value>);
}
