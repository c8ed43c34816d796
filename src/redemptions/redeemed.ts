import type { Redeemed } from '../contract/redemption.ts';
import type { Answer } from '../core/answer.ts';
import { answersOf } from './redemption.ts';

/*
 * What a redeem answers. Its redemption holds most of it, so its key keeps the rest alone: what is
 * written twice is paid for at a hot offer, by everybody who waits.
 */

/** What the redemption of a row is known by. */
interface Issued {
  redemption_id: string;
  offer_id: string;
  code: string;
}

/** What is said of a row: the answer that its key keeps, and the rest (FACTS) when it was granted. */
interface Decided {
  answer: Answer<Redeemed> | null;
  offer_name: string | null;
  merchant_id: string | null;
  lumis_spent: number;
  on_expiry: Redeemed['on_expiry'];
  created_at: string;
  qr_image_url: string;
  qr_landing_url: string;
}

/** Each row's whole answer. Written out name by name: what is spread together takes V8 20 us. */
export function toldTo(issued: readonly Issued[], decided: readonly Decided[]) {
  return answersOf<Redeemed>(decided).map((answer, i): typeof answer => {
    const [row, facts] = [issued[i], decided[i]];
    // one that was stored earlier is whole
    if (!row || !facts || !answer?.done || answer.done.offer_id) return answer;
    const { code_expires_at, merchant_name, balance } = answer.done;
    return {
      done: {
        redemption_id: row.redemption_id,
        offer_id: row.offer_id.toLowerCase(),
        offer_name: facts.offer_name,
        merchant_id: facts.merchant_id,
        merchant_name,
        lumis_spent: facts.lumis_spent,
        redemption_status: 'pending',
        created_at: facts.created_at,
        code_expires_at,
        validated_at: null,
        closed_at: null,
        cancellation_reason: null,
        on_expiry: facts.on_expiry,
        redemption_code: row.code,
        qr_image_url: facts.qr_image_url,
        qr_landing_url: facts.qr_landing_url,
        balance,
      },
    };
  });
}

/** SQL: where the QR of row `p`, which nothing refuses, is found and leads to: at $4. */
export const QR = `$4 || '/api/v1/rewards/redemptions/' || p.redemption_id || '/qr.png' AS qr_image_url,
      $4 || '/r/' || p.token AS qr_landing_url`;

/** SQL: of what row `p` is told, what its redemption will not say for ever; this its key keeps. */
export const KEPT = `jsonb_build_object('done', jsonb_build_object('redemption_id', p.redemption_id,
        'redemption_status', 'pending', 'code_expires_at', p.expires_at,
        'merchant_name', p.merchant_name, 'balance', p.balance - p.lumis_cost))`;

/** SQL: what else it is told, as columns: its redemption holds them. */
export const FACTS = [
  'name_friendly AS offer_name',
  'merchant_id',
  'lumis_cost AS lumis_spent',
  'on_expiry',
  'now AS created_at',
  'qr_image_url',
  'qr_landing_url',
];

/** SQL: a stored answer of redeem, `k.answer`, with what its redemption holds. */
export const AGAIN = `CASE WHEN k.answer ? 'done' THEN coalesce((
      SELECT jsonb_build_object('done', jsonb_build_object(
        'offer_id', r.offer_id, 'offer_name', r.offer_name, 'merchant_id', r.merchant_id,
        'lumis_spent', r.lumis_spent, 'redemption_code', r.redemption_code,
        'qr_image_url', r.qr_image_url, 'qr_landing_url', r.qr_landing_url,
        'created_at', r.created_at, 'validated_at', NULL, 'closed_at', NULL,
        'cancellation_reason', NULL, 'on_expiry', r.on_expiry) || (k.answer->'done'))
      FROM rewards.user_redemptions r
      WHERE r.redemption_id = (k.answer->'done'->>'redemption_id')::uuid
    ), '{"refused": "not_found"}') ELSE k.answer END`;
