import { useSyncExternalStore } from 'react';
import { preferences } from './locale.ts';

/** `system` follows the device; boot.js sets the other two before the first paint. */
export type Theme = 'system' | 'light' | 'dark';

/** The colour of the browser's own bars: --bg of either scheme. */
const BARS = { light: '#fffbf2', dark: '#17120b' };

const listeners = new Set<() => void>();
let theme = readTheme();

/** The chosen theme; `system` where nothing was chosen. */
export function currentTheme(): Theme {
  return theme;
}

/** Applies a theme at once and remembers it on this device. */
export function setTheme(next: Theme): void {
  theme = next;
  if (next === 'system') {
    preferences.remove('theme');
    delete document.documentElement.dataset.theme;
  } else {
    preferences.write('theme', next);
    document.documentElement.dataset.theme = next;
  }
  for (const bar of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    const own = bar.media.includes('dark') ? 'dark' : 'light';
    bar.content = BARS[next === 'system' ? own : next];
  }
  for (const listener of listeners) listener();
}

/** The chosen theme; the component is drawn again when it changes. */
export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, currentTheme);
}

function readTheme(): Theme {
  const kept = preferences.read<unknown>('theme');
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
