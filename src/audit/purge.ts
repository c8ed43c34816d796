import { inBites } from '../db/batches.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** How long the audit log is kept. */
const AUDIT_DAYS = 90;
const BITE_ROWS = 5000;

// By where the rows lie: no second index to search, and two workers meet in the same order.
const PURGE = prepared(
  'audit.purge',
  `WITH old AS MATERIALIZED (
    SELECT a.ctid AS place, a.created_at FROM rewards.redemption_audit_log a
    WHERE a.created_at >= coalesce($1::timestamptz, '-infinity')
      AND a.created_at < now() - make_interval(days => ${AUDIT_DAYS})
    ORDER BY a.created_at LIMIT ${BITE_ROWS}
  ), purged AS (
    DELETE FROM rewards.redemption_audit_log
    WHERE ctid = ANY (ARRAY(SELECT place FROM old)) RETURNING 1
  )
  SELECT (SELECT count(*) FROM purged) AS rows,
    CASE WHEN count(*) = ${BITE_ROWS} THEN max(created_at)::text END AS last
  FROM old`,
);

/** Deletes audit rows older than 90 days, in small bites by their index. Returns how many. */
export async function purgeAudit(db: Database, signal?: AbortSignal): Promise<number> {
  return inBites(async (from) => (await db.query(PURGE(from)))[0], signal);
}

const PURGE_REFUSALS = prepared(
  'audit.purge_refusals',
  `WITH purged AS (
    DELETE FROM lumis.refusals WHERE minute < now() - interval '1 day' RETURNING 1
  )
  SELECT count(*) AS rows FROM purged`,
);

/** Forgets yesterday's counts of refusals. Returns how many rows. */
export async function purgeRefusals(db: Database): Promise<number> {
  const [purged] = await db.query(PURGE_REFUSALS());
  return purged.rows;
}
