import type { Reading } from './code.ts';
import { createConfirming } from './confirming.ts';
import { createLock } from './lock.ts';
import type { Memory } from './memory.ts';
import { type CounterState, createTill, mark } from './till.ts';
import { type Done, familyOf, type HandOver, type Verdict } from './verdict.ts';
import { createVerifying } from './verifying.ts';

export type { CounterState } from './till.ts';

export interface CounterParts {
  api: {
    validate(input: { code: string }): Promise<HandOver>;
    /** `isRepeat`: an earlier request with this key had no answer */
    confirm(redemptionId: string, options: { key: string; isRepeat: boolean }): Promise<Done>;
  };
  memory: Memory;
  newKey: () => string;
  /** the server's time, ms */
  now: () => number;
  isOnline: () => boolean;
}

export interface Counter {
  state(): CounterState;
  subscribe(listener: () => void): () => void;
  /**
   * Begins a scan; false when it was ignored: one is under way, or the code is locked. The lock is
   * for what is seen or scanned; what a person typed and sent off is always meant.
   */
  read(reading: Reading, isTyped?: boolean): boolean;
  /** Verifies again what the verdict is about, or what lies in the tray. */
  retry(key?: string): void;
  discard(key: string): void;
  confirm(): void;
  /** Asks for a confirmation's outcome now, with the key it began with. */
  checkNow(redemptionId?: string): void;
  /** Shows a confirmation that was left without an answer when the page went; asks if it is young. */
  resume(): void;
  /** Leaves the verdict. What is confirming stays. */
  close(): void;
  /** Ends whatever is under way: nothing is asked any more, and no answer is heard. */
  stop(): void;
}

/** What is said of something that was read and is no redemption's code. */
const NO_CODE = {
  mistyped: 'unknown',
  pairing: 'for_pairing',
  url: 'not_ours',
  other: 'not_ours',
} as const;

/**
 * The counter's one machine: nothing → checking → verdict → (confirming → verdict) → nothing. What
 * goes to the server and back is in verifying.ts and confirming.ts.
 */
export function createCounter(parts: CounterParts): Counter {
  const { memory, now } = parts;
  const till = createTill(memory, now);
  const verify = createVerifying(till, parts);
  const lock = createLock(() => performance.now());

  const read = (reading: Reading, isTyped = false) => {
    const { checking, verdict } = till.state();
    if (checking || (verdict && !isOver(verdict))) return false;
    const before = till.code();
    const key = reading.kind === 'redemption' ? reading.key : `not a code: ${reading.kind}`;
    const isSeenAgain = !lock.admits(key) || (verdict && before?.key === key);
    if (isSeenAgain && !isTyped) return false;
    if (verdict && before) lock.closed(before.key);
    mark('read');
    if (reading.kind === 'redemption') {
      void verify(reading);
      return true;
    }
    till.begin({ kind: 'redemption', key, send: '', shown: '' });
    till.conclude({ kind: NO_CODE[reading.kind] });
    return true;
  };
  return {
    ...createConfirming(till, parts),
    state: till.state,
    subscribe: till.subscribe,
    read,
    retry: (key) => {
      const { tray, checking } = till.state();
      const item = key ? tray.find((one) => one.key === key) : till.code();
      if (item?.send && !checking) void verify({ ...item, kind: 'redemption' });
    },
    discard: (key) => {
      memory.drop(key);
      till.set({});
    },
    close: () => {
      const { verdict } = till.state();
      if (!verdict || verdict.kind === 'confirming') return;
      const code = till.code();
      if (code) lock.closed(code.key);
      till.begin(undefined);
      till.set({ verdict: undefined });
    },
    stop: () => void till.begin(undefined),
  };
}

/** Whether the next code may push this verdict away: nothing is left to decide or to find out. */
const isOver = (verdict: Verdict) =>
  verdict.kind === 'confirmed' || familyOf(verdict) === 'stop' || verdict.kind === 'offline';
