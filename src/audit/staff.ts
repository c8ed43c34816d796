import type { StaffChange } from '../contract/audit.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import type { Database } from '../db/pool.ts';
import { planned } from '../db/statement.ts';

const LIST = planned(`SELECT change_id, action, entity_id, changed_by, before, after, created_at
   FROM lumis.staff_changes
   WHERE ($1::text IS NULL OR entity_id = $1) AND ($2::bigint IS NULL OR change_id < $2)
   ORDER BY change_id DESC LIMIT $3`);

/** What staff changed, latest first. */
export async function listStaffChanges(
  db: Database,
  filter: { entity_id?: string | undefined; limit: number; cursor?: string | undefined },
): Promise<Page<StaffChange>> {
  const [id] = decodeCursor('staff', ['number'], filter.cursor);
  const rows = await db.query<StaffChange>(LIST(filter.entity_id ?? null, id, filter.limit + 1));
  return page('staff', rows, filter.limit, (row) => [row.change_id]);
}
