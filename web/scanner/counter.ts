import type { Reading } from './code.ts';
import { createLock } from './lock.ts';
import type { Memory, TrayItem } from './memory.ts';
import {
  type Done,
  type Failing,
  familyOf,
  type HandOver,
  type PendingConfirm,
  type Verdict,
  verdictOf,
} from './verdict.ts';

type Code = Extract<Reading, { kind: 'redemption' }>;

export interface CounterState {
  /** the code that is being verified, until there is a verdict */
  checking: { shown: string; is_slow: boolean } | undefined;
  verdict: Verdict | undefined;
  tray: TrayItem[];
  /** confirmations whose answer is not known and whose screen was left */
  pendings: PendingConfirm[];
  /** the server no longer knows this phone */
  is_access_lost: boolean;
  /** what was last written will survive a reload */
  is_kept: boolean;
}

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
const SLOW_MS = 2000;
const LOOK_UP_MS = [1500, 3000, 5000];
/** A confirmation older than this is not repeated without a tap: the customer may have left. */
const YOUNG_MS = 120_000;

const mark = (name: string) => performance.mark(`lumis:${name}`);

/**
 * The counter's one machine: nothing → checking → verdict → (confirming → verdict) → nothing. Each
 * scan has a number of its own, so that a late answer of an earlier one touches nothing.
 */
export function createCounter({ api, memory, newKey, now, isOnline }: CounterParts): Counter {
  const listeners = new Set<() => void>();
  const lock = createLock(() => performance.now());
  let scan = 0;
  let code: Code | undefined;
  let lookUps = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let state: CounterState = {
    checking: undefined,
    verdict: undefined,
    tray: memory.tray(now()),
    pendings: memory.pendings(),
    is_access_lost: false,
    is_kept: true,
  };

  const set = (change: Partial<CounterState>) => {
    state = { ...state, ...change, tray: memory.tray(now()), pendings: memory.pendings() };
    state.is_kept = memory.isKept();
    for (const listener of listeners) listener();
  };
  const conclude = (verdict: Verdict) => {
    clearTimeout(timer);
    set({ checking: undefined, verdict });
    mark('verdict');
  };
  const loseAccess = () => {
    clearTimeout(timer);
    scan += 1;
    set({ checking: undefined, verdict: undefined, is_access_lost: true });
  };
  const begin = (next: Code | undefined) => {
    clearTimeout(timer);
    code = next;
    lookUps = 0;
    scan += 1;
    return scan;
  };

  const keep = ({ key, send, shown }: Code) => memory.put({ key, send, shown, read_at: now() });

  const verify = async (item: Code) => {
    const mine = begin(item);
    if (!isOnline()) {
      keep(item);
      return conclude({ kind: 'offline' });
    }
    set({ verdict: undefined, checking: { shown: item.shown, is_slow: false } });
    timer = setTimeout(() => {
      if (mine === scan) set({ checking: { shown: item.shown, is_slow: true } });
    }, SLOW_MS);
    try {
      const redemption = await api.validate({ code: item.send });
      if (mine !== scan) return;
      memory.drop(item.key);
      conclude({ kind: 'valid', redemption });
    } catch (error) {
      if (mine !== scan) return;
      const failing = error as Failing;
      if (hasLostAccess(failing)) return loseAccess();
      const verdict = verdictOf(failing, now(), memory.confirmedHere());
      if (familyOf(verdict) === 'stop') memory.drop(item.key);
      else if (verdict.kind !== 'too_many') keep(item);
      conclude(isOnline() || verdict.kind !== 'no_answer' ? verdict : { kind: 'offline' });
    }
  };

  /** Sends a confirmation, the first time or again: the key makes both the same request. */
  const settle = async (pending: PendingConfirm, mine: number, isRepeat: boolean) => {
    const { key, redemption_id } = pending;
    try {
      const redemption = await api.confirm(redemption_id, { key, isRepeat });
      memory.remember(redemption);
      memory.end(redemption_id);
      if (mine !== scan) return set({});
      mark('confirmed');
      conclude({ kind: 'confirmed', redemption });
    } catch (error) {
      const failing = error as Failing;
      const isAsking = mine === scan;
      if (hasLostAccess(failing)) return loseAccess();
      if (!failing.isAnswered) return isAsking ? doubt(pending, mine) : set({});
      const verdict = verdictOf(failing, now(), memory.confirmedHere());
      if (verdict.kind === 'too_many') {
        if (isAsking)
          conclude({ kind: 'valid', redemption: pending, wait_until: verdict.wait_until });
        return;
      }
      memory.end(redemption_id);
      if (isAsking) conclude(verdict);
      else set({});
    }
  };

  const doubt = (pending: PendingConfirm, mine: number) => {
    conclude({ kind: 'unsure', pending, is_checking: false });
    lookUpSoon(pending, mine);
  };
  const lookUpSoon = (pending: PendingConfirm, mine: number) => {
    const wait = LOOK_UP_MS[Math.min(lookUps, LOOK_UP_MS.length - 1)];
    lookUps += 1;
    timer = setTimeout(() => {
      if (mine !== scan) return;
      if (isOnline()) lookUp(pending, mine);
      else lookUpSoon(pending, mine);
    }, wait);
  };
  const lookUp = (pending: PendingConfirm, mine: number) => {
    clearTimeout(timer);
    set({ verdict: { kind: 'unsure', pending, is_checking: true } });
    void settle(pending, mine, true);
  };

  return {
    state: () => state,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    read: (reading, isTyped = false) => {
      if (state.checking || (state.verdict && !isOver(state.verdict))) return false;
      const key = reading.kind === 'redemption' ? reading.key : `not a code: ${reading.kind}`;
      const isSeenAgain = !lock.admits(key) || (state.verdict && code?.key === key);
      if (isSeenAgain && !isTyped) return false;
      if (state.verdict && code) lock.closed(code.key);
      mark('read');
      if (reading.kind === 'redemption') {
        void verify(reading);
        return true;
      }
      begin({ kind: 'redemption', key, send: '', shown: '' });
      conclude({ kind: NO_CODE[reading.kind] });
      return true;
    },
    retry: (key) => {
      const item = key ? state.tray.find((one) => one.key === key) : code;
      if (item?.send && !state.checking) void verify({ ...item, kind: 'redemption' });
    },
    discard: (key) => {
      memory.drop(key);
      set({});
    },
    confirm: () => {
      if (state.verdict?.kind !== 'valid') return;
      const { redemption } = state.verdict;
      mark('confirm');
      // nothing was sent, so nothing is in doubt, and nothing goes out later by itself
      if (!isOnline()) return conclude({ kind: 'valid', redemption, notice: 'offline' });
      const known = memory.pendings().find((one) => one.redemption_id === redemption.redemption_id);
      const shown = code?.shown ?? '';
      const pending = known ?? { ...redemption, key: newKey(), shown, began_at: now() };
      memory.begin(pending); // before the request: a page that dies now finds its key again
      const mine = begin(code);
      set({ verdict: { kind: 'confirming', redemption, is_slow: false } });
      timer = setTimeout(() => {
        if (mine === scan) set({ verdict: { kind: 'confirming', redemption, is_slow: true } });
      }, SLOW_MS);
      void settle(pending, mine, known !== undefined);
    },
    checkNow: (id) => {
      const shown = state.verdict?.kind === 'unsure' ? state.verdict : undefined;
      const pending = id ? state.pendings.find((one) => one.redemption_id === id) : shown?.pending;
      if (pending && !shown?.is_checking) lookUp(pending, id ? begin(undefined) : scan);
    },
    resume: () => {
      const [pending] = memory.pendings();
      if (!pending) return;
      const mine = begin(undefined);
      conclude({ kind: 'unsure', pending, is_checking: false });
      if (Math.abs(now() - pending.began_at) < YOUNG_MS && isOnline()) lookUp(pending, mine);
    },
    close: () => {
      if (!state.verdict || state.verdict.kind === 'confirming') return;
      if (code) lock.closed(code.key);
      begin(undefined);
      set({ verdict: undefined });
    },
    stop: () => void begin(undefined),
  };
}

/** Whether the next code may push this verdict away: nothing is left to decide or to find out. */
const isOver = (verdict: Verdict) =>
  verdict.kind === 'confirmed' || familyOf(verdict) === 'stop' || verdict.kind === 'offline';

const hasLostAccess = ({ code }: Failing) => code === 'unauthorized' || code === 'forbidden';
