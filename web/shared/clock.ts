import { useEffect, useState } from 'react';

let measureOffset = () => 0;

/** Where the difference to the server's clock comes from, in milliseconds. The client sets it. */
export function followServer(offsetMs: () => number): void {
  measureOffset = offsetMs;
}

/** The server's time as well as we know it, in milliseconds since 1970: phones' clocks are off. */
export function serverNow(): number {
  return Date.now() + measureOffset();
}

/**
 * The server's time, read again every `everyMs` milliseconds (0 stops it) and at once when the page
 * comes back to the front, where timers have slept.
 */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const look = () => setNow(serverNow());
    look();
    if (everyMs <= 0) return;
    const timer = setInterval(look, everyMs);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [everyMs]);
  return now;
}
