import type { Problem } from '../src/contract/common.ts';

/** Why no answer of Lümis came: no network; none in time; or it was cut off, or not from Lümis. */
export type NetworkCode = 'offline' | 'timeout' | 'lost';

/** What an error can be told apart by: the server's codes, and those of the way to it. */
export type ErrorCode = Problem['code'] | NetworkCode;

interface Facts {
  status: number;
  code: ErrorCode;
  detail: string;
  isAnswered: boolean;
  problem?: Problem | undefined;
  retryAfterSeconds?: number | undefined;
  cause?: unknown;
}

/**
 * Everything that a call of this client rejects with, but for the reason of the caller's own signal.
 * Decide by `code`, show `detail`.
 */
export class LumisError extends Error {
  /** of the HTTP answer; 0 where there was none */
  readonly status: number;
  readonly code: ErrorCode;
  /** a sentence in the language of the client's `locale`; English for a NetworkError */
  readonly detail: string;
  /** the whole answer, with facts such as `redeemed_at` or `missing_lumis` */
  readonly problem: Problem | undefined;
  readonly retryAfterSeconds: number | undefined;
  /**
   * False: nobody knows whether it was done. Repeat with the same key, and you will be told.
   * True: it was refused and nothing was done by this call.
   */
  readonly isAnswered: boolean;

  constructor(facts: Facts) {
    super(facts.detail, { cause: facts.cause });
    this.name = 'LumisError';
    this.status = facts.status;
    this.code = facts.code;
    this.detail = facts.detail;
    this.problem = facts.problem;
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.isAnswered = facts.isAnswered;
  }
}

/**
 * No answer of Lümis: `status` is 0, or that of a page of something on the way, such as a proxy or
 * the sign-in page of a public Wi-Fi. `isAnswered` is false.
 */
export class NetworkError extends LumisError {
  declare readonly code: NetworkCode;

  constructor(
    code: NetworkCode,
    facts: {
      detail: string;
      status?: number;
      retryAfterSeconds?: number | undefined;
      cause?: unknown;
    },
  ) {
    super({ status: 0, ...facts, code, isAnswered: false });
    this.name = 'NetworkError';
  }
}
