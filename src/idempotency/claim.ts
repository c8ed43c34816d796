import { createHash } from 'node:crypto';
import type { Actor } from '../core/actor.ts';
import type { Step } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

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
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([operation, Object.entries(input).sort()]))
    .digest('hex');
  return { actor_type: actor.type, actor_id: actor.id, key, fingerprint };
}

/**
 * Tells apart what may share an answer, for a group: the scoped key, and all that decides the answer
 * under it, a merchant's credential too. Where the request came from decides nothing.
 */
export function identifyClaim<Row extends Claim & { changed_by: object }>(row: Row) {
  const { actor_type, actor_id, key, changed_by: _, ...request } = row;
  return { key: JSON.stringify([actor_type, actor_id, key]), request: JSON.stringify(request) };
}

const CLAIM = prepared(
  'idempotency.claim',
  `INSERT INTO lumis.idempotency_keys (actor_type, actor_id, key, fingerprint)
   SELECT i.actor_type, i.actor_id, i.key, decode(i.fingerprint, 'hex')
   FROM json_to_recordset($1) AS i(actor_type text, actor_id text, key text, fingerprint text)
   ORDER BY 1, 2, 3
   ON CONFLICT DO NOTHING`,
);

/**
 * R12: the first statement of a deciding transaction. A key that another transaction holds is
 * awaited (up to the lock timeout, then `idempotency_in_progress`); afterwards either its stored
 * answer is there, or the key is ours with `answer` still NULL. Keys within a batch must differ.
 */
export function claimKeys(rows: readonly Claim[]): Step {
  return { ...CLAIM(JSON.stringify(rows)), onLockTimeout: 'idempotency_in_progress' };
}

/**
 * Begins a verb's deciding statement: CTE `input` with the given columns, the claim's, `stored` (the
 * answer that the key already holds) and `reused` (the key stands for another request).
 */
export const input = (columns: string) => `input AS MATERIALIZED (
    SELECT i.*, k.answer AS stored, k.fingerprint <> decode(i.fingerprint, 'hex') AS reused
    FROM json_to_recordset($1) AS i(ord integer, ${columns},
      actor_type text, actor_id text, key text, fingerprint text)
    JOIN lumis.idempotency_keys k
      ON (k.actor_type, k.actor_id, k.key) = (i.actor_type, i.actor_id, i.key)
  )`;

/**
 * Ends it. Reads a CTE `decided` with a row for each of the input: its columns, and `answer` (NULL:
 * undecided) and `keep`. Keeps fresh answers under their keys, drops the keys whose outcome must
 * not be stored, and returns one `answer` per row in the order of the input.
 */
export const ANSWER = `
  kept AS (
    UPDATE lumis.idempotency_keys k SET answer = d.answer
    FROM decided d
    WHERE d.stored IS NULL AND d.keep
      AND (k.actor_type, k.actor_id, k.key) = (d.actor_type, d.actor_id, d.key)
  ), dropped AS (
    DELETE FROM lumis.idempotency_keys k USING decided d
    WHERE d.stored IS NULL AND NOT d.keep
      AND (k.actor_type, k.actor_id, k.key) = (d.actor_type, d.actor_id, d.key)
  )
  SELECT CASE WHEN d.reused THEN jsonb_build_object('refused', 'idempotency_key_reused')
              ELSE coalesce(d.stored, d.answer) END AS answer
  FROM decided d ORDER BY d.ord`;
