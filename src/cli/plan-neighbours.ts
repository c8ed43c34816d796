import type { LegacySurvey } from '../db/survey/survey.ts';
import { columns, listed, number } from './plan-words.ts';

const shown = (rows: string[][]) => columns(listed(rows, (more) => [more]));

export function tableLines({ tables }: LegacySurvey): string[] {
  return [
    ...columns(
      tables.map(({ name, rows, rows_estimated, old_name, becomes }) => [
        name,
        old_name === 'the view'
          ? 'a view'
          : rows === null
            ? `about ${number(rows_estimated)} rows`
            : `${number(rows)} rows`,
        becomes + (old_name === 'a view' ? '; the old name stays as a view' : ''),
      ]),
    ),
    ...tables.flatMap(({ name, columns_renamed, columns_added }) => {
      const renamed = Object.entries(columns_renamed).map(([from, to]) => `${from} → ${to}`);
      return [
        ...(renamed.length > 0
          ? [`${name}: ${renamed.join(', ')}; the view has the old ones`]
          : []),
        ...(columns_added.length > 0 ? [`${name} gets ${columns_added.join(', ')}`] : []),
      ];
    }),
    'A view cannot be truncated, altered, or filled by COPY; everything else goes on under the old name.',
  ];
}

/** Everything that leans on the legacy tables, a line each, with what becomes of it. */
export function dependantLines({ dependants }: LegacySurvey): string[] {
  const { views, foreign_keys, triggers, functions } = dependants;
  const { rules, policies, publications, subscriptions, event_triggers } = dependants;
  return [
    ...shown(views.map((v) => [v.kind, v.name, `goes on; reads ${v.reads.join(', ')}`])),
    ...shown(
      foreign_keys.map((key) => [
        'foreign key',
        `${key.table} ${key.name}`,
        key.broken ? 'would have to change ledger rows: refused' : `to ${key.references}; stays`,
      ]),
    ),
    ...shown(
      triggers.map((trigger) => [
        trigger.enabled ? 'trigger' : 'trigger (off)',
        `${trigger.table} ${trigger.name}`,
        trigger.becomes === 'replaced' ? 'replaced; `down` brings it back' : 'stays',
      ]),
    ),
    ...shown(functions.map((f) => ['function', f.name, f.names.join(', ')])),
    ...shown(rules.map((rule) => ['rule', `${rule.table} ${rule.name}`, 'stays'])),
    ...shown(policies.map((p) => ['policy', `${p.table} ${p.name}`, p.command])),
    ...shown(publications.map((p) => ['publication', p.name, p.tables.join(', ')])),
    ...shown(subscriptions.map((s) => ['subscription', s.name, s.tables.join(', ')])),
    ...shown(event_triggers.map((e) => ['event trigger', e.name, e.function])),
  ];
}

export function grantLines({ grants }: LegacySurvey): string[] {
  return shown(
    grants.map(({ role, table, columns: on, privileges }) => [
      role,
      table,
      privileges.join(', ') + (on ? ` of ${on.join(', ')}` : ''),
    ]),
  );
}

export function sequenceLines({ sequences }: LegacySurvey): string[] {
  return shown(
    sequences.map(({ name, next, largest_id, stale, becomes }) => [
      name,
      next === null ? 'may not be read' : `next ${next}`,
      largest_id === null ? '' : `largest ${largest_id}`,
      stale ? `behind; ${becomes}` : '',
    ]),
  );
}
