/**
 * Why a redemption is refused: a closed list, the same for member, merchant, administrator and SDK.
 * A refusal is an answer of the domain; it is stored and repeated under its idempotency key.
 */
export const REFUSALS = [
  'insufficient_points',
  'offer_inactive',
  'offer_not_started',
  'offer_ended',
  'out_of_stock',
  'limit_member',
  'limit_period',
  'outside_hours',
  'already_redeemed',
  'expired',
  'cancelled',
  'reversed',
  'unknown_code',
  'wrong_branch',
  'not_pending',
  'unknown_offer',
] as const;

/** Everything else that can go wrong with a request. */
export const PROBLEMS = [
  'invalid_request',
  'unauthorized',
  'forbidden',
  'not_found',
  'idempotency_key_missing',
  'idempotency_key_reused',
  'idempotency_in_progress',
  'rate_limited',
  'overloaded',
  'internal',
] as const;

export type Refusal = (typeof REFUSALS)[number];
export type FailureCode = Refusal | (typeof PROBLEMS)[number];

/**
 * A fault at one place of the input. `field` is a path such as `body.offer_id`; `detail` is a sentence,
 * or the key of one that `http/problem.ts` has in both languages.
 */
export interface FieldFault {
  field: string;
  detail: string;
}

export interface FailureOptions {
  /** facts for the caller, shown beside the code, e.g. `{ missing_lumis: 30 }` */
  data?: Record<string, unknown>;
  fields?: FieldFault[];
  /** for the log only; callers get the sentence of the code in their own language */
  message?: string;
  retryAfterSeconds?: number;
  cause?: unknown;
}

/**
 * The one error class: a code for machines. `http/problem.ts` turns it into a status and a sentence;
 * anything that is not a Failure is an `internal` that is logged and never shown.
 */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly data: Record<string, unknown>;
  readonly fields: FieldFault[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: FailureCode, options: FailureOptions = {}) {
    super(options.message ?? code, { cause: options.cause });
    this.name = 'Failure';
    this.code = code;
    this.data = options.data ?? {};
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
