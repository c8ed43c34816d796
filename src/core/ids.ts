import { randomFillSync } from 'node:crypto';

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

/**
 * A UUID of version 7 (RFC 9562): time first, so that new rows land at the right end of the index
 * however large the table is. PostgreSQL 15 has no function for it.
 */
export function uuidV7(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
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
