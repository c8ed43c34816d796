import * as format from '../shared/format.ts';
import type { Verdict } from './verdict.ts';

/** What is read on a verdict's screen: what happened, then the one order, then what explains it. */
export interface Said {
  title: string;
  order: string;
  body?: string | undefined;
  /** what is to be handed over */
  offer?: string | undefined;
}

/** How numbers and times read where the verdict is said. */
export interface Place {
  points(count: number): string;
  time(iso: string): string;
  dateTime(iso: string): string;
  isToday(iso: string): boolean;
  /** from now until then */
  span(iso: string): string;
  ago(seconds: number): string;
  /** whole seconds from now until a server time in ms; 0 when it is past */
  left(ms: number): number;
}

/** The words of each kind of verdict, in one language. */
export type Sayings = {
  [Kind in Verdict['kind']]: (verdict: Verdict & { kind: Kind }, place: Place) => Said;
};

/** The place of a language, a time zone, and the server's now in ms. */
export function placeOf(locale: format.Locale, zone: string, now: number): Place {
  return {
    points: (count) => format.points(count, locale),
    time: (iso) => format.time(iso, locale, zone),
    dateTime: (iso) => format.dateTime(iso, locale, zone),
    isToday: (iso) => format.isSameDay(iso, now, zone),
    span: (iso) => format.countdown(Date.parse(iso) - now, locale),
    ago: (seconds) => format.countdown(seconds * 1000, locale),
    left: (ms) => Math.max(0, Math.ceil((ms - now) / 1000)),
  };
}

/** Says a verdict with the words of one language. */
export function sayVerdict(verdict: Verdict, sayings: Sayings, place: Place): Said {
  const say = sayings[verdict.kind] as (verdict: Verdict, place: Place) => Said;
  return say(verdict, place);
}
