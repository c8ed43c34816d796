/** The figures as a table for people: rates with their spread, latencies, ratios, who was busy. */

import { latencyOf, median } from './measure.ts';
import type { Cpu, Outcome, Row, Verdict } from './scene.ts';

export interface Report {
  /** when it began, ISO */
  date: string;
  machine: { cpus: number; model: string; memory_gb: number; node: string; system: string };
  settings: Record<string, string>;
  sizes: Record<string, object>;
  options: Record<string, unknown>;
  scenarios: Record<string, Outcome>;
  /** over all scenarios and the invariants at the end */
  wrong: string[];
}

const COLUMNS = ['', 'size', 'clients', 'rate/s', 'min–max', 'p50 ms', 'p99 ms', 'ours ÷', 'CPU'];

/** All of it as text. */
export function printReport(report: Report): string {
  const { machine, settings, scenarios, wrong } = report;
  const parts = [
    `${machine.cpus} × ${machine.model}, ${machine.memory_gb} GB, ${machine.system}, ` +
      `Node ${machine.node}, PostgreSQL ${settings.server_version}, ${report.date}`,
    Object.entries(settings)
      .filter(([name]) => name !== 'server_version')
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
    'CPU: cores kept busy by server / load / PostgreSQL.',
  ];
  for (const [name, outcome] of Object.entries(scenarios)) {
    parts.push(`\n== ${name}`, printRows(outcome.rows));
    parts.push(...outcome.notes.map((note) => `   ${note}`));
    if (outcome.verdicts.length > 0) parts.push('', printVerdicts(outcome.verdicts));
  }
  parts.push('', wrong.length === 0 ? 'nothing was wrong' : `WRONG:\n  ${wrong.join('\n  ')}`);
  return parts.join('\n');
}

/** Rows as aligned columns, ours compared with every other side at the same number of clients. */
export function printRows(rows: readonly Row[]): string {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => [
    `${row.what}: ${row.side}`,
    row.size,
    String(row.clients),
    figure(median(row.rates)),
    row.rates.length > 1
      ? `${figure(Math.min(...row.rates))}–${figure(Math.max(...row.rates))}`
      : '',
    figure(latencyOf(row, 'p50')),
    figure(latencyOf(row, 'p99')),
    row.side.startsWith('ours') ? '' : against(rows, row),
    row.cpu ? busy(row.cpu) : '',
  ]);
  return align([COLUMNS, ...cells]);
}

/** Our rate divided by this row's, of the same question, size and number of clients. */
function against(rows: readonly Row[], other: Row): string {
  return rows
    .filter(
      ({ what, side, clients, size }) =>
        side.startsWith('ours') &&
        what === other.what &&
        clients === other.clients &&
        size === other.size,
    )
    .map((ours) => ratioSpread(ours.rates, other.rates))
    .join(' | ');
}

/** The median of the rounds' ratios, with their smallest and greatest. */
export function ratioSpread(ours: readonly number[], other: readonly number[]): string {
  const ratios = ours.slice(0, other.length).map((rate, i) => rate / (other[i] ?? Number.NaN));
  const middle = median(ours) / median(other);
  if (ratios.length < 2) return middle.toFixed(2);
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  return `${middle.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

const busy = ({ node, load, postgres }: Cpu) =>
  [node, load, postgres].map((share) => share?.toFixed(2) ?? '-').join(' / ');

function printVerdicts(verdicts: readonly Verdict[]): string {
  return align(
    verdicts.map(({ what, wanted, found, ok }) => [
      `   ${what}`,
      `wanted ${wanted}:`,
      found,
      ok ? 'ok' : wanted.startsWith('≥') ? 'BELOW' : 'ABOVE',
    ]),
  );
}

/** Three digits that say something: 12,345 and 123 and 1.23. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(value >= 10 ? 1 : 2);
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
