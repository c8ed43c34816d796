import type { CounterRedemption, Day, DayQuery } from '../contract/live.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { decodeCursor, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

const BRANCH = prepared(
  'redemptions.day_branch',
  'SELECT time_zone FROM lumis.branches WHERE branch_id = $1 AND merchant_id = $2',
);

// While it is confirmed, the redemption itself says by which device; a reversal writes over that,
// and then the audit log knows.
const DAY = prepared(
  'redemptions.day',
  `WITH day AS MATERIALIZED (
    SELECT x.date, x.now, x.date::timestamp AT TIME ZONE $4 AS begins,
      (x.date + 1)::timestamp AT TIME ZONE $4 AS ends
    FROM (SELECT coalesce($5::date, (c.now AT TIME ZONE $4)::date) AS date, c.now
          FROM (SELECT clock_timestamp() AS now) c) x
  ), confirmed AS MATERIALIZED (
    SELECT r.*, by.details
    FROM day d, rewards.user_redemptions r
    CROSS JOIN LATERAL (SELECT CASE r.redemption_status
      WHEN 'confirmed' THEN r.changed_by->'details'
      ELSE (SELECT a.metadata FROM rewards.redemption_audit_log a
            WHERE a.redemption_id = r.redemption_id AND a.action = 'confirmed'
            ORDER BY a.log_id LIMIT 1) END AS details) by
    WHERE r.validated_by_merchant_id = $1 AND r.validated_at >= d.begins AND r.validated_at < d.ends
      AND ($6::text IS NULL OR by.details->>'branch_id' = $6)
  ), figures AS (
    SELECT count(*) AS count, coalesce(sum(c.lumis_spent), 0) AS lumis
    FROM confirmed c WHERE c.redemption_status = 'confirmed'
  ), shown AS (
    SELECT c.* FROM confirmed c
    WHERE $7::timestamptz IS NULL OR (c.validated_at, c.redemption_id) < ($7::timestamptz, $8::uuid)
    ORDER BY c.validated_at DESC, c.redemption_id DESC LIMIT $9
  )
  SELECT d.date::text AS date, d.now AS as_of, f.count, f.lumis, s.redemption_id, s.offer_name,
    s.lumis_spent, s.redemption_status, s.validated_at, s.closed_at,
    right(s.redemption_code, 4) AS code_ending, v.device_name, b.branch_name
  FROM day d CROSS JOIN figures f LEFT JOIN shown s ON true
  LEFT JOIN lumis.devices v ON v.device_id = s.details->>'device_id'
  LEFT JOIN lumis.branches b ON b.branch_id::text = s.details->>'branch_id'
  WHERE lumis.merchant_may_act($1, $2, $3)
  ORDER BY s.validated_at DESC, s.redemption_id DESC`,
);

type Row = CounterRedemption & Pick<Day, 'date' | 'as_of' | 'count' | 'lumis'>;

/**
 * What this merchant confirmed on one day, last confirmed first: in all, or at one branch, whose
 * time zone then says when the day begins. Throws `not_found` for a branch that is not theirs,
 * `unauthorized` when the credential holds no longer.
 */
export async function dayOf(
  db: Database,
  by: MerchantCredential,
  filter: DayQuery,
  timeZone: string,
): Promise<Day> {
  const [time, id] = decodeCursor('day', ['time', 'uuid'], filter.cursor);
  const time_zone = filter.branch_id
    ? await timeZoneOf(db, filter.branch_id, by.merchant_id)
    : timeZone;
  const rows = await db.query<Row>(
    DAY(
      ...[by.merchant_id, by.key_id, by.proven_hash, time_zone, filter.date ?? null],
      ...[filter.branch_id?.toLowerCase() ?? null, time, id, filter.limit + 1],
    ),
  );
  const [first] = rows;
  if (!first) throw new Failure('unauthorized');
  const { date, as_of, count, lumis } = first;
  const found = rows.filter((row) => row.redemption_id !== null).map(shown);
  const last = (row: CounterRedemption) => [row.validated_at, row.redemption_id];
  return { date, time_zone, as_of, count, lumis, ...page('day', found, filter.limit, last) };
}

function shown({ date: _, as_of: __, count: ___, lumis: ____, ...row }: Row): CounterRedemption {
  return row;
}

async function timeZoneOf(db: Database, branchId: string, merchantId: string): Promise<string> {
  const [branch] = await db.query(BRANCH(branchId, merchantId));
  if (!branch) throw new Failure('not_found');
  return branch.time_zone;
}
