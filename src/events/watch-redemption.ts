import type { RedemptionEvent } from '../contract/live.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

interface Watch {
  /** the sequence of the last event handed on */
  last: number;
  hand: (event: RedemptionEvent) => void;
}

// One redemption's events are written under its lock: they commit in the order of their sequence,
// so nothing can overtake, and no long transaction elsewhere holds them back.
const READ = prepared(
  'events.of_redemptions',
  `SELECT e.redemption_id, e.sequence, e.type, s.redemption_status,
     coalesce((e.payload->>'validated_at')::timestamptz, e.created_at) AS at,
     e.payload->>'offer_name' AS offer_name, m.merchant_name, b.branch_name,
     (e.payload->>'lumis_spent')::integer AS lumis_spent,
     (e.payload->>'lumis_refunded')::integer AS lumis_refunded, e.payload->>'reason' AS reason
   FROM unnest($1::uuid[], $2::smallint[]) AS w(redemption_id, after)
   JOIN lumis.events e ON e.redemption_id = w.redemption_id AND e.sequence > w.after
   JOIN (VALUES ('redemption.created', 'pending'), ('redemption.confirmed', 'confirmed'),
     ('redemption.cancelled', 'cancelled'), ('redemption.expired', 'expired'),
     ('redemption.reversed', 'cancelled')) AS s(type, redemption_status) ON s.type = e.type
   LEFT JOIN rewards.merchants m ON m.merchant_id = e.merchant_id
   LEFT JOIN LATERAL (
     SELECT a.metadata->>'branch_id' AS branch_id FROM rewards.redemption_audit_log a
     WHERE a.redemption_id = e.redemption_id AND 'redemption.' || a.action = e.type
     ORDER BY a.log_id LIMIT 1) done ON e.type IN ('redemption.confirmed', 'redemption.reversed')
   LEFT JOIN lumis.branches b ON b.branch_id::text = done.branch_id
   ORDER BY e.redemption_id, e.sequence`,
);

/** Keeps who watches which redemption; `read` hands each what is new to them. */
export function redemptionReader(db: Database) {
  const watches = new Map<string, Set<Watch>>();
  return {
    size: () => watches.size,

    add(redemptionId: string, after: number, hand: Watch['hand']): () => void {
      const watch = { last: after, hand };
      const all = watches.get(redemptionId) ?? new Set();
      watches.set(redemptionId, all.add(watch));
      return () => {
        all.delete(watch);
        if (all.size === 0 && watches.get(redemptionId) === all) watches.delete(redemptionId);
      };
    },

    async read(): Promise<void> {
      if (watches.size === 0) return;
      const lasts = [...watches.values()].map((all) => Math.min(...[...all].map((w) => w.last)));
      const events = await db.query<RedemptionEvent>(READ([...watches.keys()], lasts));
      for (const event of events) {
        for (const watch of watches.get(event.redemption_id) ?? []) {
          if (event.sequence <= watch.last) continue;
          watch.last = event.sequence;
          watch.hand(event);
        }
      }
    },
  };
}
