import { type Caller, changedBy } from '../core/actor.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/**
 * Refusals that one actor, and of a merchant one key or device, can put into the audit log in a
 * minute; the rest is only counted.
 */
const BUDGET = { unknown: 10, known: 60 } as const;

const REFUSE = prepared(
  'audit.refuse',
  `WITH counted AS (
    INSERT INTO lumis.refusals AS r (actor, minute, kind, count)
    VALUES (concat_ws(':', $1::jsonb->>'type', $1::jsonb->>'id', $1::jsonb->'details'->>'key_id',
      $1::jsonb->'details'->>'device_id'), date_trunc('minute', now()), $2, 1)
    ON CONFLICT (actor, minute, kind) DO UPDATE SET count = r.count + 1
    RETURNING r.count
  )
  INSERT INTO rewards.redemption_audit_log
    (redemption_id, action, actor_type, actor_id, ip_address, user_agent, request_id, metadata)
  SELECT $4::uuid, 'refused', $1::jsonb->>'type', $1::jsonb->>'id', ($1::jsonb->>'ip')::inet,
    $1::jsonb->>'agent', $1::jsonb->>'request_id',
    coalesce($1::jsonb->'details', '{}') || $5::jsonb
  FROM counted c WHERE c.count <= $3`,
);

/**
 * Notes that a verb refused somebody: what was asked and the code it was refused with. Bounded per
 * actor and minute, so that guessing cannot fill the log; unknown codes have the smaller budget.
 */
export async function auditRefusal(
  db: Database,
  caller: Caller,
  refusal: { reason: string; redemption_id?: string | undefined; offer_id?: string | undefined },
): Promise<void> {
  const kind = refusal.reason === 'unknown_code' ? 'unknown' : 'known';
  const { redemption_id = null, ...metadata } = refusal;
  await db.query(REFUSE(changedBy(caller), kind, BUDGET[kind], redemption_id, metadata));
}
