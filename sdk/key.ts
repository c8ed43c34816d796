/**
 * A new Idempotency-Key: 128 random bits. Make one for each intention of a person (a sheet that
 * opens, a tap), keep it until the answer is known, and send the same one when you repeat.
 */
export function newKey(): string {
  // not crypto.randomUUID: browsers have that one on HTTPS alone, and shops try things out on a LAN
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
