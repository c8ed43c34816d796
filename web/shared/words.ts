import { useSyncExternalStore } from 'react';
import type { Locale } from './format.ts';
import { detectLocale, preferences } from './locale.ts';

export type { Locale } from './format.ts';
export { detectLocale } from './locale.ts';

let locale = detectLocale();
const listeners = new Set<() => void>();
document.documentElement.lang = locale;

/** The language in use now. In components use `useLocale`, which follows it. */
export function currentLocale(): Locale {
  return locale;
}

/** Changes the language of everything on the page at once, and remembers it on this device. */
export function setLocale(next: Locale): void {
  locale = next;
  preferences.write('locale', next);
  document.documentElement.lang = next;
  for (const listener of listeners) listener();
}

/** The language in use; the component is drawn again when it changes. */
export function useLocale(): Locale {
  return useSyncExternalStore(subscribe, currentLocale);
}

/**
 * A dictionary in both languages. Spanish is the source: English must have the same keys, texts
 * where it has texts and functions where it has functions, or it does not compile.
 */
export function createWords<T extends object>(both: {
  es: T;
  en: NoInfer<T>;
}): {
  /** The words of the language in use, in a component. */
  useWords(): T;
  /** The words of a language, outside of components. */
  words(locale?: Locale): T;
} {
  return {
    useWords: () => both[useLocale()],
    words: (wanted = locale) => both[wanted],
  };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
