import type { Adjusted } from '../contract/ledger.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, byKey, prepared, unseen } from '../db/statement.ts';
import { ANSWER, type Claim, input, underKeys } from '../idempotency/claim.ts';
import { lockMembers } from './lock.ts';

/** Points given (positive) or taken (negative) by staff, with a reason. */
export interface Adjustment extends Claim {
  user_id: number;
  quantity: number;
  reason: string;
  changed_by: object;
}

/**
 * Books an entry in a member's ledger, with its reason in `accum_key`, its event and its row in the
 * staff log. Refusal: insufficient_points when taking would end below zero.
 */
export async function adjust(
  db: Database,
  rows: readonly Adjustment[],
): Promise<Answer<Adjusted>[]> {
  // One entry of a member at a time: whether the next may be booked hangs on it.
  const apart = (row: Adjustment) => row.user_id;
  return decideAll(rows, apart, async (open) => {
    const members = open.map((row) => row.user_id);
    const results = await db.transaction([
      TAKE_TURNS(members),
      lockMembers(members),
      underKeys(ADJUST(batch(open), db.lockTimeoutMs)),
    ]);
    return results[2]?.map((row) => row.answer ?? undefined) ?? [];
  });
}

// A member without a balance has no row to lock, and two first entries would overlook each other.
const TAKE_TURNS = prepared(
  'ledger.take_turns',
  `SELECT pg_advisory_xact_lock(hashtext('lumis.balances'), u.user_id)
   FROM (SELECT DISTINCT unnest(${unseen('$1::integer[]')}) AS user_id ORDER BY 1) u`,
);

const ADJUST = prepared(
  'ledger.adjust',
  `WITH ${input('user_id integer, quantity integer, reason text, changed_by jsonb')}, judged AS (
    SELECT i.*, lumis.next_ledger_id() AS id,
      coalesce(b.balance, 0) + i.quantity AS balance,
      CASE WHEN i.quantity > 0 THEN 'grant' ELSE 'adjustment' END AS kind
    FROM input i LEFT JOIN ${byKey('lumis.balances', 'user_id = i.user_id')} b ON true
  ), decided AS MATERIALIZED (
    SELECT j.*, true AS keep, CASE
      WHEN j.quantity > 0 OR j.balance >= 0 THEN jsonb_build_object('done', jsonb_build_object(
        'id', j.id, 'user_id', j.user_id, 'quantity', j.quantity, 'kind', j.kind,
        'balance', j.balance))
      ELSE jsonb_build_object('refused', 'insufficient_points', 'data',
        jsonb_build_object('missing_lumis', ceil(-j.balance)))
    END AS answer
    FROM judged j
  ), booked AS (
    INSERT INTO public.fact_accumulations
      (id, user_id, accum_type, accum_key, dtype, quantity, date, kind)
    OVERRIDING SYSTEM VALUE
    SELECT d.id, d.user_id, 'adjustment', d.reason, 'points', d.quantity, clock_timestamp(), d.kind
    FROM decided d WHERE d.stored IS NULL AND d.answer ? 'done'
  ), event AS (
    INSERT INTO lumis.events (type, user_id, payload)
    SELECT 'balance.adjusted', d.user_id,
      jsonb_build_object('quantity', d.quantity, 'reason', d.reason, 'entry_id', d.id)
    FROM decided d WHERE d.stored IS NULL AND d.answer ? 'done'
  ), logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, after)
    SELECT 'ledger.' || d.kind, d.user_id::text, d.changed_by,
      d.answer->'done' || jsonb_build_object('reason', d.reason)
    FROM decided d WHERE d.stored IS NULL AND d.answer ? 'done'
  ), ${ANSWER}`,
);
