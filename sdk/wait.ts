/** A signal with a clock that can be wound up again: it aborts when the time is over. */
export interface Watchdog {
  readonly signal: AbortSignal;
  /** true when it was the time that aborted */
  readonly isLate: boolean;
  /** gives it this many milliseconds from now on */
  wind(ms: number): void;
  /** lets go of everything; what still runs on the signal is aborted */
  end(): void;
}

/** Follows `outer` as well. By hand, because AbortSignal.any is missing in phones of 2023. */
export function createWatchdog(outer: AbortSignal | undefined): Watchdog {
  const controller = new AbortController();
  const stop = () => controller.abort();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isLate = false;
  outer?.addEventListener('abort', stop);
  return {
    signal: controller.signal,
    get isLate() {
      return isLate;
    },
    wind(ms) {
      clearTimeout(timer);
      timer = setTimeout(() => {
        isLate = true;
        stop();
      }, ms);
    },
    end() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', stop);
      stop();
    },
  };
}

type Listening = (type: 'online', listener: () => void) => void;

/** Waits; ends at once when `signal` aborts, or when a browser says that the network is back. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { addEventListener, removeEventListener } = globalThis as {
    addEventListener?: Listening;
    removeEventListener?: Listening;
  };
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      removeEventListener?.('online', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
    addEventListener?.('online', end);
    if (signal?.aborted) end();
  });
}

/** Between half of it and all of it, so that not everybody comes back at the same moment. */
export const jittered = (ms: number) => ms * (0.5 + Math.random() / 2);
