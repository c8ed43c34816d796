import { inBatches } from '../db/batches.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** How long the audit log is kept. */
const AUDIT_DAYS = 90;
const BATCH_ROWS = 5000;

const PURGE = prepared(
  'audit.purge',
  `WITH old AS (
    SELECT log_id FROM rewards.redemption_audit_log
    WHERE created_at < now() - make_interval(days => ${AUDIT_DAYS})
    ORDER BY created_at LIMIT ${BATCH_ROWS}
  ), purged AS (
    DELETE FROM rewards.redemption_audit_log a USING old WHERE a.log_id = old.log_id RETURNING 1
  )
  SELECT count(*) AS rows FROM purged`,
);

/** Deletes audit rows older than 90 days, in small batches by their index. Returns how many. */
export async function purgeAudit(db: Database, signal?: AbortSignal): Promise<number> {
  return inBatches(BATCH_ROWS, () => db.query(PURGE()), signal);
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
