import { useMemo } from 'react';
import * as format from '../../shared/format.ts';
import { useLocale } from '../../shared/words.ts';
import { useConfig } from '../state/queries.ts';

const ZONE = 'America/Panama';
const DAY_MS = 24 * 60 * 60 * 1000;
/** As far as dates are a matter of days: beyond it is what stands for "never". */
const NEVER_YEAR = 9000;

/** Numbers, times and spans in the reader's language and the programme's time zone. */
export function useFormat() {
  const locale = useLocale();
  const zone = useConfig()?.time_zone ?? ZONE;
  return useMemo(
    () => ({
      zone,
      number: (value: number) => format.number(value, locale),
      /** with a real minus, which is read and drawn as one */
      points: (value: number) => format.points(value, locale).replace('-', '−'),
      /** "+50 Lümis", "−50 Lümis" */
      change: (value: number) =>
        `${value < 0 ? '−' : '+'}${format.points(Math.abs(value), locale)}`,
      time: (at: format.Instant) => format.time(at, locale, zone),
      day: (at: format.Instant) => format.day(at, locale, zone),
      /** without the year while that is this one */
      dayShort: (at: format.Instant, now: number) =>
        Math.abs(new Date(at).getTime() - now) < 180 * DAY_MS
          ? format.dayWithoutYear(at, locale, zone)
          : format.day(at, locale, zone),
      dateTime: (at: format.Instant) => format.dateTime(at, locale, zone),
      isToday: (at: format.Instant, now: number) => format.isSameDay(at, now, zone),
      /** the time alone when it is today */
      moment: (at: format.Instant, now: number) =>
        format.isSameDay(at, now, zone)
          ? format.time(at, locale, zone)
          : format.dateTime(at, locale, zone),
      /** the time alone today, with day and month otherwise: for what is near */
      soon: (at: format.Instant, now: number) => {
        const time = format.time(at, locale, zone);
        if (format.isSameDay(at, now, zone)) return time;
        return `${format.dayWithoutYear(at, locale, zone)}, ${time}`;
      },
      span: (ms: number) => format.countdown(ms, locale),
    }),
    [locale, zone],
  );
}

/** Whether a code's end is one that nobody will see: PostgreSQL's infinity comes as the year 9999. */
export function isNever(at: string): boolean {
  return new Date(at).getUTCFullYear() >= NEVER_YEAR;
}
