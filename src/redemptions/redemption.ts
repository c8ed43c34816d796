import type { Answer } from '../core/answer.ts';
import { isoTime } from '../core/time.ts';
import { prepared, unseen } from '../db/statement.ts';

/** R14: locks redemptions, sorted: after the idempotency keys, before members and offers. */
export const lockRedemptions = prepared(
  'redemptions.lock',
  `SELECT FROM rewards.user_redemptions WHERE redemption_id = ANY (${unseen('$1::uuid[]')})
   ORDER BY redemption_id FOR NO KEY UPDATE`,
);

/**
 * R7: books the expiry of those that are due by the database's clock, read after their locks; the
 * deciding statement then simply finds them expired.
 */
export const expireDue = prepared(
  'redemptions.expire_due',
  'SELECT lumis.expire_redemptions($1::uuid[], $2::jsonb) AS booked',
);

/**
 * Of several rows of one batch that may have the same redemption (CTE `judged`, `refusal` NULL), the
 * first one `wins`.
 */
export const ONE_WINS = `SELECT j.*, j.refusal IS NULL AND row_number()
        OVER (PARTITION BY j.redemption_id, j.refusal IS NULL ORDER BY j.ord) = 1 AS wins
    FROM judged j`;

/** SQL: the device that made a change, from that change's `changed_by`; NULL when none did. */
export const deviceOf = (changedBy: string) => `${changedBy}->'details'->>'device_id'`;

/** SQL: the name of the branch of a device, whose id may be NULL. */
export const branchOf = (deviceId: string) => `(SELECT b.branch_name
        FROM lumis.devices v JOIN lumis.branches b USING (branch_id)
        WHERE v.device_id = ${deviceId})`;

/** The rows of a deciding statement as answers, their times as the wire has them. */
export function answersOf<Value>(
  rows: readonly { answer: Answer<Value> | null }[] | undefined,
): (Answer<Value> | undefined)[] {
  return (rows ?? []).map(({ answer }) => {
    const facts = (answer?.done ?? answer?.data ?? {}) as Record<string, unknown>;
    for (const [name, value] of Object.entries(facts)) {
      if (name.endsWith('_at') && typeof value === 'string') facts[name] = isoTime(value);
    }
    return answer ?? undefined;
  });
}
