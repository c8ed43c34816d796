import type { Locale } from './format.ts';
import { openStore } from './store.ts';

/** Choices that belong to the browser, not to who is signed in; both apps read them. */
export const preferences = openStore('lumis.');

/** The first language of the list that we speak, Spanish if none. ["fr", "en-GB"] → "en". */
export function pickLocale(languages: readonly string[]): Locale {
  for (const tag of languages) {
    const language = tag.toLowerCase().split('-')[0];
    if (language === 'es' || language === 'en') return language;
  }
  return 'es';
}

/** The choice made on this device, else the browser's languages, else Spanish. */
export function detectLocale(): Locale {
  const chosen = preferences.read<unknown>('locale');
  if (chosen === 'es' || chosen === 'en') return chosen;
  const { navigator } = globalThis as { navigator?: { languages?: readonly string[] } };
  return pickLocale(navigator?.languages ?? []);
}
