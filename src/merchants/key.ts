import { crc32 } from 'node:zlib';
import { base62, randomBase62 } from '../core/ids.ts';

const PREFIX = 'lmk';
const ID_LENGTH = 12;
const SECRET_LENGTH = 32; // 190 random bits
const KEY = /^lmk_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;

/** The parts of a merchant key `lmk_<key id>_<secret><checksum>`. */
export interface MerchantKey {
  key_id: string;
  secret: string;
}

/** A new key and its text, which is shown once and never stored. */
export function newMerchantKey(): MerchantKey & { api_key: string } {
  const key_id = randomBase62(ID_LENGTH);
  const secret = randomBase62(SECRET_LENGTH);
  return { key_id, secret, api_key: `${PREFIX}_${key_id}_${secret}${checksum(key_id, secret)}` };
}

/**
 * Reads a key's text; undefined when it is not one. The checksum is no secret: it lets a mistyped
 * key, and a scanner of leaked ones, be told apart without a query or a hash.
 */
export function parseMerchantKey(text: string): MerchantKey | undefined {
  const [, key_id, secret, sum] = (text.length < 100 && KEY.exec(text)) || [];
  if (!key_id || !secret || sum !== checksum(key_id, secret)) return undefined;
  return { key_id, secret };
}

function checksum(keyId: string, secret: string): string {
  return base62(crc32(`${keyId}_${secret}`));
}
