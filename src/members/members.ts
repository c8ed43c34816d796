import type { MemberEntry } from '../contract/ledger.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import type { Database } from '../db/pool.ts';
import { contains, planned, prepared } from '../db/statement.ts';

/** What a member's token says about them. */
export interface MemberClaims {
  user_id: number;
  display_name: string | null;
  email: string | null;
  locale: string | null;
}

const REMEMBER = prepared(
  'members.remember',
  `INSERT INTO lumis.members AS m (user_id, display_name, email, locale)
   SELECT i.user_id, i.display_name, i.email, i.locale
   FROM json_to_recordset($1) AS i(user_id integer, display_name text, email text, locale text)
   ORDER BY i.user_id
   ON CONFLICT (user_id) DO UPDATE
     SET display_name = coalesce(excluded.display_name, m.display_name),
       email = coalesce(excluded.email, m.email), locale = coalesce(excluded.locale, m.locale),
       updated_at = now()
     WHERE (coalesce(excluded.display_name, m.display_name), coalesce(excluded.email, m.email),
       coalesce(excluded.locale, m.locale)) IS DISTINCT FROM (m.display_name, m.email, m.locale)`,
);

/**
 * Keeps what tokens tell of their members, so that support can find them. One row per member.
 * Nothing is answered: one `undefined` per row.
 */
export async function rememberMembers(
  db: Database,
  rows: readonly MemberClaims[],
): Promise<readonly undefined[]> {
  await db.query(REMEMBER(JSON.stringify(rows)));
  return rows.map(() => undefined);
}

const BY_ID = prepared(
  'members.by_id',
  `SELECT m.user_id, m.display_name, coalesce(b.balance, 0) AS balance
   FROM lumis.members m LEFT JOIN lumis.balances b USING (user_id)
   WHERE m.user_id = ANY ($1::integer[]) ORDER BY m.user_id`,
);

/** Those of these members that we have seen, by id, with their balance. */
export async function membersById(
  db: Database,
  userIds: readonly number[],
): Promise<Pick<MemberEntry, 'user_id' | 'display_name' | 'balance'>[]> {
  return db.query(BY_ID(userIds));
}

const LIST =
  planned(`SELECT m.user_id, m.display_name, m.email, m.locale, coalesce(b.balance, 0) AS balance,
     m.created_at
   FROM lumis.members m LEFT JOIN lumis.balances b USING (user_id)
   WHERE ($1::text IS NULL OR m.display_name ILIKE $1 OR m.email ILIKE $1)
     AND ($2::integer IS NULL OR m.user_id > $2)
   ORDER BY m.user_id LIMIT $3`);

/** Members we have seen, by id; `q` looks in name and email. */
export async function listMembers(
  db: Database,
  filter: { q?: string | undefined; limit: number; cursor?: string | undefined },
): Promise<Page<MemberEntry>> {
  const [id] = decodeCursor('members', ['integer'], filter.cursor);
  const pattern = filter.q && contains(filter.q);
  const rows = await db.query<MemberEntry>(LIST(pattern ?? null, id, filter.limit + 1));
  return page('members', rows, filter.limit, (row) => [row.user_id]);
}
