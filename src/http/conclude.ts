import type { FastifyRequest } from 'fastify';
import type { Answer } from '../core/answer.ts';
import { unwrap } from '../core/answer.ts';
import { Failure } from '../core/failure.ts';
import { type Claim, claim } from '../idempotency/claim.ts';
import type { RouteDeps } from './app.ts';

const KEY = /^[\x20-\x7e]{1,255}$/;

/**
 * The claim of a request that moves something: its Idempotency-Key, scoped to the caller, and of a
 * merchant's phones to each: two tills that send the same key must not both be told to hand over.
 * `input` is all that decides the effect. Throws `idempotency_key_missing`, `invalid_request`.
 */
export function claimOf(request: FastifyRequest, operation: string, input: object): Claim {
  const key = request.headers['idempotency-key'];
  if (key === undefined || key === '') throw new Failure('idempotency_key_missing');
  if (typeof key !== 'string' || !KEY.test(key)) {
    const fields = [{ field: 'headers.idempotency-key', detail: 'idempotency_key' }];
    throw new Failure('invalid_request', { fields });
  }
  const { actor } = request.caller;
  const id = request.device ? `${actor.id}:${request.device.device_id}` : actor.id;
  return claim({ ...actor, id }, key, operation, input);
}

/**
 * Ends an operation: counts its outcome, notes a refusal in the audit log (within its budget), and
 * returns the value or throws the Failure of the refusal.
 */
export async function conclude<Value>(
  deps: RouteDeps,
  request: FastifyRequest,
  verb: string,
  answer: Answer<Value> | undefined,
  about: { redemption_id?: string; offer_id?: string } | 'not audited',
): Promise<Value> {
  const reason = answer?.refused;
  deps.metrics.outcomes.inc({ verb, outcome: reason ?? 'done' });
  const isRefusal = reason && !UNAUDITED.has(reason);
  if (isRefusal && about !== 'not audited') {
    const { redemption_id } = answer;
    const subject = { ...about, ...(redemption_id && { redemption_id }) };
    await deps.grouped.refused.submit({ caller: request.caller, reason, ...subject });
  }
  return unwrap(answer);
}

/** What is no word of the domain about a redemption or an offer. */
const UNAUDITED = new Set(['unauthorized', 'idempotency_key_reused', 'invalid_request']);
