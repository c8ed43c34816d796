import type { OwnDevice, Paired } from '../contract/device.ts';
import type { Circumstances } from '../core/actor.ts';
import { newCredential } from '../core/credential.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { deviceToken, digestOf, isPairingCode } from './token.ts';

// Of several that bring the same code, those who waited for its row find it used.
const PAIR = prepared(
  'devices.pair',
  `WITH taken AS (
    UPDATE lumis.pairings p SET used_at = clock_timestamp()
    FROM lumis.branches b, rewards.merchants m
    WHERE p.code_hash = $1 AND p.used_at IS NULL AND p.expires_at > clock_timestamp()
      AND b.branch_id = p.branch_id AND b.is_active
      AND m.merchant_id = p.merchant_id AND m.is_active
    RETURNING p.*, b.branch_name, b.time_zone, m.merchant_name
  ), created AS (
    INSERT INTO lumis.devices AS d (device_id, merchant_id, branch_id, device_name, scopes,
      secret_hash, created_by)
    SELECT $2, t.merchant_id, t.branch_id, coalesce(t.device_name, $4, t.branch_name), t.scopes,
      $3, t.created_by
    FROM taken t WHERE t.device_id IS NULL
    RETURNING d.*
  ), rolled AS (
    UPDATE lumis.devices d SET secret_hash = $3 FROM taken t
    WHERE d.device_id = t.device_id AND d.revoked_at IS NULL
    RETURNING d.*
  ), saved AS (
    SELECT c.*, 'device.paired' AS action FROM created c
    UNION ALL SELECT r.*, 'device.rolled' FROM rolled r
  ), logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, after)
    SELECT s.action, s.merchant_id::text, $5::jsonb || jsonb_build_object('type', 'merchant',
        'id', s.merchant_id, 'details', jsonb_build_object('device_id', s.device_id,
          'branch_id', s.branch_id, 'paired_by', t.created_by)),
      to_jsonb(s) - 'secret_hash' - 'action'
    FROM saved s CROSS JOIN taken t
  )
  SELECT s.device_id, s.device_name, s.scopes, s.merchant_id, t.merchant_name, s.branch_id,
    t.branch_name, t.time_zone
  FROM saved s CROSS JOIN taken t`,
);

/**
 * Exchanges a pairing code for a device and its token, once: a new device, or a new token for the
 * one that the code was made for. The token is in this answer and nowhere else: when the answer is
 * lost, a new code is needed. Throws `unauthorized`, the same for codes that are malformed, unknown,
 * used and expired; malformed ones cost no query.
 */
export async function pairDevice(
  db: Database,
  circumstances: Circumstances,
  input: { pairing_code: string; device_name?: string },
): Promise<Paired> {
  const code = input.pairing_code.trim();
  if (!isPairingCode(code)) throw new Failure('unauthorized');
  const { id, secret } = newCredential();
  const name = input.device_name?.trim() ?? null;
  const [device] = await db.query<OwnDevice>(
    PAIR(digestOf(code), id, digestOf(secret), name, circumstances),
  );
  if (!device) throw new Failure('unauthorized');
  return { device_token: deviceToken({ id: device.device_id, secret }), ...device };
}
