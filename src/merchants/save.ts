import type { Merchant, MerchantChange, MerchantInput } from '../contract/merchant.ts';
import { type Caller, changedBy } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import { uuidV7 } from '../core/ids.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import { newMerchantKey } from './key.ts';
import { lockMerchants } from './lock.ts';
import { MERCHANT_COLUMNS } from './merchant.ts';
import { hashSecret } from './proof.ts';

const EDITABLE = [
  'merchant_name',
  'merchant_type',
  'contact_email',
  'contact_phone',
  'webhook_url',
  'is_active',
];

const LOGGED = `logged AS (
    INSERT INTO lumis.staff_changes (action, entity_id, changed_by, before, after)
    SELECT $3, s.merchant_id::text, $2::jsonb, (SELECT to_jsonb(b.was) - 'api_key_hash' FROM before b),
      to_jsonb(s) - 'api_key_hash'
    FROM saved s
  )
  SELECT ${MERCHANT_COLUMNS} FROM saved m`;

const CREATE = prepared(
  'merchants.create',
  `WITH before AS (SELECT NULL::rewards.merchants AS was), saved AS (
    INSERT INTO rewards.merchants (merchant_id, ${EDITABLE.join(', ')})
    SELECT (i).merchant_id, ${EDITABLE.map((column) => `(i).${column}`).join(', ')}
    FROM (SELECT jsonb_populate_record(NULL::rewards.merchants, $1::jsonb) AS i) x
    RETURNING *
  ), first_key AS (
    INSERT INTO lumis.merchant_keys (key_id, merchant_id, secret_hash, label, created_by)
    SELECT $4, s.merchant_id, $5, 'first', $2::jsonb->>'id' FROM saved s
  ), ${LOGGED}`,
);

/** Adds a merchant and its first key, which is shown here and never again. */
export async function createMerchant(
  db: Database,
  caller: Caller,
  input: MerchantInput,
): Promise<Merchant & { api_key: string }> {
  const { key_id, secret, api_key } = newMerchantKey();
  const row = JSON.stringify({ is_active: true, ...input, merchant_id: uuidV7() });
  const hash = await hashSecret(secret);
  const [merchant] = await db.query<Merchant>(
    CREATE(row, changedBy(caller), 'merchant.created', key_id, hash),
  );
  return { ...(merchant as Merchant), api_key };
}

// jsonb_populate_record starts from the row as it is: what the input leaves out stays.
const UPDATE = prepared(
  'merchants.update',
  `WITH before AS MATERIALIZED (
    SELECT m AS was FROM rewards.merchants m
    WHERE m.merchant_id = ($1::jsonb->>'merchant_id')::uuid
  ), saved AS (
    UPDATE rewards.merchants m
    SET ${EDITABLE.map((column) => `${column} = (n.i).${column}`).join(', ')}, updated_at = now()
    FROM (SELECT jsonb_populate_record(b.was, $1::jsonb) AS i FROM before b) n
    WHERE m.merchant_id = (n.i).merchant_id
    RETURNING m.*
  ), ${LOGGED}`,
);

/** Changes a merchant; what is left out stays. Throws `not_found`, `invalid_request`. */
export async function updateMerchant(
  db: Database,
  caller: Caller,
  merchantId: string,
  input: MerchantChange,
  action = 'merchant.updated',
): Promise<Merchant> {
  const change = JSON.stringify({ ...input, merchant_id: merchantId });
  const [, rows] = await db.transaction([
    lockMerchants([merchantId]),
    UPDATE(change, changedBy(caller), action),
  ]);
  const merchant = rows?.[0] as Merchant | undefined;
  if (!merchant) throw new Failure('not_found');
  return merchant;
}

/** Stops a merchant: all its keys are refused from this moment. Its redemptions stay. */
export async function deactivateMerchant(
  db: Database,
  caller: Caller,
  merchantId: string,
): Promise<void> {
  await updateMerchant(db, caller, merchantId, { is_active: false }, 'merchant.deactivated');
}
