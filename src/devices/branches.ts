import type { Branch, BranchChange, BranchesQuery, BranchInput } from '../contract/device.ts';
import { type Caller, changedBy } from '../core/actor.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import { uuidV7 } from '../core/ids.ts';
import { isTimeZone } from '../core/time.ts';
import type { Database } from '../db/pool.ts';
import { planned, prepared } from '../db/statement.ts';
import { requireMerchant } from './merchant.ts';

const COLUMNS = `b.branch_id, b.merchant_id, b.branch_name, b.time_zone, b.is_active, b.created_at,
  b.updated_at`;

const LIST = planned(`SELECT ${COLUMNS} FROM lumis.branches b
   WHERE b.merchant_id = $1 AND ($2::boolean IS NULL OR b.is_active = $2)
     AND ($3::timestamptz IS NULL OR (b.created_at, b.branch_id) > ($3::timestamptz, $4::uuid))
   ORDER BY b.created_at, b.branch_id LIMIT $5`);

/** A merchant's branches, oldest first, closed ones too. `not_found` when there is no merchant. */
export async function listBranches(
  db: Database,
  merchantId: string,
  { is_active, cursor, limit }: BranchesQuery,
): Promise<Page<Branch>> {
  const [time, id] = decodeCursor('branches', ['time', 'uuid'], cursor);
  const rows = await db.query<Branch>(LIST(merchantId, is_active ?? null, time, id, limit + 1));
  if (rows.length === 0) await requireMerchant(db, merchantId);
  return page('branches', rows, limit, (row) => [row.created_at, row.branch_id]);
}

const LOGGED = `logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, before, after)
    SELECT $3, s.merchant_id::text, $2::jsonb, (SELECT to_jsonb(o.was) FROM before o), to_jsonb(s)
    FROM saved s
  )
  SELECT ${COLUMNS} FROM saved b`;

// PostgreSQL must know the zone too: AT TIME ZONE refuses one that it does not.
const CREATE = prepared(
  'devices.create_branch',
  `WITH before AS (SELECT NULL::lumis.branches AS was), saved AS (
    INSERT INTO lumis.branches (branch_id, merchant_id, branch_name, time_zone)
    SELECT $4, m.merchant_id, $5, $6::text FROM rewards.merchants m
    WHERE m.merchant_id = $1 AND now() AT TIME ZONE $6::text IS NOT NULL
    RETURNING *
  ), ${LOGGED}`,
);

/**
 * Adds a branch. Throws `not_found` without a merchant, `invalid_request` for a name that another
 * open branch has and for an unknown time zone.
 */
export async function createBranch(
  db: Database,
  caller: Caller,
  merchantId: string,
  input: Required<BranchInput>,
): Promise<Branch> {
  requireTimeZone(input.time_zone);
  const name = input.branch_name.trim();
  const [branch] = await db.query<Branch>(
    CREATE(merchantId, changedBy(caller), 'branch.created', uuidV7(), name, input.time_zone),
  );
  if (!branch) throw new Failure('not_found');
  return branch;
}

const NAMED = prepared(
  'devices.branch_named',
  `SELECT ${COLUMNS} FROM lumis.branches b
   WHERE b.merchant_id = $1 AND b.branch_name = $2 AND b.is_active`,
);

/** What a merchant's only branch is called when nobody says otherwise. */
export const FIRST_BRANCH = 'Principal';

/** The open branch of that name, or a new one. Throws as createBranch does. */
export async function openBranch(
  db: Database,
  caller: Caller,
  merchantId: string,
  branch: Required<BranchInput>,
): Promise<Branch> {
  const [found] = await db.query<Branch>(NAMED(merchantId, branch.branch_name.trim()));
  return found ?? createBranch(db, caller, merchantId, branch);
}

const UPDATE = prepared(
  'devices.update_branch',
  `WITH before AS MATERIALIZED (
    SELECT b AS was FROM lumis.branches b
    WHERE b.merchant_id = $1 AND b.branch_id = $4 FOR NO KEY UPDATE
  ), saved AS (
    UPDATE lumis.branches b
    SET branch_name = coalesce($5, b.branch_name), time_zone = coalesce($6, b.time_zone),
      is_active = coalesce($7, b.is_active), updated_at = now()
    FROM before o
    WHERE b.branch_id = (o.was).branch_id
      AND ($6::text IS NULL OR now() AT TIME ZONE $6::text IS NOT NULL)
    RETURNING b.*
  ), ${LOGGED}`,
);

/** Changes a branch; what is left out stays. Throws as createBranch does. */
export async function updateBranch(
  db: Database,
  caller: Caller,
  place: { merchant_id: string; branch_id: string },
  { branch_name, time_zone, is_active }: BranchChange,
  action = 'branch.updated',
): Promise<Branch> {
  if (time_zone !== undefined) requireTimeZone(time_zone);
  const change = [branch_name?.trim() ?? null, time_zone ?? null, is_active ?? null];
  const [branch] = await db.query<Branch>(
    UPDATE(place.merchant_id, changedBy(caller), action, place.branch_id, ...change),
  );
  if (!branch) throw new Failure('not_found');
  return branch;
}

/** Closes a branch: its devices are refused from this moment. Closing it again changes nothing. */
export async function closeBranch(
  db: Database,
  caller: Caller,
  place: { merchant_id: string; branch_id: string },
): Promise<void> {
  await updateBranch(db, caller, place, { is_active: false }, 'branch.deactivated');
}

function requireTimeZone(zone: string): void {
  if (isTimeZone(zone)) return;
  const fields = [{ field: 'body.time_zone', detail: 'time_zone' }];
  throw new Failure('invalid_request', { fields });
}
