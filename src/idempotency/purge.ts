import { inBatches } from '../db/batches.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** R12: how long a key keeps its answer. */
const KEY_HOURS = 72;
const BATCH_ROWS = 5000;

const PURGE = prepared(
  'idempotency.purge',
  `WITH old AS (
    SELECT actor_type, actor_id, key FROM lumis.idempotency_keys
    WHERE created_at < now() - interval '${KEY_HOURS} hours'
    ORDER BY created_at LIMIT ${BATCH_ROWS} FOR UPDATE SKIP LOCKED
  ), purged AS (
    DELETE FROM lumis.idempotency_keys k USING old
    WHERE (k.actor_type, k.actor_id, k.key) = (old.actor_type, old.actor_id, old.key) RETURNING 1
  )
  SELECT count(*) AS rows FROM purged`,
);
/** Forgets idempotency keys after 72 hours, in small batches. Returns how many. */
export async function purgeKeys(db: Database, signal?: AbortSignal): Promise<number> {
  return inBatches(BATCH_ROWS, () => db.query(PURGE()), signal);
}
