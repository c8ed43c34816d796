import type { FastifyRequest } from 'fastify';
import { type Locale, localeOf } from '../locale.ts';

/** How somebody came to a page. */
export interface Visit {
  locale: Locale;
  /** the visitor chose the language by the switch: links to other pages carry the choice on */
  isChosen: boolean;
  /** the page's own path, without its query */
  path: string;
}

/** Reads the visit from a request. `?lang=` wins over the browser's languages; nothing is kept. */
export function visitOf(request: FastifyRequest): Visit {
  const { lang } = (request.query ?? {}) as { lang?: unknown };
  const isChosen = lang === 'es' || lang === 'en';
  const locale = isChosen ? (lang as Locale) : localeOf(request.headers['accept-language']);
  return { locale, isChosen, path: request.url.split(/[?#]/)[0] ?? '/' };
}

/** Whether the request is a browser's, for a page: an API's caller gets JSON. */
export function wantsPage({ method, url, headers }: FastifyRequest): boolean {
  const isReading = method === 'GET' || method === 'HEAD';
  const wishes = headers.accept?.toLowerCase().slice(0, 1000) ?? '';
  return (
    isReading &&
    !url.startsWith('/api/') &&
    /\btext\/html\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(wishes)
  );
}
