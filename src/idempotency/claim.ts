import { hash } from 'node:crypto';
import type { Actor } from '../core/actor.ts';
import type { Step } from '../db/pool.ts';
import { byKey, type Statement } from '../db/statement.ts';

/** An idempotency key, scoped to the caller, with a digest of what was asked under it. */
export interface Claim {
  actor_type: string;
  actor_id: string;
  key: string;
  /** SHA-256 of operation and input, hex: the same key with another request is refused */
  fingerprint: string;
}

/** The claim of one request: `operation` is the verb, `input` all that decides its effect. */
export function claim(actor: Actor, key: string, operation: string, input: object): Claim {
  const fingerprint = hash('sha256', JSON.stringify([operation, Object.entries(input).sort()]));
  return { actor_type: actor.type, actor_id: actor.id, key, fingerprint };
}

/**
 * Tells apart what may share an answer, for a group: the scoped key, and all that decides the answer
 * under it, a merchant's credential too. Where the request came from decides nothing.
 */
export function identifyClaim<Row extends Claim & { changed_by: object }>(row: Row) {
  const request = () => {
    const { changed_by: _, ...rest } = row;
    return JSON.stringify(rest);
  };
  // neither type nor id of an actor has a space
  return { key: `${row.actor_type} ${row.actor_id} ${row.key}`, request };
}

/**
 * R12: a verb's deciding statement, which begins with `input` and ends with `ANSWER`; or one that
 * decides an unused key (`isUnused`) and keeps its answer (`keepAnswers`). It writes each key with its
 * answer, once. A key that another transaction is writing is awaited there (up to the
 * lock timeout, then `idempotency_in_progress`); what that one wrote makes this one start again, and
 * find it. Keys within a batch must differ.
 */
export function underKeys(statement: Statement): Step {
  return { onLockTimeout: 'idempotency_in_progress', isWhole: true, ...statement };
}

/** SQL: whether nothing is stored under a key, `actor_type, actor_id, key`. */
export const isUnused = (key: string) =>
  `NOT EXISTS (SELECT FROM lumis.idempotency_keys k
        WHERE (k.actor_type, k.actor_id, k.key) = (${key}))`;

/** SQL: stores an answer under the key of each row of `from`. */
export const keepAnswers = (key: string, fingerprint: string, answer: string, from: string) =>
  `INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint, answer)
    SELECT ${key}, decode(${fingerprint}, 'hex'), ${answer} FROM ${from}`;

/**
 * Begins a verb's deciding statement: CTE `input` with the given columns, the claim's, `stored` (the
 * answer that the key already holds, `k.answer`, or what a verb that keeps only a part of it makes of
 * that) and `reused` (the key stands for another request). Its first parameters are the batch and how
 * long to wait for a lock, which holds for this transaction: there may be no BEGIN that could say so,
 * and behind a transaction pooler no session either.
 */
export const input = (columns: string, stored = 'k.answer') => `input AS MATERIALIZED (
    SELECT i.*, ${stored} AS stored, k.fingerprint <> decode(i.fingerprint, 'hex') AS reused
    FROM set_config('lock_timeout', $2::integer::text, true) AS patience(ms),
      json_to_recordset($1) AS i(ord integer, ${columns},
        actor_type text, actor_id text, key text, fingerprint text)
    LEFT JOIN ${byKey('lumis.idempotency_keys', '(actor_type, actor_id, key) = (i.actor_type, i.actor_id, i.key)')} k
      ON true
  )`;

/**
 * Ends it. Reads a CTE `decided` with a row for each of the input: its columns, and `answer` (NULL:
 * undecided) and `keep` (the outcome may be stored, and a stored one may be told). Keeps fresh
 * answers under their keys and returns one `answer` per row, in the order of the input, and beside
 * it `more` columns of `decided`.
 */
export const answerWith = (...more: string[]) => `kept AS (
    ${keepAnswers('d.actor_type, d.actor_id, d.key', 'd.fingerprint', 'd.answer', 'decided d')}
    WHERE d.stored IS NULL AND d.keep
    ORDER BY d.actor_type, d.actor_id, d.key
  )
  SELECT ${more.map((column) => `d.${column}, `).join('')}CASE
      WHEN NOT d.keep THEN d.answer
      WHEN d.reused THEN jsonb_build_object('refused', 'idempotency_key_reused')
      ELSE coalesce(d.stored, d.answer) END AS answer
  FROM decided d ORDER BY d.ord`;

/** The usual end: answers alone. */
export const ANSWER = answerWith();
