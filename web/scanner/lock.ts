/** How long a code is not read again after its verdict was closed, in ms. */
export const LOCK_MS = 3000;

export interface CodeLock {
  /** Whether a code that was just seen may begin a scan. */
  admits(key: string): boolean;
  /** A verdict about this code was closed now. */
  closed(key: string): void;
}

/**
 * Keeps the phone that still lies under the camera from being scanned twice: the same code waits,
 * any other one goes on at once. `now` is a clock in ms that never jumps.
 */
export function createLock(now: () => number): CodeLock {
  const closedAt = new Map<string, number>();
  const forgetOld = () => {
    for (const [key, at] of closedAt) if (now() - at >= LOCK_MS) closedAt.delete(key);
  };
  return {
    admits: (key) => {
      forgetOld();
      return !closedAt.has(key);
    },
    closed: (key) => {
      forgetOld();
      closedAt.set(key, now());
    },
  };
}
