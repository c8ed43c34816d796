import type { DeviceEntry, DevicesQuery } from '../contract/device.ts';
import { type Caller, changedBy } from '../core/actor.ts';
import { decodeCursor, type Page, page } from '../core/cursor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { planned, prepared } from '../db/statement.ts';
import { requireMerchant } from './merchant.ts';

const COLUMNS = `d.device_id, d.branch_id, b.branch_name, d.device_name, d.scopes, d.created_by,
  d.created_at, d.last_seen_at, d.revoked_at`;

const LIST = planned(`SELECT ${COLUMNS} FROM lumis.devices d JOIN lumis.branches b USING (branch_id)
   WHERE d.merchant_id = $1 AND ($2::uuid IS NULL OR d.branch_id = $2)
     AND ($3::timestamptz IS NULL OR (d.created_at, d.device_id) < ($3::timestamptz, $4::text))
   ORDER BY d.created_at DESC, d.device_id DESC LIMIT $5`);

/** A merchant's devices, newest first, revoked ones too. `not_found` when there is no merchant. */
export async function listDevices(
  db: Database,
  merchantId: string,
  { branch_id, cursor, limit }: DevicesQuery,
): Promise<Page<DeviceEntry>> {
  const [time, id] = decodeCursor('devices', ['time', 'word'], cursor);
  const rows = await db.query<DeviceEntry>(
    LIST(merchantId, branch_id ?? null, time, id, limit + 1),
  );
  if (rows.length === 0) await requireMerchant(db, merchantId);
  return page('devices', rows, limit, (row) => [row.created_at, row.device_id]);
}

/** A device of a merchant. */
export interface DevicePlace {
  merchant_id: string;
  device_id: string;
}

const changing = (name: string, assignment: string, action: string) =>
  prepared(
    name,
    `WITH before AS MATERIALIZED (
      SELECT d AS was FROM lumis.devices d
      WHERE d.merchant_id = $1 AND d.device_id = $2 FOR NO KEY UPDATE
    ), saved AS (
      UPDATE lumis.devices d SET ${assignment}
      FROM before o WHERE d.device_id = (o.was).device_id RETURNING d.*
    ), logged AS (
      INSERT INTO lumis.staff_changes (action, entity_id, changed_by, before, after)
      SELECT '${action}', s.merchant_id::text, $3::jsonb, to_jsonb(o.was) - 'secret_hash',
        to_jsonb(s) - 'secret_hash'
      FROM saved s CROSS JOIN before o
    )
    SELECT ${COLUMNS} FROM saved d JOIN lumis.branches b USING (branch_id)`,
  );

const RENAME = changing('devices.rename', 'device_name = $4', 'device.renamed');

/** Gives a device another name. `not_found` when it is absent, or another merchant's. */
export async function renameDevice(
  db: Database,
  caller: Caller,
  place: DevicePlace,
  name: string,
): Promise<DeviceEntry> {
  const [device] = await db.query<DeviceEntry>(
    RENAME(place.merchant_id, place.device_id, changedBy(caller), name.trim()),
  );
  if (!device) throw new Failure('not_found');
  return device;
}

const REVOKE = changing(
  'devices.revoke',
  'revoked_at = coalesce(d.revoked_at, clock_timestamp())',
  'device.revoked',
);

/** Ends a device at once, on every node. Again changes nothing. `not_found` as renameDevice. */
export async function revokeDevice(
  db: Database,
  caller: Caller,
  place: DevicePlace,
): Promise<void> {
  const rows = await db.query(REVOKE(place.merchant_id, place.device_id, changedBy(caller)));
  if (rows.length === 0) throw new Failure('not_found');
}
