import { createWords } from '../../shared/words.ts';
import * as first from './first.en.ts';
import * as firstEs from './first.es.ts';
import { en } from './later.en.ts';
import { es } from './later.es.ts';

/** The words of every page, for what is loaded after the first one. */
export const { useWords } = createWords({
  es: { ...firstEs.es, ...es },
  en: { ...first.en, ...en },
});
export type Words = typeof firstEs.es & typeof es;
