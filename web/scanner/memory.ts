import type { Done, PendingConfirm } from './verdict.ts';

/** Where the phone keeps things; `write` answers false when they will not outlive this page. */
export interface Keep {
  read(name: string): unknown;
  write(name: string, value: unknown): boolean;
}

/** A code that was read and could not be verified. */
export interface TrayItem {
  key: string;
  send: string;
  shown: string;
  /** server time, ms */
  read_at: number;
}

export const TRAY_MAX = 50;
export const TRAY_MS = 24 * 3_600_000;
const CONFIRMED_MAX = 30;

/** What must survive a reload: the tray, the confirmations under way, and those just made. */
export interface Memory {
  tray(now: number): TrayItem[];
  put(item: TrayItem): void;
  drop(key: string): void;
  pendings(): PendingConfirm[];
  begin(pending: PendingConfirm): void;
  end(redemptionId: string): void;
  confirmedHere(): string[];
  remember(done: Done): void;
  /** Whether what was written last will survive. */
  isKept(): boolean;
}

/**
 * The phone's memory over a store that may hold anything: what another version or another hand
 * wrote there is taken for nothing instead of breaking the page.
 */
export function createMemory(keep: Keep): Memory {
  let isKept = true;
  const write = (name: string, value: unknown) => {
    isKept = keep.write(name, value);
  };
  const list = <Item>(
    name: string,
    isItem: (value: Record<string, unknown>) => boolean,
  ): Item[] => {
    const value = keep.read(name);
    return (Array.isArray(value) ? value : []).filter(
      (item) => typeof item === 'object' && item !== null && isItem(item),
    );
  };
  const items = () =>
    list<TrayItem>(
      'tray',
      ({ key, send, shown, read_at }) =>
        [key, send, shown].every((text) => typeof text === 'string') && typeof read_at === 'number',
    );
  const pendings = () =>
    list<PendingConfirm>(
      'pending',
      ({ redemption_id, key, began_at }) =>
        typeof redemption_id === 'string' &&
        typeof key === 'string' &&
        typeof began_at === 'number',
    );
  const confirmedHere = () => {
    const value = keep.read('confirmed');
    return Array.isArray(value) ? value.filter((at) => typeof at === 'string') : [];
  };
  return {
    tray: (now) => items().filter(({ read_at }) => Math.abs(now - read_at) < TRAY_MS),
    put: (item) => {
      const others = items().filter(({ key }) => key !== item.key);
      write('tray', [item, ...others].slice(0, TRAY_MAX));
    },
    drop: (key) => {
      const all = items();
      const rest = all.filter((item) => item.key !== key);
      if (rest.length < all.length) write('tray', rest);
    },
    pendings,
    begin: (pending) => {
      const others = pendings().filter(({ redemption_id: id }) => id !== pending.redemption_id);
      write('pending', [pending, ...others]);
    },
    end: (id) =>
      write(
        'pending',
        pendings().filter(({ redemption_id }) => redemption_id !== id),
      ),
    confirmedHere,
    remember: ({ validated_at }) =>
      write('confirmed', [validated_at, ...confirmedHere()].slice(0, CONFIRMED_MAX)),
    isKept: () => isKept,
  };
}
