import type { Confirmed } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { type Answer, decideAll } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';
import { answerWith, type Claim, input, underKeys } from '../idempotency/claim.ts';
import { lockMerchants } from '../merchants/lock.ts';
import { answersOf, branchOf, deviceOf, expireDue, lockRedemptions } from './redemption.ts';

/** One merchant's word that the goods were handed over. */
export interface Confirm extends Claim, MerchantCredential {
  redemption_id: string;
  changed_by: object;
}

/** Who is at a counter where many confirm: all move the same totals. */
export const subjectsOfConfirm = ({ merchant_id }: Confirm) => [merchant_id];

/**
 * Merchant confirms: pending becomes confirmed, once, on any number of nodes. Moves no points.
 *
 * Refusals: unknown_code (absent or another merchant's), already_redeemed (with time and
 * branch of first use, for the owner), expired (with the time), cancelled, reversed; unauthorized
 * when the key or the device no longer holds.
 */
export async function confirm(
  db: Database,
  rows: readonly Confirm[],
): Promise<Answer<Confirmed>[]> {
  // One word for a redemption at a time: the next one finds it given.
  const apart = (row: Confirm) => row.redemption_id.toLowerCase();
  let due: string[] = []; // what was found so, and has to be booked before it is told
  return decideAll(rows, apart, async (open, isAgain) => {
    const locks = isAgain
      ? [
          lockRedemptions(open.map((row) => row.redemption_id)),
          expireDue(due, null),
          lockMerchants(open.map((row) => row.merchant_id)),
        ]
      : [];
    const results = await db.transaction([
      ...locks,
      underKeys(CONFIRM(batch(open), db.lockTimeoutMs)),
    ]);
    const judged = results.at(-1) ?? [];
    due = open.filter((_, i) => judged[i]?.is_due).map((row) => row.redemption_id);
    return answersOf<Confirmed>(judged);
  });
}

/** SQL: one text for a credential, so that it can be joined by a hash. */
const credentialOf = (row: string) =>
  `concat(${row}.merchant_id, ' ', ${row}.key_id, ' ', ${row}.proven_hash)`;

const CONFIRM = prepared(
  'redemptions.confirm',
  `WITH ${input(`redemption_id uuid, merchant_id uuid, key_id text, proven_hash text,
      changed_by jsonb`)}, redemption AS MATERIALIZED (
    SELECT r.* FROM rewards.user_redemptions r
    WHERE r.redemption_id = ANY (ARRAY(SELECT i.redemption_id FROM input i))
    FOR NO KEY UPDATE SKIP LOCKED
  ), merchant AS MATERIALIZED (  -- whose totals change
    SELECT m.merchant_id FROM rewards.merchants m
    WHERE m.merchant_id = ANY (ARRAY(SELECT i.merchant_id FROM input i))
    FOR NO KEY UPDATE SKIP LOCKED
  ), clock AS MATERIALIZED (     -- R7: read when the locks are there
    SELECT clock_timestamp() AS now
    FROM (SELECT count(*) FROM redemption) r CROSS JOIN (SELECT count(*) FROM merchant) m
  ), caller AS MATERIALIZED (    -- asked once, however much it brings
    SELECT ${credentialOf('c')} AS credential,
      lumis.merchant_may_act(c.merchant_id, c.key_id, c.proven_hash) AS may_act
    FROM (SELECT DISTINCT i.merchant_id, i.key_id, i.proven_hash FROM input i) c
  ), judged AS MATERIALIZED (
    SELECT i.*, c.now, r.offer_id, r.offer_name, r.lumis_spent, r.user_id,
      r.merchant_id AS owner_id, r.validated_by_merchant_id, r.validated_at, r.code_expires_at,
      ${deviceOf('r.changed_by')} AS used_by,
      CASE
        WHEN NOT a.may_act THEN 'unauthorized'
        WHEN i.stored IS NOT NULL THEN 'stored'
        WHEN r.redemption_id IS NULL THEN coalesce((SELECT 'undecided'
          FROM rewards.user_redemptions x WHERE x.redemption_id = i.redemption_id), 'unknown_code')
        WHEN r.merchant_id <> i.merchant_id THEN 'unknown_code'
        WHEN r.redemption_status = 'confirmed' THEN 'already_redeemed'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status <> 'pending' THEN r.redemption_status
        WHEN r.code_expires_at <= c.now THEN 'due'
        WHEN m.merchant_id IS NULL THEN 'undecided'
      END AS refusal
    FROM input i CROSS JOIN clock c
    LEFT JOIN redemption r USING (redemption_id)
    LEFT JOIN merchant m ON m.merchant_id = i.merchant_id
    JOIN caller a ON a.credential = ${credentialOf('i')}
  ), decided AS MATERIALIZED (
    SELECT j.*, coalesce(j.refusal = 'due', false) AS is_due,
      coalesce(j.refusal NOT IN ('unauthorized', 'undecided', 'due'), true) AS keep, CASE
      WHEN j.refusal IS NULL THEN jsonb_build_object('done', jsonb_build_object(
        'redemption_id', j.redemption_id, 'offer_name', j.offer_name,
        'lumis_spent', j.lumis_spent, 'redemption_status', 'confirmed', 'validated_at', j.now))
      WHEN j.refusal IN ('undecided', 'due') THEN NULL
      WHEN j.refusal = 'already_redeemed' THEN jsonb_build_object('refused', j.refusal, 'data', CASE
        WHEN j.merchant_id IN (j.owner_id, j.validated_by_merchant_id) THEN jsonb_strip_nulls(
          jsonb_build_object('redeemed_at', j.validated_at,
            'redeemed_branch', ${branchOf('j.used_by')})) ELSE '{}' END)
      WHEN j.refusal = 'expired' THEN jsonb_build_object('refused', j.refusal,
        'data', jsonb_build_object('expired_at', j.code_expires_at))
      ELSE jsonb_build_object('refused', j.refusal)
    END AS answer
    FROM judged j
  ), confirmed AS (
    UPDATE rewards.user_redemptions r
    SET redemption_status = 'confirmed', validated_by_merchant_id = d.merchant_id,
      validated_at = d.now, changed_by = d.changed_by
    FROM decided d WHERE d.refusal IS NULL AND r.redemption_id = d.redemption_id
  ), event AS (
    INSERT INTO lumis.events
      (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
    SELECT 'redemption.confirmed', d.redemption_id, 2, d.user_id, d.merchant_id, d.offer_id,
      jsonb_build_object('lumis_spent', d.lumis_spent, 'offer_name', d.offer_name,
        'validated_at', d.now) || jsonb_strip_nulls(jsonb_build_object(
          'device_id', ${deviceOf('d.changed_by')},
          'branch_id', d.changed_by->'details'->>'branch_id'))
    FROM decided d WHERE d.refusal IS NULL
  ), ${answerWith('is_due')}`,
);
