import type { Reading } from './code.ts';
import type { Memory, TrayItem } from './memory.ts';
import type { PendingConfirm, Verdict } from './verdict.ts';

export type Code = Extract<Reading, { kind: 'redemption' }>;

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

/** What verifying and confirming share: the state, and which scan is the one under way. */
export interface Till {
  state(): CounterState;
  subscribe(listener: () => void): () => void;
  set(change: Partial<CounterState>): void;
  /** the code that the scan under way is about */
  code(): Code | undefined;
  /** Begins another scan and answers its number: an answer of an earlier one touches nothing. */
  begin(code: Code | undefined): number;
  isCurrent(scan: number): boolean;
  /** Runs `then` unless another scan began meanwhile, or something else is waited for. */
  after(ms: number, scan: number, then: () => void): void;
  conclude(verdict: Verdict): void;
  loseAccess(): void;
}

/** Marks a moment for whoever measures, e.g. `lumis:verdict`. */
export const mark = (name: string) => performance.mark(`lumis:${name}`);

/** A till with nothing on it but what the phone remembers. `now`: the server's time, ms. */
export function createTill(memory: Memory, now: () => number): Till {
  const listeners = new Set<() => void>();
  let scan = 0;
  let code: Code | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const remembered = () => ({ tray: memory.tray(now()), pendings: memory.pendings() });
  let state: CounterState = {
    checking: undefined,
    verdict: undefined,
    ...remembered(),
    is_access_lost: false,
    is_kept: true,
  };
  const set = (change: Partial<CounterState>) => {
    state = { ...state, ...change, ...remembered(), is_kept: memory.isKept() };
    for (const listener of listeners) listener();
  };
  const begin = (next: Code | undefined) => {
    clearTimeout(timer);
    code = next;
    scan += 1;
    return scan;
  };
  return {
    state: () => state,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set,
    code: () => code,
    begin,
    isCurrent: (number) => number === scan,
    after: (ms, number, then) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (number === scan) then();
      }, ms);
    },
    conclude: (verdict) => {
      clearTimeout(timer);
      set({ checking: undefined, verdict });
      mark('verdict');
    },
    loseAccess: () => {
      begin(undefined);
      set({ checking: undefined, verdict: undefined, is_access_lost: true });
    },
  };
}
