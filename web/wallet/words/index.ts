import { createWords } from '../../shared/words.ts';
import { en } from './first.en.ts';
import { es } from './first.es.ts';

export const { useWords, words } = createWords({ es, en });
export type Words = typeof es;
