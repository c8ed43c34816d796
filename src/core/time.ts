/**
 * A PostgreSQL timestamptz as text, in whatever zone the session uses, as RFC 3339 in UTC with
 * microseconds. A JavaScript Date would cut the microseconds off, and a cursor made of it would
 * repeat or skip rows.
 */
export function isoTime(text: string): string {
  const [, micros = ''] = /\.(\d+)/.exec(text) ?? [];
  const zone = /[+-]\d\d(:?\d\d)?(:\d\d)?$|Z$/.exec(text)?.[0] ?? 'Z';
  const seconds = text.slice(0, 19).replace(' ', 'T');
  const offset = zone.length === 3 ? `${zone}:00` : zone.slice(0, 6);
  return `${new Date(seconds + offset).toISOString().slice(0, 19)}.${micros.padEnd(6, '0')}Z`;
}
