import { Failure, type FailureCode } from './failure.ts';

/**
 * What a verb answers for one row of its input: done with a value, or refused with a code. The same
 * JSON is what an idempotency key stores, so a repeated request gets exactly this again.
 */
export type Answer<Value> =
  | { done: Value; refused?: never; data?: never }
  | { refused: FailureCode; data?: Record<string, unknown>; done?: never };

/** The value of a done answer; a refused one becomes the Failure that the caller is told. */
export function unwrap<Value>(answer: Answer<Value> | undefined): Value {
  if (answer?.done !== undefined) return answer.done;
  throw new Failure(answer?.refused ?? 'internal', { data: answer?.data ?? {} });
}
