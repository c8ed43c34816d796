/** Times that are shown, not judged: this machine does other work too. */

const rows: { what: string; ms: number[] }[] = [];

/** Keeps a time in milliseconds under a name, for the table. */
export function note(what: string, ms: number): void {
  const row = rows.find((one) => one.what === what);
  if (row) row.ms.push(ms);
  else rows.push({ what, ms: [ms] });
}

/** The table of what was kept: how often, the median and the worst, in milliseconds. */
export function timesTable(title: string): string {
  const widest = Math.max(...rows.map(({ what }) => what.length), title.length);
  const line = (what: string, ...cells: (string | number)[]) =>
    what.padEnd(widest) + cells.map((cell) => String(cell).padStart(9)).join('');
  return [
    line(title, 'times', 'median', 'worst'),
    ...rows.map(({ what, ms }) => line(what, ms.length, median(ms), Math.round(Math.max(...ms)))),
  ].join('\n');
}

/** The middle one, rounded. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const even = ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return Math.round(sorted.length % 2 === 1 ? (sorted[middle] as number) : even);
}
