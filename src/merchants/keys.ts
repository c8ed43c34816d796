import type { KeyEntry } from '../contract/merchant.ts';
import { type Caller, changedBy } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { newMerchantKey } from './key.ts';
import { hashSecret } from './proof.ts';

const COLUMNS = 'k.key_id, k.merchant_id, k.label, k.created_by, k.created_at, k.revoked_at';

const LIST = prepared(
  'merchants.keys',
  `SELECT ${COLUMNS} FROM lumis.merchant_keys k WHERE k.merchant_id = $1
   ORDER BY k.created_at, k.key_id LIMIT 100`,
);

/** A merchant's keys, revoked ones too; `not_found` when there is no such merchant. */
export async function listKeys(db: Database, merchantId: string): Promise<KeyEntry[]> {
  const rows = await db.query<KeyEntry>(LIST(merchantId));
  if (rows.length === 0) await requireMerchant(db, merchantId);
  return rows;
}

const EXISTS = prepared('merchants.exists', 'SELECT FROM rewards.merchants WHERE merchant_id = $1');

async function requireMerchant(db: Database, merchantId: string): Promise<void> {
  if ((await db.query(EXISTS(merchantId))).length === 0) throw new Failure('not_found');
}

const CREATE = prepared(
  'merchants.create_key',
  `WITH saved AS (
    INSERT INTO lumis.merchant_keys AS k (key_id, merchant_id, secret_hash, label, created_by)
    VALUES ($1, $2, $3, $4, $5::jsonb->>'id') RETURNING ${COLUMNS}
  ), logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, after)
    SELECT 'key.created', s.merchant_id::text, $5::jsonb, to_jsonb(s) FROM saved s
  )
  SELECT * FROM saved`,
);

/** Adds a key; its text is shown here and never again. `not_found` when there is no such merchant. */
export async function createKey(
  db: Database,
  caller: Caller,
  merchantId: string,
  label: string | null,
): Promise<KeyEntry & { api_key: string }> {
  await requireMerchant(db, merchantId);
  const { key_id, secret, api_key } = newMerchantKey();
  const hash = await hashSecret(secret);
  const [key] = await db.query<KeyEntry>(
    CREATE(key_id, merchantId, hash, label, changedBy(caller)),
  );
  return { ...(key as KeyEntry), api_key };
}

const REVOKE = prepared(
  'merchants.revoke_key',
  `WITH saved AS (
    UPDATE lumis.merchant_keys k SET revoked_at = coalesce(k.revoked_at, clock_timestamp())
    WHERE k.merchant_id = $1 AND k.key_id = $2 RETURNING ${COLUMNS}
  ), logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, after)
    SELECT 'key.revoked', s.merchant_id::text, $3::jsonb, to_jsonb(s) FROM saved s
  )
  SELECT * FROM saved`,
);

/** Ends a key at once, on every node. Revoking it again changes nothing. `not_found` when absent. */
export async function revokeKey(
  db: Database,
  caller: Caller,
  merchantId: string,
  keyId: string,
): Promise<void> {
  const rows = await db.query(REVOKE(merchantId, keyId, changedBy(caller)));
  if (rows.length === 0) throw new Failure('not_found');
}
