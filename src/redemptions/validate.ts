import type { Validated } from '../contract/redemption.ts';
import type { MerchantCredential } from '../core/actor.ts';
import type { Answer } from '../core/answer.ts';
import type { Database } from '../db/pool.ts';
import { batch, prepared } from '../db/statement.ts';
import { parseScan } from './code.ts';
import { answersOf, branchOf, deviceOf, expireDue } from './redemption.ts';

/** One scan: a code, a landing URL or its token. */
export interface Validate extends MerchantCredential {
  scanned: string;
  /** where this server is reached; its landing URLs need not be the ones that were issued */
  public_url?: string;
  changed_by: object;
}

/**
 * Tells a merchant whether to hand over, and what. Changes nothing but the audit log, and books the
 * expiry of what it finds due.
 *
 * Refusals: unknown_code (absent, another merchant's and malformed alike; the last costs no query),
 * already_redeemed (with time and branch of first use, for the owner), expired (with the time),
 * cancelled, reversed; unauthorized when the key or the device no longer holds.
 */
export async function validate(
  db: Database,
  rows: readonly Validate[],
): Promise<Answer<Validated>[]> {
  const answers: Answer<Validated>[] = rows.map(() => ({ refused: 'unknown_code' }));
  const scans = rows.flatMap((row, row_ord) => {
    const scan = parseScan(row.scanned, row.public_url);
    return scan ? [{ ...scan, ...row, row_ord }] : [];
  });
  const judge = async (open: typeof scans): Promise<typeof scans> => {
    const judged = open.length > 0 ? await db.query(VALIDATE(batch(open))) : [];
    const due = judged.filter((row) => row.due);
    answersOf<Validated>(judged).forEach((answer, i) => {
      const scan = open[i];
      if (!scan || !answer) return;
      const { redemption_id } = judged[i] ?? {};
      answers[scan.row_ord] = answer.done
        ? answer
        : { ...answer, ...(redemption_id && { redemption_id }) };
    });
    if (due.length > 0)
      await db.transaction([
        expireDue(
          due.map((row) => row.redemption_id),
          null,
        ),
      ]);
    return open.filter((_, i) => judged[i]?.due);
  };
  // A second look for what was due: by now it is booked, or support has given it more time.
  await judge(await judge(scans));
  return answers;
}

const VALIDATE = prepared(
  'redemptions.validate',
  `WITH input AS (
    SELECT * FROM json_to_recordset($1) AS i(ord integer, code text, token text, url text,
      merchant_id uuid, key_id text, proven_hash text, changed_by jsonb)
  ), judged AS MATERIALIZED (
    SELECT i.ord, i.merchant_id AS actor_merchant_id, i.changed_by AS validated_by, r.*,
      r.redemption_status = 'pending' AND r.code_expires_at <= clock_timestamp() AS due,
      CASE
        WHEN NOT lumis.merchant_may_act(i.merchant_id, i.key_id, i.proven_hash) THEN 'unauthorized'
        WHEN r.redemption_id IS NULL OR r.merchant_id <> i.merchant_id THEN 'unknown_code'
        WHEN r.redemption_status = 'confirmed' THEN 'already_redeemed'
        WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
        WHEN r.redemption_status <> 'pending' THEN r.redemption_status
        WHEN r.code_expires_at <= clock_timestamp() THEN 'expired'
      END AS refusal
    FROM input i
    LEFT JOIN LATERAL (
      SELECT * FROM rewards.user_redemptions u WHERE u.redemption_code = i.code
      UNION ALL
      SELECT * FROM rewards.user_redemptions u
      WHERE u.landing_token = i.token AND (i.url IS NULL OR u.qr_landing_url = i.url)
    ) r ON true
  ), audited AS (
    INSERT INTO rewards.redemption_audit_log
      (redemption_id, action, actor_type, actor_id, ip_address, user_agent, request_id, metadata)
    SELECT j.redemption_id, 'validated', j.validated_by->>'type', j.validated_by->>'id',
      (j.validated_by->>'ip')::inet, j.validated_by->>'agent', j.validated_by->>'request_id',
      jsonb_build_object('user_id', j.user_id, 'offer_id', j.offer_id)
        || coalesce(j.validated_by->'details', '{}')
    FROM judged j WHERE j.refusal IS NULL
  )
  SELECT j.redemption_id, j.due AND j.refusal = 'expired' AS due, CASE
    WHEN j.refusal IS NULL THEN jsonb_build_object('done', jsonb_build_object(
      'redemption_id', j.redemption_id, 'redemption_status', j.redemption_status,
      'offer_id', j.offer_id, 'offer_name', j.offer_name, 'lumis_spent', j.lumis_spent,
      'created_at', j.created_at, 'code_expires_at', j.code_expires_at))
    WHEN j.refusal = 'already_redeemed'
      AND j.actor_merchant_id IN (j.merchant_id, j.validated_by_merchant_id)
      THEN jsonb_build_object('refused', j.refusal,
        'data', jsonb_strip_nulls(jsonb_build_object('redeemed_at', j.validated_at,
          'redeemed_branch', ${branchOf(deviceOf('j.changed_by'))})))
    WHEN j.refusal = 'expired' THEN jsonb_build_object('refused', j.refusal,
      'data', jsonb_build_object('expired_at', j.code_expires_at))
    ELSE jsonb_build_object('refused', j.refusal)
  END AS answer
  FROM judged j ORDER BY j.ord`,
);
