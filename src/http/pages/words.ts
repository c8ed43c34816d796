import type { Locale } from '../locale.ts';
import { en } from './words-en.ts';
import { es, type Words } from './words-es.ts';

/** The words of the pages, by language. */
export const WORDS: Record<Locale, Words> = { es, en };
export type { Words };
