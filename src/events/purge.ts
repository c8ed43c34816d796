import { inBites } from '../db/batches.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** How long events are kept after they were handed on: as long as the audit log. */
const EVENT_DAYS = 90;
const BITE_ROWS = 5000;

// Along the transactions, which is nearly along the time: a bite in which nothing is old is the
// end, or the last one would look for more of them through everything that was handed on since.
const PURGE = prepared(
  'events.purge',
  `WITH seen AS MATERIALIZED (
    SELECT e.ctid AS place, e.xid, e.id,
      e.created_at < now() - make_interval(days => ${EVENT_DAYS}) AS old
    FROM lumis.events e
    WHERE (e.xid, e.id) > (coalesce(split_part($1, ' ', 1), '0')::xid8,
        coalesce(split_part($1, ' ', 2), '0')::bigint)
      AND (e.xid, e.id) <= (SELECT c.xid, c.id FROM lumis.event_cursors c WHERE c.reader = 'dispatcher')
    ORDER BY e.xid, e.id LIMIT ${BITE_ROWS}
  ), purged AS (
    DELETE FROM lumis.events
    WHERE ctid = ANY (ARRAY(SELECT place FROM seen WHERE old)) RETURNING 1
  )
  SELECT (SELECT count(*) FROM purged) AS rows,
    CASE WHEN count(*) = ${BITE_ROWS} AND bool_or(old)
      THEN (SELECT xid || ' ' || id FROM seen ORDER BY xid DESC, id DESC LIMIT 1) END AS last
  FROM seen`,
);

/** Deletes events that were handed on more than 90 days ago, oldest first. Returns how many. */
export async function purgeEvents(db: Database, signal?: AbortSignal): Promise<number> {
  return inBites(async (from) => (await db.query(PURGE(from)))[0], signal);
}
