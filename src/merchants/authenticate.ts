import { UUID_PATTERN } from '../contract/common.ts';
import type { MerchantCredential } from '../core/actor.ts';
import { setBounded } from '../core/bounded.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { prepared, unseen } from '../db/statement.ts';
import { parseMerchantKey } from './key.ts';
import type { Prover } from './proof.ts';

/** What a merchant key's text is proven against. */
export interface StoredKey {
  merchant_id: string;
  secret_hash: string;
}

/** Where keys are found, the prover, and who may stop a caller before a hash is paid for. */
export interface Proof {
  keyOf: (keyId: string) => Promise<StoredKey | undefined>;
  prover: Prover;
  beforeHashing: () => Promise<void>;
}

const KEYS = prepared(
  'merchants.prove_keys',
  `SELECT k.key_id, k.merchant_id, k.secret_hash
   FROM lumis.merchant_keys k JOIN rewards.merchants m USING (merchant_id)
   WHERE m.is_active AND k.key_id = ANY (${unseen('$1::text[]')}) AND k.revoked_at IS NULL`,
);

/** The keys of these ids that hold, in their order; undefined for one that does not. */
export async function findKeys(
  db: Database,
  keyIds: readonly string[],
): Promise<(StoredKey | undefined)[]> {
  const rows = await db.query<StoredKey & { key_id: string }>(KEYS(keyIds));
  const found = new Map(rows.map((row) => [row.key_id, row]));
  return keyIds.map((id) => found.get(id));
}

const REMEMBERED_MS = 5000;
const REMEMBERED_MAX = 10_000;

/**
 * Looks up keys, and those it found a moment ago not again: what a key is proven against never
 * changes. Only for who asks `lumis.merchant_may_act` in the statement that decides, since a key that
 * was revoked meanwhile is found here still.
 */
export function rememberKeys(find: Proof['keyOf']): Proof['keyOf'] {
  const found = new Map<string, { key: StoredKey; until: number }>();
  return async (keyId) => {
    const known = found.get(keyId);
    if (known && known.until > performance.now()) return known.key;
    found.delete(keyId);
    const key = await find(keyId);
    const until = performance.now() + REMEMBERED_MS;
    if (key) setBounded(found, REMEMBERED_MAX, keyId, { key, until });
    return key;
  };
}

/**
 * The merchant that a merchant key belongs to. Malformed keys cost neither query nor hash.
 * Throws `unauthorized`, the same for unknown, revoked and wrong; `overloaded` when hashes queue.
 */
export async function authenticateKey(
  { keyOf, prover, beforeHashing }: Proof,
  text: string,
): Promise<MerchantCredential> {
  const key = parseMerchantKey(text);
  const row = key && (await keyOf(key.key_id));
  if (!key || !row || !(await prover.prove(key.secret, row.secret_hash, beforeHashing))) {
    throw new Failure('unauthorized');
  }
  return { merchant_id: row.merchant_id, key_id: key.key_id, proven_hash: null };
}

const HASH = prepared(
  'merchants.hash',
  'SELECT api_key_hash FROM rewards.merchants WHERE merchant_id = $1 AND is_active',
);

const MAY_ACT = prepared('merchants.may_act', 'SELECT lumis.merchant_may_act($1, $2, $3) AS may');

/** Throws `unauthorized` when the credential holds no longer, as the statements that decide do. */
export async function requireMayAct(db: Database, by: MerchantCredential): Promise<void> {
  const [row] = await db.query(MAY_ACT(by.merchant_id, by.key_id, by.proven_hash));
  if (!row?.may) throw new Failure('unauthorized');
}

const UUID = new RegExp(UUID_PATTERN);

/**
 * HTTP Basic `merchant_id:key`: a merchant key of that merchant, or a key whose bcrypt hash is in
 * `merchants.api_key_hash`. Throws as authenticateKey.
 */
export async function authenticateBasic(
  db: Database,
  proof: Proof,
  merchantId: string,
  secret: string,
): Promise<MerchantCredential> {
  if (!UUID.test(merchantId)) throw new Failure('unauthorized');
  if (parseMerchantKey(secret)) {
    const by = await authenticateKey(proof, secret);
    if (by.merchant_id !== merchantId.toLowerCase()) throw new Failure('unauthorized');
    return by;
  }
  const [row] = await db.query(HASH(merchantId));
  if (
    !row?.api_key_hash ||
    !(await proof.prover.prove(secret, row.api_key_hash, proof.beforeHashing))
  ) {
    throw new Failure('unauthorized');
  }
  return { merchant_id: merchantId.toLowerCase(), key_id: null, proven_hash: row.api_key_hash };
}
