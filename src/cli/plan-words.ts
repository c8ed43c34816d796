const LISTED_MAX = 10;
const WIDTH_MAX = 110;
const NAME_MAX = 40;
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

const NUMBER = /^−?[\d,]+(\.\d+)?$/;

/** Rows as aligned columns, numbers to the right. */
export function columns(rows: string[][]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) =>
        NUMBER.test(cell) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** A long line as several, those after the first further in. Columns stay as they are. */
export function wrapped(line: string): string[] {
  if (line.trim().includes('  ')) return [line];
  const indent = ' '.repeat(line.length - line.trimStart().length);
  const lines: string[] = [];
  let rest = line;
  while (rest.length > WIDTH_MAX) {
    const cut = rest.lastIndexOf(' ', WIDTH_MAX);
    if (cut <= indent.length + 3) break;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = `${indent}   ${rest.slice(cut).trim()}`;
  }
  return [...lines, rest.trimEnd()];
}

/** The first few, and how many more there are. */
export function listed(items: string[]): string[];
export function listed<T>(items: T[], more: (text: string) => T): T[];
export function listed<T>(items: T[], more = (text: string) => text as T): T[] {
  if (items.length <= LISTED_MAX) return items;
  const rest = items.length - LISTED_MAX;
  return [...items.slice(0, LISTED_MAX), more(`and ${rest} more (--json has them all)`)];
}

export function number(n: number): string {
  return n.toLocaleString('en-US');
}

/** An exact decimal, with its thousands apart. */
export function amount(points: string): string {
  const [whole = '', fraction] = points.split('.');
  return (
    whole.replace(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`)
  ).replace('-', '−');
}

export function bytes(n: number): string {
  const power = n < 1 ? 0 : Math.min(Math.floor(Math.log10(n) / 3), UNITS.length - 1);
  return `${Math.ceil(n / 1000 ** power)} ${UNITS[power]}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return 'under 1 s';
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

export function shortened(name: string): string {
  return name.length > NAME_MAX ? `${name.slice(0, NAME_MAX - 1)}…` : name;
}

/** Names come from the database, and a terminal obeys control characters. */
export function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, '?');
}
