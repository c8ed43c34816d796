import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** Something that happened, as the events table keeps it. */
export interface DomainEvent {
  id: number;
  type: string;
  redemption_id: string | null;
  sequence: number | null;
  user_id: number | null;
  merchant_id: string | null;
  offer_id: string | null;
  payload: Record<string, unknown>;
  created_at: string;
}

/** Where the dispatcher tells that there are new events; see feed.ts. */
export const EVENTS_CHANNEL = 'lumis_events';

/** Events handed on in one step. */
const STEP_ROWS = 1000;

/** How long a node may take over a step before another one takes it up. */
const LEASE_SECONDS = 10;

/**
 * R11: reads on from the cursor by transaction: what is older than every transaction still open can
 * no longer be overtaken (ids do not commit in order). A lease keeps it to one node at a time; the
 * others find nothing.
 *
 * A transaction number from the future means that the database was restored into a younger server:
 * the cursor then begins anew from the oldest event written since.
 */
const READ = prepared(
  'events.read',
  `WITH cursor AS (
    UPDATE lumis.event_cursors c
    SET leased_by = $1, leased_until = clock_timestamp() + interval '${LEASE_SECONDS} s'
    FROM (SELECT reader FROM lumis.event_cursors WHERE reader = 'dispatcher'
            AND (leased_by = $1 OR leased_until < clock_timestamp())
          FOR NO KEY UPDATE SKIP LOCKED) free
    WHERE c.reader = free.reader
    RETURNING c.id, CASE WHEN c.xid >= pg_snapshot_xmax(pg_current_snapshot()) THEN '0'::xid8
                         ELSE c.xid END AS xid
  )
  SELECT e.id, e.xid::text, e.type, e.redemption_id, e.sequence, e.user_id, e.merchant_id,
    e.offer_id, e.payload, e.created_at
  FROM lumis.events e
  -- not joined: the index is then entered at the cursor instead of at its beginning
  WHERE (e.xid, e.id) > ((SELECT c.xid FROM cursor c), (SELECT c.id FROM cursor c))
    AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY e.xid, e.id LIMIT ${STEP_ROWS}`,
);
const MOVE = prepared(
  'events.move',
  `UPDATE lumis.event_cursors SET xid = $2::xid8, id = $3
   WHERE reader = 'dispatcher' AND leased_by = $1`,
);

/**
 * Hands on what happened since the last call, by transaction, then moves the cursor. Returns how
 * many; the caller comes again at once when it was a full step. At least once: when `hand` throws or
 * the process ends on the way, the step is repeated. `node` names the process.
 */
export async function dispatchEvents(
  db: Database,
  node: string,
  hand: (event: DomainEvent) => void,
): Promise<{ handed: number; more: boolean }> {
  const events = await db.query<DomainEvent & { xid: string }>(READ(node));
  for (const { xid: _, ...event } of events) hand(event);
  const last = events.at(-1);
  if (last) await db.query(MOVE(node, last.xid, last.id));
  return { handed: events.length, more: events.length === STEP_ROWS };
}

const NOTIFY = prepared('events.notify', `SELECT pg_notify('${EVENTS_CHANNEL}', '')`);

/**
 * Tells every process that there is something new, once per tick and never by the writing
 * transaction: a commit that notifies takes a lock that all of them share.
 */
export async function notifyReaders(db: Database): Promise<void> {
  await db.query(NOTIFY());
}
