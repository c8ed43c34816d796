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

/**
 * Runs a verb on its rows, and again on those that it left undecided, since what came before them
 * in the batch has changed what they hang on. Every round must decide the first row at least.
 * One answer per row, in the order of the rows.
 */
export async function decideAll<Row, Value>(
  rows: readonly Row[],
  decide: (open: readonly Row[]) => Promise<(Answer<Value> | undefined)[]>,
): Promise<Answer<Value>[]> {
  const answers = await decide(rows);
  const open = rows.filter((_, i) => !answers[i]);
  if (open.length === 0) return answers as Answer<Value>[];
  const later = await decideAll(open, decide);
  return answers.map((answer) => answer ?? (later.shift() as Answer<Value>));
}
