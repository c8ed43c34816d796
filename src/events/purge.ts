import { inBatches } from '../db/batches.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** How long events are kept after they were handed on: as long as the audit log. */
const EVENT_DAYS = 90;
const BATCH_ROWS = 5000;

const PURGE = prepared(
  'events.purge',
  `WITH old AS (
    SELECT e.xid, e.id FROM lumis.events e
    WHERE e.created_at < now() - make_interval(days => ${EVENT_DAYS})
      AND (e.xid, e.id) <= (SELECT c.xid, c.id FROM lumis.event_cursors c WHERE c.reader = 'dispatcher')
    ORDER BY e.xid, e.id LIMIT ${BATCH_ROWS}
  ), purged AS (
    DELETE FROM lumis.events e USING old WHERE (e.xid, e.id) = (old.xid, old.id) RETURNING 1
  )
  SELECT count(*) AS rows FROM purged`,
);

/** Deletes events that were handed on more than 90 days ago, oldest first. Returns how many. */
export async function purgeEvents(db: Database, signal?: AbortSignal): Promise<number> {
  return inBatches(BATCH_ROWS, () => db.query(PURGE()), signal);
}
