import { inBites } from '../db/batches.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** R12: how long a key keeps its answer. */
const KEY_HOURS = 72;
const BITE_ROWS = 5000;

// One that somebody holds waits for the next run.
const PURGE = prepared(
  'idempotency.purge',
  `WITH old AS MATERIALIZED (
    SELECT k.ctid AS place, k.created_at FROM lumis.idempotency_keys k
    WHERE k.created_at >= coalesce($1::timestamptz, '-infinity')
      AND k.created_at < now() - interval '${KEY_HOURS} hours'
    ORDER BY k.created_at LIMIT ${BITE_ROWS} FOR UPDATE SKIP LOCKED
  ), purged AS (
    DELETE FROM lumis.idempotency_keys
    WHERE ctid = ANY (ARRAY(SELECT place FROM old)) RETURNING 1
  )
  SELECT (SELECT count(*) FROM purged) AS rows,
    CASE WHEN count(*) = ${BITE_ROWS} THEN max(created_at)::text END AS last
  FROM old`,
);

/** Forgets idempotency keys after 72 hours, in small bites by their index. Returns how many. */
export async function purgeKeys(db: Database, signal?: AbortSignal): Promise<number> {
  return inBites(async (from) => (await db.query(PURGE(from)))[0], signal);
}
