import type { LedgerEntry } from '../contract/ledger.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

const ENTRIES = prepared(
  'ledger.entries',
  `SELECT id, accum_type, accum_key, dtype, coalesce(quantity, 0) AS quantity, date, redemption_id,
     kind
   FROM public.fact_accumulations
   WHERE user_id = $1 AND id IS NOT NULL AND ($2::bigint IS NULL OR id < $2)
   ORDER BY id DESC LIMIT $3`,
);

/** A member's ledger, latest entry first. What an older system booked without an id is left out. */
export async function ledgerOf(
  db: Database,
  userId: number,
  filter: { limit: number; cursor?: string | undefined },
): Promise<Page<LedgerEntry>> {
  const [id] = decodeCursor('ledger', ['number'], filter.cursor);
  const rows = await db.query<LedgerEntry>(ENTRIES(userId, id, filter.limit + 1));
  return page('ledger', rows, filter.limit, (row) => [row.id]);
}
