/** How numbers, times and spans read, in Spanish and English. No clock and no zone of its own. */

export type Locale = 'es' | 'en';

/** Panama writes 1,250.5 and a 12-hour clock in both languages. */
const TAGS: Record<Locale, string> = { es: 'es-PA', en: 'en-US' };

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Keeps a number and its unit on one line. */
const NBSP = '\u00a0';

const formats = new Map<string, Intl.DateTimeFormat>();

/** A point in time: an ISO text, milliseconds since 1970, or a Date. */
export type Instant = string | number | Date;

/** 1250 → "1,250". */
export function number(value: number, locale: Locale): string {
  return value.toLocaleString(TAGS[locale], { maximumFractionDigits: 2 });
}

/** 1 → "1 Lümi", 1250 → "1,250 Lümis", −2 → "-2 Lümis". */
export function points(value: number, locale: Locale): string {
  return `${number(value, locale)}${NBSP}${unit(value)}`;
}

/** The word alone, for where the number stands by itself: "Lümi" for 1 and −1. */
export function unit(value: number): string {
  return Math.abs(value) === 1 ? 'Lümi' : 'Lümis';
}

/** "4:12 p. m." or "4:12 PM", in the IANA zone `timeZone`. */
export function time(at: Instant, locale: Locale, timeZone: string): string {
  const part = parts(at, locale, timeZone);
  const half = locale === 'es' ? part.dayPeriod.replace(/\s+/g, NBSP) : part.dayPeriod;
  return `${part.hour}:${part.minute}${NBSP}${half}`;
}

/** "22 nov 2026", with the month spelled: 11/12 reads both ways in Panama. */
export function day(at: Instant, locale: Locale, timeZone: string): string {
  const part = parts(at, locale, timeZone);
  return `${dayWithoutYear(at, locale, timeZone)} ${part.year}`;
}

/** "22 nov". */
export function dayWithoutYear(at: Instant, locale: Locale, timeZone: string): string {
  const part = parts(at, locale, timeZone);
  return `${part.day} ${part.month.replace('.', '')}`;
}

/** "22 nov 2026, 4:12 p. m." */
export function dateTime(at: Instant, locale: Locale, timeZone: string): string {
  return `${day(at, locale, timeZone)}, ${time(at, locale, timeZone)}`;
}

/** Whether two instants fall on the same calendar day of the zone. */
export function isSameDay(one: Instant, other: Instant, timeZone: string): boolean {
  return day(one, 'en', timeZone) === day(other, 'en', timeZone);
}

/**
 * What is left, in at most two units and never more than there is: 14 min 59 s reads "14 min".
 * Below a minute it counts seconds, rounded up, so that "0 s" means over. Input in milliseconds.
 */
export function countdown(ms: number, locale: Locale): string {
  if (ms < MINUTE) {
    const seconds = Math.max(0, Math.ceil(ms / SECOND));
    return seconds === 60 ? `1${NBSP}min` : `${seconds}${NBSP}s`;
  }
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}${NBSP}min`;
  const hours = Math.floor((ms % DAY) / HOUR);
  if (ms < DAY) {
    const minutes = Math.floor((ms % HOUR) / MINUTE);
    return `${hours}${NBSP}h${minutes > 0 ? ` ${minutes}${NBSP}min` : ''}`;
  }
  const days = Math.floor(ms / DAY);
  if (days > 1) return `${days}${NBSP}${locale === 'es' ? 'días' : 'days'}`;
  const one = `1${NBSP}${locale === 'es' ? 'día' : 'day'}`;
  return hours > 0 ? `${one} ${hours}${NBSP}h` : one;
}

/** A redemption code in groups as it is printed, from any spelling: "LUMS-7K4M-92QX-…". */
export function groupCode(code: string): string {
  const symbols = code.toUpperCase().replace(/[^0-9A-Z]/g, '');
  return symbols.replace(/.{4}(?=.)/g, '$&-');
}

/** A time of day with its Spanish article: "la 1:05 p. m.", "las 2:05 p. m.". */
export const theHour = (time: string) => `${/^1\b/.test(time) ? 'la' : 'las'} ${time}`;

/** When, in Spanish: "a la 1:05 p. m.". */
export const atTime = (time: string) => `a ${theHour(time)}`;

/** Ends a sentence: one that ends with "p. m." or "S.A." has its full stop already. */
export function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

type Part = 'day' | 'month' | 'year' | 'hour' | 'minute' | 'dayPeriod';

function parts(at: Instant, locale: Locale, timeZone: string): Record<Part, string> {
  const key = `${locale} ${timeZone}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(TAGS[locale], {
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: 'numeric',
      minute: '2-digit',
      hour12: true,
      timeZone,
    });
    formats.set(key, format);
  }
  const found = format.formatToParts(new Date(at)).map(({ type, value }) => [type, value]);
  return Object.fromEntries(found) as Record<Part, string>;
}
