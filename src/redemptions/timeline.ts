import type { Timeline } from '../contract/live.ts';
import type { Redemption } from '../contract/redemption.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { redemptionOfMember } from './find.ts';

/** Scans that are told; a code that is shown around is scanned often. */
const SCANS_MAX = 10;

// The redemption itself says what became of it; the audit log, which is purged, says where, and who
// looked at it before.
const TIMELINE = prepared(
  'redemptions.timeline',
  `WITH r AS (
    SELECT * FROM rewards.user_redemptions WHERE redemption_id = $1 AND user_id = $2
  ), log AS (
    SELECT a.action, a.created_at, a.log_id, a.metadata->>'branch_id' AS branch_id,
      CASE a.actor_type WHEN 'merchant' THEN a.actor_id END AS merchant_id
    FROM rewards.redemption_audit_log a JOIN r USING (redemption_id)
  ), points AS (
    SELECT f.kind, sum(f.quantity) AS lumis FROM public.fact_accumulations f
    JOIN r ON f.redemption_id = r.redemption_id AND f.user_id = r.user_id
    WHERE f.kind IN ('spend', 'refund') GROUP BY f.kind
  ), scan AS (
    SELECT * FROM log WHERE action = 'validated' ORDER BY log_id DESC LIMIT ${SCANS_MAX}
  ), step AS (
    SELECT 1 AS ord, 'created' AS action, r.created_at AS at, NULL::text AS merchant_id,
      NULL::text AS branch_id, (SELECT lumis FROM points WHERE kind = 'spend') AS lumis FROM r
    UNION ALL
    SELECT 2, 'validated', s.created_at, s.merchant_id, s.branch_id, NULL FROM scan s
    UNION ALL
    SELECT 3, 'confirmed', r.validated_at, r.validated_by_merchant_id::text,
      (SELECT branch_id FROM log WHERE action = 'confirmed' LIMIT 1), NULL
    FROM r WHERE r.validated_at IS NOT NULL
    UNION ALL
    SELECT 4, c.action, r.closed_at, (SELECT merchant_id FROM log WHERE log.action = c.action LIMIT 1),
      (SELECT branch_id FROM log WHERE log.action = c.action LIMIT 1),
      (SELECT lumis FROM points WHERE kind = 'refund')
    FROM r CROSS JOIN LATERAL (
      SELECT CASE WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL
        THEN 'reversed' ELSE r.redemption_status END AS action) c
    WHERE r.closed_at IS NOT NULL
  )
  SELECT s.action, s.at, m.merchant_name, b.branch_name, s.lumis
  FROM step s
  LEFT JOIN rewards.merchants m ON m.merchant_id::text = s.merchant_id
  LEFT JOIN lumis.branches b ON b.branch_id::text = s.branch_id
  ORDER BY s.at, s.ord`,
);

/**
 * What became of a redemption of this member, oldest first. A purchase of an older system has one
 * entry. Throws `not_found` when absent or another's.
 */
export async function timelineOf(
  db: Database,
  userId: number,
  redemptionId: string,
): Promise<Timeline> {
  const data = await db.query<Timeline['data'][number]>(TIMELINE(redemptionId, userId));
  if (data.length > 0) return { data };
  return { data: [purchase(await redemptionOfMember(db, userId, redemptionId))] };
}

function purchase(old: Redemption): Timeline['data'][number] {
  const { validated_at, created_at, merchant_name, lumis_spent } = old;
  const at = validated_at ?? created_at;
  return { action: 'confirmed', at, merchant_name, branch_name: null, lumis: -lumis_spent };
}
