import type { Pairing, PairingInput, Scope } from '../contract/device.ts';
import { type Caller, changedBy } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import { qrSvg } from '../core/qr.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import type { DevicePlace } from './devices.ts';
import { requireMerchant } from './merchant.ts';
import { digestOf, newPairingCode } from './token.ts';

/** How long a pairing code can be used. */
const PAIRING_MINUTES = 10;
const DEFAULT_SCOPES: Scope[] = ['scan'];

// Codes of yesterday are swept on the way: they are good for nothing, and no job is needed.
const PAIRING = `saved AS (
    INSERT INTO lumis.pairings AS p (code_hash, merchant_id, branch_id, device_id, device_name,
      scopes, created_by, expires_at)
    SELECT $2, w.merchant_id, w.branch_id, w.device_id, w.device_name, w.scopes, $3::jsonb->>'id',
      clock_timestamp() + interval '${PAIRING_MINUTES} minutes'
    FROM wanted w
    RETURNING p.*
  ), swept AS (
    DELETE FROM lumis.pairings p
    WHERE p.merchant_id = $1 AND p.created_at < now() - interval '1 day'
  ), logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, after)
    SELECT 'pairing.created', s.merchant_id::text, $3::jsonb, to_jsonb(s) - 'code_hash' FROM saved s
  )
  SELECT s.expires_at, w.branch_id, w.branch_name, w.merchant_name
  FROM saved s CROSS JOIN wanted w`;

const CREATE = prepared(
  'devices.create_pairing',
  `WITH wanted AS MATERIALIZED (
    SELECT m.merchant_id, m.merchant_name, b.branch_id, b.branch_name, NULL::text AS device_id,
      $5::text AS device_name, $6::text[] AS scopes
    FROM rewards.merchants m JOIN lumis.branches b ON b.merchant_id = m.merchant_id
    WHERE m.merchant_id = $1 AND m.is_active AND b.branch_id = $4 AND b.is_active
  ), ${PAIRING}`,
);

/**
 * Makes a code that pairs one phone with a branch, once, within ten minutes. `publicUrl` is where
 * the scanner is. Throws `not_found` without a merchant, `invalid_request` when the branch is not
 * its own, or closed, or the merchant stopped.
 */
export async function createPairing(
  db: Database,
  caller: Caller,
  merchantId: string,
  input: PairingInput,
  publicUrl: string,
): Promise<Pairing> {
  const code = newPairingCode();
  const scopes = [...new Set<Scope>([...DEFAULT_SCOPES, ...(input.scopes ?? [])])];
  const [row] = await db.query(
    CREATE(
      merchantId,
      digestOf(code),
      changedBy(caller),
      input.branch_id,
      input.device_name?.trim() ?? null,
      scopes,
    ),
  );
  if (!row) {
    await requireMerchant(db, merchantId);
    throw unusable('body.branch_id', 'unknown_branch');
  }
  return shown(code, row, publicUrl);
}

const ROLL = prepared(
  'devices.roll',
  `WITH wanted AS MATERIALIZED (
    SELECT m.merchant_id, m.merchant_name, b.branch_id, b.branch_name, d.device_id, d.device_name,
      d.scopes
    FROM lumis.devices d
    JOIN lumis.branches b ON b.branch_id = d.branch_id AND b.is_active
    JOIN rewards.merchants m ON m.merchant_id = d.merchant_id AND m.is_active
    WHERE d.merchant_id = $1 AND d.device_id = $4 AND d.revoked_at IS NULL
  ), ${PAIRING}`,
);

const KNOWN = prepared(
  'devices.known',
  'SELECT FROM lumis.devices WHERE merchant_id = $1 AND device_id = $2',
);

/**
 * Makes a code that gives a device a new token: the old one holds until the code is used. Throws
 * `not_found` for what is absent or another's, `invalid_request` for a revoked or stopped device.
 */
export async function rollDevice(
  db: Database,
  caller: Caller,
  { merchant_id, device_id }: DevicePlace,
  publicUrl: string,
): Promise<Pairing> {
  const code = newPairingCode();
  const [row] = await db.query(ROLL(merchant_id, digestOf(code), changedBy(caller), device_id));
  if (row) return shown(code, row, publicUrl);
  if ((await db.query(KNOWN(merchant_id, device_id))).length === 0) throw new Failure('not_found');
  throw unusable('params.device_id', 'revoked_device');
}

type Shown = Pick<Pairing, 'expires_at' | 'branch_id' | 'branch_name' | 'merchant_name'>;

function shown(pairing_code: string, row: Shown, publicUrl: string): Pairing {
  // in the fragment, which browsers send to nobody: no log ever has it
  const pairing_url = `${publicUrl}/scan/#pair=${pairing_code}`;
  return { pairing_code, pairing_url, qr_svg: qrSvg(pairing_url), ...row };
}

function unusable(field: string, detail: string): Failure {
  return new Failure('invalid_request', { fields: [{ field, detail }] });
}
