import { type Caller, changedBy } from '../core/actor.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';

/**
 * Refusals that one actor, and of a merchant one key or device, can put into the audit log in a
 * minute; the rest is only counted.
 */
const BUDGET = { unknown: 10, known: 60 } as const;

/** What a verb refused: to whom, what was asked, and the code it was refused with. */
export interface Refused {
  caller: Caller;
  reason: string;
  redemption_id?: string | undefined;
  offer_id?: string | undefined;
}

// the members of a group that came first are within the budget, as if each had come alone
const REFUSE = prepared(
  'audit.refuse',
  `WITH said AS (
    SELECT i.*, concat_ws(':', i.changed_by->>'type', i.changed_by->>'id',
      i.changed_by->'details'->>'key_id', i.changed_by->'details'->>'device_id') AS actor
    FROM json_to_recordset($1) AS i(ord integer, changed_by jsonb, kind text, budget integer,
      redemption_id uuid, metadata jsonb)
  ), input AS MATERIALIZED (
    SELECT s.*, count(*) OVER same AS rows, row_number() OVER (same ORDER BY s.ord) AS nth
    FROM said s WINDOW same AS (PARTITION BY s.actor, s.kind)
  ), counted AS (
    INSERT INTO lumis.refusals AS r (actor, minute, kind, count)
    SELECT i.actor, date_trunc('minute', now()), i.kind, count(*) FROM input i
    GROUP BY i.actor, i.kind ORDER BY i.actor, i.kind
    ON CONFLICT (actor, minute, kind) DO UPDATE SET count = r.count + excluded.count
    RETURNING r.actor, r.kind, r.count
  )
  INSERT INTO rewards.redemption_audit_log
    (redemption_id, action, actor_type, actor_id, ip_address, user_agent, request_id, metadata)
  SELECT i.redemption_id, 'refused', i.changed_by->>'type', i.changed_by->>'id',
    (i.changed_by->>'ip')::inet, i.changed_by->>'agent', i.changed_by->>'request_id',
    coalesce(i.changed_by->'details', '{}') || i.metadata
  FROM input i JOIN counted c USING (actor, kind)
  WHERE c.count - i.rows + i.nth <= i.budget ORDER BY i.ord`,
);

/**
 * Notes refusals in the audit log. Bounded per actor and minute, so that guessing cannot fill the
 * log; unknown codes have the smaller budget. Nothing is answered: one `undefined` per row.
 */
export async function auditRefusals(
  db: Database,
  rows: readonly Refused[],
): Promise<readonly undefined[]> {
  const refusals = rows.map(({ caller, redemption_id = null, ...metadata }) => {
    const kind = metadata.reason === 'unknown_code' ? 'unknown' : 'known';
    return { changed_by: changedBy(caller), kind, budget: BUDGET[kind], redemption_id, metadata };
  });
  await db.query(REFUSE(batch(refusals)));
  return rows.map(() => undefined);
}
