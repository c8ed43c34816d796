import type { AuditEntry, AuditQuery } from '../contract/audit.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import type { Database } from '../db/pool.ts';
import { planned } from '../db/statement.ts';

const LIST =
  planned(`SELECT log_id, redemption_id, action, actor_type, actor_id, host(ip_address) AS ip_address, user_agent,
     request_id, metadata, created_at
   FROM rewards.redemption_audit_log
   WHERE ($1::uuid IS NULL OR redemption_id = $1)
     AND ($2::text IS NULL OR action = $2)
     AND ($3::text IS NULL OR actor_type = $3)
     AND ($4::text IS NULL OR actor_id = $4)
     AND ($5::timestamptz IS NULL OR created_at >= $5)
     AND ($6::timestamptz IS NULL OR created_at < $6)
     AND ($7::bigint IS NULL OR log_id < $7)
   ORDER BY log_id DESC LIMIT $8`);

/** The audit log of redemptions, latest first. */
export async function listAudit(db: Database, filter: AuditQuery): Promise<Page<AuditEntry>> {
  const [id] = decodeCursor('audit', ['number'], filter.cursor);
  const { redemption_id, action, actor_type, actor_id, from, to, limit } = filter;
  const wanted = [redemption_id, action, actor_type, actor_id, from, to].map((v) => v ?? null);
  const rows = await db.query<AuditEntry>(LIST(...wanted, id, limit + 1));
  return page('audit', rows, limit, (row) => [row.log_id]);
}
