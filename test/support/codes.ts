import type { Database } from '../../src/db/pool.ts';

const sql = (text: string) => ({ name: '', text, values: [] });

/** Pending codes of as many members, over `offers` offers; the first `due` of them are due. */
export async function issueCodes(
  db: Database,
  codes: number,
  due: number,
  offers: number,
): Promise<void> {
  const steps = [
    `INSERT INTO rewards.redemption_offers (name_friendly, lumis_cost, stock_quantity, stock_held)
     SELECT 'Offer ' || n, 1, 5, ${codes / offers} FROM generate_series(1, ${offers}) n`,
    `INSERT INTO public.fact_accumulations (user_id, quantity)
     SELECT n, 1 FROM generate_series(1, ${codes}) n`,
    `INSERT INTO rewards.user_redemptions
       (user_id, offer_id, lumis_spent, redemption_code, code_expires_at)
     SELECT n, o.offer_id, 1, 'TEST-' || n, now() + CASE WHEN n <= ${due}
       THEN -interval '1 minute' ELSE interval '1 hour' END
     FROM generate_series(1, ${codes}) n
     JOIN (SELECT offer_id, row_number() OVER () AS nth FROM rewards.redemption_offers) o
       ON o.nth = 1 + n % ${offers}`,
    `INSERT INTO public.fact_accumulations (user_id, quantity, redemption_id, kind)
     SELECT user_id, -1, redemption_id, 'spend' FROM rewards.user_redemptions`,
    'INSERT INTO lumis.events (type, redemption_id, sequence) ' +
      `SELECT 'redemption.created', redemption_id, 1 FROM rewards.user_redemptions`,
  ];
  await db.transaction(steps.map((step) => sql(step)));
  await db.query(sql('ANALYZE rewards.user_redemptions'));
}
