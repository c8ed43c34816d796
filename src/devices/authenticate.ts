import type { OwnDevice } from '../contract/device.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { digestOf, parseDeviceToken } from './token.ts';

// When it was seen is written at most once a minute, and never waited for.
const DEVICE = prepared(
  'devices.authenticate',
  `WITH device AS MATERIALIZED (
    SELECT d.device_id, d.device_name, d.scopes, d.merchant_id, m.merchant_name, d.branch_id,
      b.branch_name, b.time_zone,
      coalesce(d.last_seen_at < now() - interval '1 minute', true) AS is_new_minute
    FROM lumis.devices d
    JOIN lumis.branches b ON b.branch_id = d.branch_id
    JOIN rewards.merchants m ON m.merchant_id = d.merchant_id
    WHERE d.device_id = $1 AND d.secret_hash = $2 AND d.revoked_at IS NULL
      AND b.is_active AND m.is_active
  ), free AS MATERIALIZED (
    SELECT d.device_id FROM lumis.devices d
    WHERE d.device_id IN (SELECT n.device_id FROM device n WHERE n.is_new_minute)
    FOR NO KEY UPDATE SKIP LOCKED
  ), seen AS (
    UPDATE lumis.devices d SET last_seen_at = now() FROM free f WHERE f.device_id = d.device_id
  )
  SELECT device_id, device_name, scopes, merchant_id, merchant_name, branch_id, branch_name,
    time_zone FROM device`,
);

/**
 * The device that a token belongs to, and what it acts with. A malformed token costs no query.
 * Throws `unauthorized`, the same for unknown, wrong, replaced and revoked, and when its branch is
 * closed or its merchant stopped.
 */
export async function authenticateDevice(
  db: Database,
  text: string,
): Promise<{ device: OwnDevice; credential: MerchantCredential }> {
  const token = parseDeviceToken(text);
  if (!token) throw new Failure('unauthorized');
  const digest = digestOf(token.secret);
  const [device] = await db.query<OwnDevice>(DEVICE(token.id, digest));
  if (!device) throw new Failure('unauthorized');
  const { merchant_id, device_id } = device;
  const credential = { merchant_id, key_id: device_id, proven_hash: digest.toString('hex') };
  return { device, credential };
}
