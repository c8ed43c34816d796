import { LANDING_TOKEN } from '../core/ids.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** What anybody who holds a QR may know: the offer, where, until when. Never the code or the member. */
export interface Landing {
  offer_name: string | null;
  merchant_name: string | null;
  state: 'pending' | 'confirmed' | 'cancelled' | 'reversed' | 'expired';
  code_expires_at: string;
  validated_at: string | null;
}

const LANDING = prepared(
  'redemptions.landing',
  `SELECT r.offer_name, m.merchant_name, r.code_expires_at, r.validated_at,
     CASE WHEN r.redemption_status = 'pending' AND r.code_expires_at <= clock_timestamp()
            THEN 'expired'
          WHEN r.redemption_status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
          ELSE r.redemption_status END AS state
   FROM rewards.user_redemptions r
   LEFT JOIN rewards.merchants m ON m.merchant_id = r.merchant_id
   WHERE r.landing_token = $1`,
);

/** What a landing token leads to, or undefined. Reads only: previews and cameras open these links. */
export async function findLanding(db: Database, token: string): Promise<Landing | undefined> {
  if (!LANDING_TOKEN.test(token)) return undefined;
  const [row] = await db.query<Landing>(LANDING(token));
  return row;
}
