import { useSyncExternalStore } from 'react';
import { currentLocale, useLocale } from '../shared/words.ts';
import type { Sayings } from './verdict-words.ts';
import { type Screens, screens, verdicts } from './words-es.ts';

interface Dictionary {
  screens: Screens;
  verdicts: Sayings;
}

const spanish: Dictionary = { screens, verdicts };
let english: Dictionary | undefined;
const listeners = new Set<() => void>();

/**
 * Loads the dictionary of the language in use where it is not there yet: Spanish always is, English
 * is a file of its own, so that a counter does not wait for what it does not read.
 */
export async function loadWords(): Promise<void> {
  if (currentLocale() !== 'en' || english) return;
  english = await import('./words-en.ts').catch(() => undefined);
  for (const listener of listeners) listener();
}

/** Both parts of the dictionary of the language in use. */
export function useDictionary(): Dictionary {
  const locale = useLocale();
  const loaded = useSyncExternalStore(subscribe, () => english);
  if (locale !== 'en') return spanish;
  if (!loaded) void loadWords();
  return loaded ?? spanish;
}

/** The words of the screens, in a component. */
export const useWords = () => useDictionary().screens;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
