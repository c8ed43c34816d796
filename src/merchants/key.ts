import { credentialText, newCredential, parseCredential } from '../core/credential.ts';

const PREFIX = 'lmk';

/** The parts of a merchant key `lmk_<key id>_<secret><checksum>`. */
export interface MerchantKey {
  key_id: string;
  secret: string;
}

/** A new key and its text, which is shown once and never stored. */
export function newMerchantKey(): MerchantKey & { api_key: string } {
  const { id, secret } = newCredential();
  return { key_id: id, secret, api_key: credentialText(PREFIX, { id, secret }) };
}

/** Reads a key's text; undefined when it is not one, which costs neither query nor hash. */
export function parseMerchantKey(text: string): MerchantKey | undefined {
  const key = parseCredential(PREFIX, text);
  return key && { key_id: key.id, secret: key.secret };
}
