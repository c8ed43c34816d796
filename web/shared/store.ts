/** What the browser keeps for us. It may be switched off, full or read-only: nothing here throws. */

interface Area {
  readonly length: number;
  key(index: number): string | null;
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

export interface Store {
  /** The value as it was written, or undefined: absent, unreadable, or no JSON. */
  read<T>(name: string): T | undefined;
  /** Keeps any JSON value; false when it will be gone with the page. */
  write(name: string, value: unknown): boolean;
  remove(name: string): void;
  /** Removes every name under the prefix, also those of other versions of the app. */
  clear(): void;
  /** Whether what is written outlives the page. */
  readonly isPersistent: boolean;
}

const PROBE = 'lumis.probe';

/**
 * A store for the names that begin with `prefix` ("lumis.wallet."), in the browser's local or
 * session storage. Where that refuses, it keeps values in memory as long as the page lives.
 */
export function openStore(prefix: string, kind: 'local' | 'session' = 'local'): Store {
  const memory = new Map<string, string>();
  const area = openArea(kind);
  const isPersistent = area !== undefined && accepts(area);

  const store: Store = {
    isPersistent,
    read<T>(name: string): T | undefined {
      const key = prefix + name;
      const text = memory.get(key) ?? attempt(() => area?.getItem(key));
      return text == null ? undefined : (attempt(() => JSON.parse(text)) as T | undefined);
    },
    write(name, value) {
      const key = prefix + name;
      const text = JSON.stringify(value);
      const isKept =
        isPersistent &&
        attempt(() => {
          area.setItem(key, text);
          return true;
        }) === true;
      if (isKept) {
        memory.delete(key);
      } else {
        memory.set(key, text);
        // rather nothing after a reload than what was true before
        attempt(() => area?.removeItem(key));
      }
      return isKept;
    },
    remove(name) {
      memory.delete(prefix + name);
      attempt(() => area?.removeItem(prefix + name));
    },
    clear() {
      memory.clear();
      for (const key of area ? (attempt(() => keysOf(area)) ?? []) : []) {
        if (key.startsWith(prefix)) attempt(() => area?.removeItem(key));
      }
    },
  };
  return store;
}

function openArea(kind: 'local' | 'session'): Area | undefined {
  // the getter itself throws where cookies are blocked
  const places = globalThis as { localStorage?: Area; sessionStorage?: Area };
  return attempt(() => (kind === 'local' ? places.localStorage : places.sessionStorage));
}

function accepts(area: Area): boolean {
  const outcome = attempt(() => {
    area.setItem(PROBE, '1');
    area.removeItem(PROBE);
    return true;
  });
  return outcome === true;
}

function keysOf(area: Area): string[] {
  return Array.from({ length: area.length }, (_, index) => area.key(index) ?? '');
}

function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}
