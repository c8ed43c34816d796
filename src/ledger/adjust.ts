import type { Adjusted } from '../contract/ledger.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';
import { ANSWER, CLAIM_COLUMNS, type Claim, claimKeys, STORED } from '../idempotency/claim.ts';
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
  return decideAll(rows, async (open) => {
    const results = await db.transaction([
      claimKeys(open),
      lockMembers(open.map((row) => row.user_id)),
      ADJUST(batch(open)),
    ]);
    return results[2]?.map((row) => row.answer ?? undefined) ?? [];
  });
}

const ADJUST = prepared(
  'ledger.adjust',
  `WITH input AS MATERIALIZED (
    SELECT i.*, k.answer AS stored, k.fingerprint <> decode(i.fingerprint, 'hex') AS reused,
      nextval(pg_get_serial_sequence('public.fact_accumulations', 'id')) AS id
    FROM json_to_recordset($1) AS i(ord integer, user_id integer, quantity integer, reason text,
      changed_by jsonb, ${CLAIM_COLUMNS})
    ${STORED}
  ), judged AS (
    SELECT i.*, coalesce(b.balance, 0) + i.quantity AS balance,
      row_number() OVER (PARTITION BY i.user_id ORDER BY i.ord) > 1 AS undecided,
      CASE WHEN i.quantity > 0 THEN 'grant' ELSE 'adjustment' END AS kind
    FROM input i LEFT JOIN lumis.balances b ON b.user_id = i.user_id
    WHERE i.stored IS NULL
  ), booked AS (
    INSERT INTO public.fact_accumulations
      (id, user_id, accum_type, accum_key, dtype, quantity, kind)
    SELECT j.id, j.user_id, 'adjustment', j.reason, 'points', j.quantity, j.kind
    FROM judged j WHERE NOT j.undecided AND (j.quantity > 0 OR j.balance >= 0)
    RETURNING *
  ), event AS (
    INSERT INTO lumis.events (type, user_id, payload)
    SELECT 'balance.adjusted', b.user_id,
      jsonb_build_object('quantity', b.quantity, 'reason', b.accum_key, 'entry_id', b.id)
    FROM booked b
  ), logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, after)
    SELECT 'ledger.' || j.kind, j.user_id::text, j.changed_by, to_jsonb(b)
    FROM judged j JOIN booked b USING (id)
  ), decided AS (
    SELECT j.ord, NOT j.undecided AS keep, CASE
      WHEN j.undecided THEN NULL
      WHEN b.id IS NOT NULL THEN jsonb_build_object('done', jsonb_build_object('id', b.id,
        'user_id', b.user_id, 'quantity', b.quantity, 'kind', b.kind, 'balance', j.balance))
      ELSE jsonb_build_object('refused', 'insufficient_points', 'data',
        jsonb_build_object('missing_lumis', ceil(-j.balance)))
    END AS answer
    FROM judged j LEFT JOIN booked b USING (id)
  ), ${ANSWER}`,
);
