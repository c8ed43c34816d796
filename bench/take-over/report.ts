/** From timed statements and printed lines to figures one can read. */

import type { Check } from './checks.ts';
import type { Size } from './fill.ts';
import type { Kind, Timed } from './traffic.ts';
import type { Step } from './watch.ts';

interface Phase {
  name: string;
  from: number;
  to: number;
}

interface Figures {
  statements: number;
  p50_ms: number;
  p99_ms: number;
  max_ms: number;
}

interface Stall {
  ms: number;
  statement: string;
  phase: string;
  /** seconds after the command began */
  at_s: number;
}

export interface StepReport {
  step: string;
  seconds: number;
  exit: number | null;
  phases: ({ phase: string; seconds: number; errors: number } & Record<Kind, Figures>)[];
  longest_stall: Record<Kind, Stall | null>;
  /** the longest time in which no statement of that kind succeeded */
  longest_silence_ms: Record<Kind, number>;
  errors: Record<string, number>;
  disk_growth_peak: number;
  disk_growth_after: number;
  wal_folder_peak: number;
  wal_written: number;
  memory_command_peak: number;
  memory_backend_peak: number;
}

export interface Report {
  size: Size;
  server: string;
  rates: { reads: number; writes: number };
  steps: StepReport[];
  checks: (Check & { after: string })[];
}

const KINDS = ['read', 'write'] as const;
const NAME_WIDTH = 46;
const TOGETHER_MS = 50;

/** `from` and `to`: when traffic ran, which is from before the command to after it. */
export function reportStep(step: Step, from: number, to: number, timed: Timed[]): StepReport {
  const phases = phasesOf(step, from, to);
  const during = timed.filter(({ at, ms }) => at + ms > from && at < to);
  const inPhase = during.map((entry) => ({ ...entry, phase: phaseOf(entry, phases) }));
  const errors: Record<string, number> = {};
  for (const { kind, name, error } of during) {
    if (error !== undefined) {
      const key = `${kind} ${name} ${error}`;
      errors[key] = (errors[key] ?? 0) + 1;
    }
  }
  const both = <T>(make: (kind: Kind) => T): Record<Kind, T> => ({
    read: make('read'),
    write: make('write'),
  });
  return {
    step: step.name,
    seconds: (step.to - step.from) / 1000,
    exit: step.exit,
    phases: phases.map((phase) => {
      const those = inPhase.filter((entry) => entry.phase === phase);
      return {
        phase: phase.name,
        seconds: (phase.to - phase.from) / 1000,
        errors: those.filter((entry) => entry.error !== undefined).length,
        ...both((kind) => figures(those.filter((entry) => entry.kind === kind))),
      };
    }),
    longest_stall: both((kind) => {
      const ofKind = inPhase.filter(
        (entry) => entry.kind === kind && entry.at + entry.ms > step.from,
      );
      const worst = ofKind.toSorted((a, b) => b.ms - a.ms)[0];
      return worst === undefined
        ? null
        : {
            ms: worst.ms,
            statement: worst.name,
            phase: worst.phase.name,
            at_s: (worst.at - step.from) / 1000,
          };
    }),
    longest_silence_ms: both((kind) => silence(during, kind, step)),
    errors,
    disk_growth_peak: step.peak.disk - step.disk_before,
    disk_growth_after: step.disk_after - step.disk_before,
    wal_folder_peak: step.peak.wal,
    wal_written: step.wal_written,
    memory_command_peak: step.peak.client,
    memory_backend_peak: step.peak.backend,
  };
}

/**
 * A phase lasts from one printed line to the next; lines that differ in numbers are one, and of
 * lines printed together the last says what goes on.
 */
function phasesOf(step: Step, from: number, to: number): Phase[] {
  const phases = [{ name: '(start)', from: step.from, to: step.to }];
  let last = '';
  for (const { at, text } of step.lines) {
    const name = text.replace(/^(psql:[^ ]* )?NOTICE: +/, '').trim();
    const kind = name.replace(/\d[\d.,]*/g, '#');
    if (kind === last || name === '') continue;
    last = kind;
    const open = phases.at(-1);
    if (open && at - open.from < TOGETHER_MS && phases.length > 1) open.name = name;
    else {
      if (open) open.to = at;
      phases.push({ name, from: at, to: step.to });
    }
  }
  const alone = '(traffic alone)';
  return [{ name: alone, from, to: step.from }, ...phases, { name: alone, from: step.to, to }];
}

/** The phase that had most of it. */
function phaseOf({ at, ms }: Timed, phases: Phase[]): Phase {
  const share = (phase: Phase) => Math.min(at + ms, phase.to) - Math.max(at, phase.from);
  return phases.reduce((best, phase) => (share(phase) > share(best) ? phase : best));
}

function figures(timed: Timed[]): Figures {
  const sorted = timed.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
  return { statements: sorted.length, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1) };
}

function silence(timed: Timed[], kind: Kind, { from, to }: Step): number {
  const ends = timed
    .filter((entry) => entry.kind === kind && entry.error === undefined)
    .map(({ at, ms }) => at + ms)
    .sort((a, b) => a - b);
  return ends.reduce((longest, end, i) => {
    const before = ends[i - 1];
    const counts = before !== undefined && end > from && before < to;
    return counts ? Math.max(longest, end - before) : longest;
  }, 0);
}

const mb = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;
const ms = (value: number) => (value < 10 ? value.toFixed(1) : value.toFixed(0));

/** The report as text. */
export function print({ size, server, rates, steps, checks }: Report): string {
  const index = size.userIndex ? 'index on user_id' : 'no index on user_id';
  const out = [
    `PostgreSQL ${server}, layout ${size.layout}: ${size.rows} ledger rows (${index}), ` +
      `${size.purchases} purchases, ${size.members} members; ` +
      `${rates.reads} reads and ${rates.writes} writes a second`,
  ];
  for (const step of steps) out.push('', ...printStep(step));
  out.push('');
  for (const { after, name, ok, found } of checks) {
    out.push(`${ok ? 'ok   ' : 'WRONG'} after ${after}: ${name}${found && `  (${found})`}`);
  }
  return out.join('\n');
}

function printStep(step: StepReport): string[] {
  const head = ['', 'seconds', 'reads', 'p50', 'p99', 'max', 'writes', 'p50', 'p99', 'max', 'err'];
  const rows = step.phases.map((phase) => [
    phase.phase,
    phase.seconds.toFixed(1),
    ...KINDS.flatMap((kind) => {
      const { statements, p50_ms, p99_ms, max_ms } = phase[kind];
      return [String(statements), ms(p50_ms), ms(p99_ms), ms(max_ms)];
    }),
    String(phase.errors),
  ]);
  const stall = (kind: Kind, who: string) => {
    const found = step.longest_stall[kind];
    if (found === null) return `  longest stall of a ${who}: nothing ran`;
    return (
      `  longest stall of a ${who}: ${ms(found.ms)} ms (${found.statement}, sent at ` +
      `${found.at_s.toFixed(1)} s); none succeeded for ${ms(step.longest_silence_ms[kind])} ms`
    );
  };
  const failed = Object.entries(step.errors).map(([what, count]) => `${what}: ${count}`);
  return [
    `${step.step}: ${step.seconds.toFixed(1)} s, exit code ${step.exit}`,
    ...[head, ...rows].map(line),
    stall('read', 'reader'),
    stall('write', 'writer'),
    ...(failed.length > 0 ? [`  errors: ${failed.join(', ')}`] : []),
    `  disk: +${mb(step.disk_growth_peak)} at its peak, +${mb(step.disk_growth_after)} in the end; ` +
      `log: ${mb(step.wal_written)} written, folder at most ${mb(step.wal_folder_peak)}`,
    `  memory: command ${mb(step.memory_command_peak)}, its backends ` +
      `${mb(step.memory_backend_peak)} besides shared buffers`,
  ];
}

const line = ([name = '', ...cells]: string[]): string =>
  `  ${name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH)}${cells.map((c) => c.padStart(8)).join('')}`;
