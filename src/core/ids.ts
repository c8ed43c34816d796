import { randomFillSync, randomUUID } from 'node:crypto';

const pool = Buffer.alloc(4096);
let used = pool.length;

/**
 * `size` random bytes of the system's generator, 512 at most. They are fetched in advance: three
 * calls for a few bytes each took a tenth of a redeem's time in this process.
 */
export function randomBytes(size: number): Buffer {
  if (used + size > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = Buffer.from(pool.subarray(used, used + size));
  pool.fill(0, used, used + size); // what may become a secret is kept once
  used += size;
  return bytes;
}

let millisecond = 0;
let beginning = '';

/**
 * A UUID of version 7 (RFC 9562): time first, so that new rows land at the right end of the index
 * however large the table is. PostgreSQL 15 has no function for it.
 */
export function uuidV7(): string {
  const now = Date.now();
  if (now !== millisecond) {
    millisecond = now;
    const time = now.toString(16).padStart(12, '0');
    beginning = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  }
  // of a random one the version, and what is before it, are replaced; its variant is the same
  return beginning + randomUUID().slice(15);
}

/** 128 random bits as 22 URL-safe characters: what a QR carries. */
export function landingToken(): string {
  return randomBytes(16).toString('base64url');
}

/** What landingToken makes, and nothing else. */
export const LANDING_TOKEN = /^[A-Za-z0-9_-]{21}[AQgw]$/;

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** `length` random base62 characters (5.95 bits each), without modulo bias. */
export function randomBase62(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length * 2)) {
      if (byte < 248 && text.length < length) text += BASE62[byte % 62];
    }
  }
  return text;
}

/** A 32-bit number as six base62 characters. */
export function base62(value: number): string {
  let text = '';
  for (let rest = value; text.length < 6; rest = Math.floor(rest / 62)) {
    text = BASE62[rest % 62] + text;
  }
  return text;
}
