import { useEffect } from 'react';

/**
 * Keeps the screen on while `isActive`. The browser lets go whenever the page is hidden, so it is
 * asked again each time the page comes back; where it refuses (low battery), nothing is lost.
 */
export function useWakeLock(isActive: boolean): void {
  useEffect(() => {
    if (!isActive || !('wakeLock' in navigator)) return;
    let lock: WakeLockSentinel | undefined;
    let isOver = false;
    let isAsking = false;
    const ask = async () => {
      const isHeld = isAsking || (lock && !lock.released);
      if (isHeld || document.visibilityState !== 'visible') return;
      isAsking = true;
      const granted = await navigator.wakeLock.request('screen').catch(() => undefined);
      isAsking = false;
      if (isOver) await granted?.release();
      else lock = granted;
    };
    const askAgain = () => void ask();
    askAgain();
    document.addEventListener('visibilitychange', askAgain);
    return () => {
      isOver = true;
      document.removeEventListener('visibilitychange', askAgain);
      void lock?.release();
    };
  }, [isActive]);
}
