import pg from 'pg';
import { Failure } from '../core/failure.ts';

/** An error as the driver throws it: a server error has a five-character SQLSTATE in `code`. */
interface DriverError extends Error {
  code?: string;
  constraint?: string;
}

/** Constraints that input can run into: which field is at fault, and the key of the sentence. */
const CONSTRAINTS: Record<string, { field: string; detail: string }> = {
  idx_merchants_name: { field: 'body.merchant_name', detail: 'name_taken' },
  redemption_offers_merchant_id_fkey: { field: 'body.merchant_id', detail: 'unknown_merchant' },
  merchant_keys_merchant_id_fkey: { field: 'params.merchant_id', detail: 'unknown_merchant' },
  branches_name: { field: 'body.branch_name', detail: 'branch_taken' },
  offers_active_has_price: { field: 'body.lumis_cost', detail: 'price_positive' },
  offers_active_has_name: { field: 'body.name_friendly', detail: 'blank' },
  offers_window_opens_before_it_ends: { field: 'body.valid_to', detail: 'window_order' },
};

/**
 * Nothing happened, and trying again is right: a serialization failure, a deadlock, or somebody who
 * wrote the answer under an idempotency key first, which the next attempt finds.
 */
export function isRetryable(error: unknown): boolean {
  const { code, constraint } = error as DriverError;
  return code === '40001' || code === '40P01' || constraint === 'idempotency_keys_pkey';
}

/** A lock was not granted within lock_timeout. */
export function isLockTimeout(error: unknown): boolean {
  return (error as DriverError).code === '55P03';
}

/** True when the connection is gone or in doubt, so that it must not go back to the pool. */
export function isConnectionLost(error: unknown): boolean {
  // 26000: the server has forgotten a prepared statement that this connection counts on
  return !(error instanceof pg.DatabaseError) || /^(08|57P0|26000)/.test(error.code ?? '');
}

/**
 * The failure a caller is told for a database error. Busy, starting or unreachable is `overloaded`
 * (try again, with the same key); a value PostgreSQL cannot take is the caller's; the rest is ours.
 */
export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { code = '', constraint = '', message } = error as DriverError;
  const cause = { cause: error, message };
  if (
    isLockTimeout(error) ||
    isRetryable(error) ||
    /^(53|57)/.test(code) ||
    isConnectionLost(error)
  ) {
    return new Failure('overloaded', { ...cause, retryAfterSeconds: 1 });
  }
  const fault = CONSTRAINTS[constraint];
  if (fault) return new Failure('invalid_request', { ...cause, fields: [fault] });
  if (/^22/.test(code)) {
    const fields = [{ field: 'request', detail: 'value' }];
    return new Failure('invalid_request', { ...cause, fields });
  }
  if (code === 'LM003') return new Failure('insufficient_points', cause);
  return new Failure('internal', cause);
}
