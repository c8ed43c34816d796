import { crc32 } from 'node:zlib';
import { base62, randomBase62 } from './ids.ts';

const ID_LENGTH = 12;
const SECRET_LENGTH = 32; // 190 random bits
const PARTS = /^([a-z]{3})_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;
const CODE = /^([a-z]{3})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;

/** What a credential `<prefix>_<id>_<secret><checksum>` says: whose it is, and the proof. */
export interface Credential {
  id: string;
  secret: string;
}

/** A new credential's parts, from the system's source of randomness. */
export function newCredential(): Credential {
  return { id: randomBase62(ID_LENGTH), secret: randomBase62(SECRET_LENGTH) };
}

/** The text of a credential, which is shown once and never stored. `prefix` has three letters. */
export function credentialText(prefix: string, { id, secret }: Credential): string {
  return `${prefix}_${id}_${secret}${checksum(`${id}_${secret}`)}`;
}

/**
 * Reads a credential's text; undefined when it is not one. The checksum is no secret: it lets a
 * mistyped one, and a scanner of leaked ones, be told apart without a query or a hash.
 */
export function parseCredential(prefix: string, text: string): Credential | undefined {
  const [, kind, id, secret, sum] = (text.length < 100 && PARTS.exec(text)) || [];
  if (kind !== prefix || !id || !secret) return undefined;
  return sum === checksum(`${id}_${secret}`) ? { id, secret } : undefined;
}

/** A new code for one use, `<prefix>_<secret><checksum>`, of 190 random bits. */
export function newOneTimeCode(prefix: string): string {
  const secret = randomBase62(SECRET_LENGTH);
  return `${prefix}_${secret}${checksum(secret)}`;
}

/** Whether a text is such a code, by its shape and checksum alone. */
export function isOneTimeCode(prefix: string, text: string): boolean {
  const [, kind, secret = '', sum] = (text.length < 100 && CODE.exec(text)) || [];
  return kind === prefix && sum === checksum(secret);
}

function checksum(text: string): string {
  return base62(crc32(text));
}
