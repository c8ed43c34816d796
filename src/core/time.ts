const EARLIEST = '0001-01-01T00:00:00.000000Z';
const LATEST = '9999-12-31T23:59:59.999999Z';

/** As PostgreSQL writes it: date, time, fraction, zone; years beyond 9999 and BC do not match. */
const WRITTEN =
  /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?([+-]\d\d(?::?\d\d)?)(?::\d\d)?$/;

/** RFC 3339, with the offsets that PostgreSQL knows. */
const ASKED = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-](0\d|1[0-5]):[0-5]\d)$/i;

/**
 * Whether a text is a time that can be stored and shown again: RFC 3339, a day that exists, and in
 * the years 1 to 9999 also as UTC.
 */
export function isStorableTime(text: string): boolean {
  if (!ASKED.test(text)) return false;
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  const moment = new Date(text.toUpperCase());
  if (Number.isNaN(day.getTime()) || Number.isNaN(moment.getTime())) return false;
  const isSameDay = day.toISOString().startsWith(text.slice(0, 10));
  const year = moment.getUTCFullYear();
  return isSameDay && year >= 1 && year <= 9999;
}

/**
 * A PostgreSQL timestamptz as text, in whatever zone the session uses, as RFC 3339 in UTC with
 * microseconds. A JavaScript Date would cut the microseconds off, and a cursor made of it would
 * repeat or skip rows. What RFC 3339 has no words for (infinity, years beyond 9999, BC) becomes its
 * earliest or latest moment.
 */
export function isoTime(text: string): string {
  const [, date, time, micros = '', zone = ''] = WRITTEN.exec(text) ?? [];
  const fraction = `.${micros.padEnd(6, '0')}Z`;
  // as most servers write it: without a Date, which takes longer than all the rest
  if (zone === '+00' || zone === '+00:00') return `${date}T${time}${fraction}`;
  const offset = zone.length === 3 ? `${zone}:00` : zone;
  const moment = new Date(`${date}T${time}${offset}`);
  if (Number.isNaN(moment.getTime())) {
    if (text === '-infinity' || text.endsWith(' BC')) return EARLIEST;
    if (text === 'infinity' || /^\d{5,}-/.test(text)) return LATEST;
    throw new Error(`not a time as PostgreSQL writes it in ISO style: ${text}`);
  }
  if (moment.getUTCFullYear() > 9999) return LATEST;
  if (moment.getUTCFullYear() < 1) return EARLIEST;
  return moment.toISOString().slice(0, 19) + fraction;
}

/** Whether a text is the name of a time zone, such as America/Panama, and not an offset. */
export function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z][\w+/-]*$/.test(text)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
