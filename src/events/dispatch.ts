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

/** Events handed on in one step. */
const STEP_ROWS = 1000;

/**
 * R11: reads on from the cursor by transaction: what is older than every transaction still open can
 * no longer be overtaken (ids do not commit in order). SKIP LOCKED: one dispatcher at a time, the
 * others find nothing. The cursor moves in the same statement.
 *
 * A transaction number from the future means that the database was restored into a younger server:
 * the cursor then begins anew from the oldest event written since.
 */
const STEP = prepared(
  'events.dispatch',
  `WITH cursor AS (
    SELECT reader, id,
      CASE WHEN xid >= pg_snapshot_xmax(pg_current_snapshot()) THEN '0'::xid8 ELSE xid END AS xid
    FROM lumis.event_cursors WHERE reader = 'dispatcher' FOR UPDATE SKIP LOCKED
  ), step AS MATERIALIZED (
    SELECT e.* FROM cursor c, lumis.events e
    WHERE (e.xid, e.id) > (c.xid, c.id) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY e.xid, e.id LIMIT ${STEP_ROWS}
  ), moved AS (
    UPDATE lumis.event_cursors SET xid = last.xid, id = last.id
    FROM (SELECT xid, id FROM step ORDER BY xid DESC, id DESC LIMIT 1) last
    WHERE reader = 'dispatcher'
  )
  SELECT id, type, redemption_id, sequence, user_id, merchant_id, offer_id, payload, created_at
  FROM step ORDER BY xid, id`,
);

/**
 * Hands on what happened since the last call, in the order of commits. Returns how many; the caller
 * comes again at once when it was a full step. At least once: a crash repeats the step.
 */
export async function dispatchEvents(
  db: Database,
  hand: (event: DomainEvent) => void,
): Promise<{ handed: number; more: boolean }> {
  const events = await db.query<DomainEvent>(STEP());
  events.forEach(hand);
  return { handed: events.length, more: events.length === STEP_ROWS };
}
