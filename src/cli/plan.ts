import type { Plan } from '../db/migrate.ts';
import type { LegacySurvey } from '../db/survey/survey.ts';
import { dependantLines, grantLines, sequenceLines, tableLines } from './plan-neighbours.ts';
import {
  amount,
  bytes,
  columns,
  duration,
  listed,
  number,
  printable,
  shortened,
  wrapped,
} from './plan-words.ts';

/** Whether `up` would go through, as far as can be seen beforehand. */
export function isClear(plan: Plan): boolean {
  return plan.refusals.length === 0 && plan.missing_rights.length === 0;
}

/** The plan as an operator reads it: what stops, what is dangerous, what it costs, what is there. */
export function planText(plan: Plan): string {
  const { legacy, pending } = plan;
  const lines = [
    ...wrapped(`Found: ${plan.summary}`),
    isClear(plan)
      ? 'Nothing has been changed. Nothing was found that would stop `up`.'
      : 'Nothing has been changed. `up` would stop.',
    ...section('What stops `up`', stopLines(plan)),
    ...(legacy ? legacySections(legacy) : []),
    '',
    pending.length > 0 ? `would apply: ${pending.join(', ')}` : 'nothing to apply',
  ];
  return lines.map(printable).join('\n');
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.flatMap((line) => wrapped(`  ${line}`))];
}

function stopLines({ refusals, missing_rights }: Plan): string[] {
  const [first] = missing_rights;
  return [
    ...refusals.flatMap(({ what, way_out }) => [what, `  ${way_out}`]),
    ...(first ? [`role ${first.role} lacks rights. For their owners, or a superuser:`] : []),
    ...columns(missing_rights.map(({ what, statement }) => [`  ${statement}`, `to ${what}`])),
  ];
}

function legacySections(legacy: LegacySurvey): string[] {
  return [
    ...section('Know this first', warningLines(legacy)),
    ...section('Standstill', standstillLines(legacy)),
    ...section('Balances', balanceLines(legacy)),
    ...section('Offers', offerLines(legacy)),
    ...section('Purchases', purchaseLines(legacy)),
    ...section('Members', memberLines(legacy)),
    ...section('Tables', tableLines(legacy)),
    ...section('Built on them', dependantLines(legacy)),
    ...section('Grants (they hold for the table and for its old name)', grantLines(legacy)),
    ...section('Sequences', sequenceLines(legacy)),
  ];
}

function warningLines({ warnings }: LegacySurvey): string[] {
  return warnings.flatMap(({ text, items }, i) => [
    `${i + 1}. ${text}`,
    ...listed(items).map((item) => `     ${item}`),
  ]);
}

function standstillLines({ work }: LegacySurvey): string[] {
  return [
    `Readers and writers of the old system wait about ${duration(work.stall_seconds)}, once.`,
    ...columns(
      work.phases.map(({ phase, means, seconds, tables, lock }) => [
        phase,
        seconds === null ? 'not counted' : duration(seconds),
        means,
        lock,
        tables.length > 1 ? `${tables.length} tables` : tables.join(', '),
      ]),
    ),
    '`up` asks for each lock for a moment only, lets the others pass, and tries again.',
    `Estimated with: ${work.basis}.`,
    `Disk: about ${bytes(work.disk_bytes)} (${work.disk_basis}).`,
    ...(work.indexes.length > 0 ? ['Indexes, built beside the running system:'] : []),
    ...columns(
      work.indexes.map(({ name, table, columns: on, unique }) => [
        `  ${name}`,
        `${table} (${on.join(', ')})`,
        unique ? 'unique' : '',
      ]),
    ),
    ...(work.in_the_way === null
      ? ['Open transactions of others cannot be seen; role pg_read_all_stats would show them.']
      : []),
  ];
}

function balanceLines({ balances, ledger }: LegacySurvey): string[] {
  if (balances === null || ledger === null) return [NOT_COUNTED];
  const { opening } = balances;
  const { by_purchases: bought, by_drift: drift, largest } = opening;
  return [
    ...columns([
      [
        'stored, and stay as they are',
        number(balances.stored - balances.null_balance),
        amount(balances.stored_points),
      ],
      [
        'not stored yet: ledger less purchases',
        number(balances.without_stored + balances.null_balance),
      ],
      ['ledger rows written, so that it sums to the balance', ...members(opening)],
      ['  for purchases, which the ledger never had', ...members(bought)],
      ['  for balances that had drifted', ...members(drift)],
      [
        'differ from ledger less purchases; members keep what they saw',
        number(balances.drifted),
        amount(balances.drifted_points),
      ],
    ]),
    ...(largest.length > 0 ? ['The largest of these rows:'] : []),
    ...columns([
      ...(largest.length > 0 ? [['  member', 'row', 'balance', 'ledger', 'purchases']] : []),
      ...largest.map((row) => [
        `  ${row.user_id}`,
        amount(row.points),
        amount(row.balance),
        amount(row.ledger),
        amount(row.purchases),
      ]),
    ]),
    ...summed('Balances', [
      [balances.negative, 'negative'],
      [balances.fractional, 'with a fraction'],
      [balances.null_balance, 'stored as NULL'],
      [balances.null_member, 'of nobody'],
    ]),
    ...summed('Ledger rows that no balance counts', [
      [ledger.without_member, 'of nobody'],
      [ledger.other_dtype, 'of another dtype than points'],
      [ledger.without_dtype, 'without dtype'],
      [ledger.without_quantity, 'without quantity'],
    ]),
  ];
}

const members = (some: { members: number; points: string }) => [
  number(some.members),
  amount(some.points),
];

function summed(title: string, parts: [number, string][]): string[] {
  const some = parts.filter(([n]) => n > 0).map(([n, what]) => `${number(n)} ${what}`);
  return some.length > 0 ? [`${title}: ${some.join(', ')}.`] : [];
}

function offerLines({ offers }: LegacySurvey): string[] {
  if (offers === null) return [NOT_COUNTED];
  const inactive = offers.inactive.map(({ id, name, points, reason }) => [
    `  ${id}`,
    shortened(name ?? '-'),
    points === null ? '-' : String(points),
    reason,
  ]);
  return [
    ...columns([
      ['arrive active', number(offers.active)],
      ['arrive inactive', number(inactive.length)],
    ]),
    ...columns(listed(inactive, (more) => [`  ${more}`])),
  ];
}

function purchaseLines({ purchases }: LegacySurvey): string[] {
  if (purchases === null) return [NOT_COUNTED];
  const kinds = purchases.entitlement_kinds.map(
    ({ redem_id, rows }) => `${redem_id ?? '-'} (${rows})`,
  );
  return [
    ...columns([
      [
        'purchases: stay as history, none is charged again',
        number(purchases.purchases),
        amount(purchases.purchased_points),
      ],
      ['  of offers that are not in the catalogue', number(purchases.of_unknown_offers)],
      [
        'subscriptions and other rows: stay, valid as ever',
        number(purchases.entitlements),
        amount(purchases.entitlement_points),
      ],
      ['  not expired today', number(purchases.entitlements_valid)],
    ]),
    ...(kinds.length > 0 ? [`  ${kinds.join(', ')}`] : []),
  ];
}

function memberLines({ members: users }: LegacySurvey): string[] {
  return users === null
    ? []
    : columns([
        ['come from public.dim_users', number(users.importable)],
        ['  left out: not a number of a member', number(users.rows - users.importable)],
      ]);
}

const NOT_COUNTED = 'not counted: this role may not read it';
