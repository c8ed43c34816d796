import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import bcrypt from 'bcrypt';
import { setBounded } from '../core/bounded.ts';
import { Failure } from '../core/failure.ts';

/** bcrypt's cost at rest, for the keys we make. */
const BCRYPT_COST = 12;
/** bcrypt ignores what comes after; a longer secret would match by its beginning alone. */
const SECRET_BYTES_MAX = 72;
/** Hashes at once: one, since each takes a core for a quarter of a second. */
const WAITING_MAX = 8;
const PROVEN_MAX = 10_000;

/** Proves secrets against bcrypt hashes, and remembers what it has proven. */
export interface Prover {
  /**
   * True when `secret` matches `hash`. Throws `overloaded` when too many hashes are waiting, and
   * whatever `beforeHashing` throws: it is asked only when bcrypt has to be paid.
   */
  prove(secret: string, hash: string, beforeHashing: () => Promise<void>): Promise<boolean>;
}

/**
 * Pays bcrypt once per hash and process: afterwards a keyed HMAC in memory answers, and a wrong
 * secret for a hash whose secret is known is refused without hashing. Only bcrypt's result is kept;
 * whether the key still holds is read by the statement that decides.
 */
export function createProver(): Prover {
  const processKey = randomBytes(32);
  const digest = (secret: string) => createHmac('sha256', processKey).update(secret).digest();
  const proven = new Map<string, Buffer>();
  const underWay = new Map<string, Promise<boolean>>();
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  const compare = (secret: string, hash: string) => {
    if (waiting >= WAITING_MAX) throw new Failure('overloaded', { retryAfterSeconds: 2 });
    waiting += 1;
    // $2y$ is PHP's name for $2b$
    const turn = last.then(() => bcrypt.compare(secret, hash.replace(/^\$2y\$/, '$2b$')));
    last = turn
      .catch(() => false)
      .finally(() => {
        waiting -= 1;
      });
    return turn;
  };

  return {
    async prove(secret, hash, beforeHashing) {
      if (secret.includes('\0') || Buffer.byteLength(secret) > SECRET_BYTES_MAX) return false;
      if (!/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) return false;
      const known = proven.get(hash);
      const mac = digest(secret);
      if (known) return timingSafeEqual(known, mac);
      await beforeHashing();
      // a till that opens with many requests at once pays once for all of them
      const attempt = `${hash} ${mac.toString('hex')}`;
      const shared = underWay.get(attempt) ?? compare(secret, hash);
      underWay.set(attempt, shared);
      const matches = await shared.finally(() => underWay.delete(attempt));
      if (matches) setBounded(proven, PROVEN_MAX, hash, mac);
      return matches;
    },
  };
}

/** A bcrypt hash of a new secret. */
export function hashSecret(secret: string): Promise<string> {
  return bcrypt.hash(secret, BCRYPT_COST);
}
