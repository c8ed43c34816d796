import type { Counts, Offers } from './counts.ts';
import type { Dependants, Grant } from './dependants.ts';
import type { Legacy } from './legacy.ts';
import type { Sequence } from './tables.ts';
import type { Work } from './work.ts';

/** What to know before; `items` are those it is about. */
export interface Warning {
  code: string;
  text: string;
  items: string[];
}

interface Found extends Counts {
  offers: Offers | null;
  dependants: Dependants;
  grants: Grant[];
  sequences: Sequence[];
  work: Work;
}

/** What changes for neighbours, most dangerous first; only what was found here. */
export function findWarnings(legacy: Legacy, found: Found): Warning[] {
  return [
    ...onTheLedger(legacy, found),
    ...onPoints(legacy, found),
    ...onProgrammes(found),
    ...onReaders(legacy, found),
    ...onTheMoment(legacy, found),
  ].filter((warning) => warning.items.length > 0);
}

function onTheLedger({ ledger }: Legacy, { dependants, grants }: Found): Warning[] {
  const writers = grants.filter((grant) => grant.table === ledger.name);
  return [
    {
      code: 'ledger_frozen',
      text: `Rows of ${ledger.name} can no longer be changed or deleted. These roles may do so today:`,
      items: [
        `${ledger.owner} (owner)`,
        ...writers.flatMap(({ role, privileges, columns }) => {
          const lost = privileges.filter((p) => ['UPDATE', 'DELETE', 'TRUNCATE'].includes(p));
          return lost.length === 0 ? [] : `${role} (${lost.join(', ')}${of(columns)})`;
        }),
      ],
    },
    {
      code: 'foreign_key_broken',
      text:
        'These foreign keys would have to change ledger rows: what ledger rows refer to can no longer ' +
        'be deleted, or get another key:',
      items: dependants.foreign_keys
        .filter((key) => key.broken)
        .map((key) => `${key.table} ${key.name}: ${key.definition}`),
    },
    {
      code: 'function_changes_ledger',
      text: 'These functions change or delete ledger rows, or truncate the balances, which will be refused:',
      items: dependants.functions.filter((f) => f.changes_ledger).map((f) => f.name),
    },
  ];
}

function onPoints({ balances, purchases }: Legacy, { offers }: Found): Warning[] {
  return [
    {
      code: 'legacy_purchase',
      text: balances
        ? `A row in ${purchases.name} moves no points by itself.`
        : `A row in ${purchases.name} takes its points from the member at once.`,
      items: [
        balances
          ? `A purchase of the old system pays by its UPDATE of ${balances.name}, as ever; one that ` +
            'only writes the row pays nothing.'
          : 'No balance is stored here that a purchase could change, so its row is booked in the ledger.',
      ],
    },
    {
      code: 'offers_without_merchant',
      text: 'No offer has a merchant yet: any merchant may confirm its redemptions, until it is given one.',
      items: offers === null || offers.rows === 0 ? [] : [`offers: ${offers.without_merchant}`],
    },
  ];
}

const of = (columns: string[] | null) => (columns ? ` of ${columns.join(', ')}` : '');

function onProgrammes({ dependants }: Found): Warning[] {
  const { functions, triggers } = dependants;
  const shown = (trigger: { name: string; table: string }) => `${trigger.name} on ${trigger.table}`;
  return [
    {
      code: 'function_needs_table',
      text: 'These functions truncate, alter, drop or copy what becomes a view:',
      items: functions.filter((f) => f.needs_table).map((f) => f.name),
    },
    {
      code: 'trigger_columns_as_text',
      text:
        'These triggers pass whole rows on, or name columns as text; the table has other columns ' +
        'afterwards:',
      items: triggers.filter((trigger) => trigger.columns_as_text).map(shown),
    },
    {
      code: 'trigger_fires_for_opening',
      text: 'These triggers stay, and run for every row that `up` and the new system write to the ledger:',
      items: triggers.filter((trigger) => trigger.fires_for_opening).map(shown),
    },
    {
      code: 'function_gets_path',
      text:
        'These functions of triggers get a search_path of all schemas, that of the old system first, ' +
        'since what we write runs them too:',
      items: [...new Set(triggers.filter((trigger) => trigger.gets_path).map((t) => t.function))],
    },
    {
      code: 'event_trigger',
      text: 'These event triggers run with every CREATE and ALTER of `up`:',
      items: dependants.event_triggers.map((trigger) => `${trigger.name}: ${trigger.function}`),
    },
  ];
}

function onReaders({ ledger, purchases }: Legacy, { dependants }: Found): Warning[] {
  const readers = (table: string) =>
    dependants.views.filter((view) => view.reads.includes(table)).map((view) => view.name);
  const listed = (copy: { name: string; tables: string[] }) =>
    `${copy.name}: ${copy.tables.join(', ')}`;
  return [
    {
      code: 'publication',
      text:
        'These publications send tables that get new names or columns; their subscribers stop ' +
        'until they have them too:',
      items: dependants.publications.map(listed),
    },
    {
      code: 'subscription',
      text: 'These subscriptions write into tables that get new names:',
      items: dependants.subscriptions.map(listed),
    },
    {
      code: 'view_sees_more',
      text: `These views read ${ledger.name}, and will see rows for openings, spends and refunds too:`,
      items: readers(ledger.name),
    },
    {
      code: 'view_sees_old_purchases',
      text: `These views read ${purchases.name}, and will not see new redemptions:`,
      items: readers(purchases.name),
    },
  ];
}

const HISTORY = 'source_type user_id name_friendly description_friendly quantity date img';

function onTheMoment({ history }: Legacy, { sequences, work }: Found): Warning[] {
  const has_other_columns = history !== null && history.columns.join(' ') !== HISTORY;
  return [
    {
      code: 'history_columns',
      text:
        `This view has other columns than known (${HISTORY.replaceAll(' ', ', ')}), so it will not ` +
        'show new redemptions:',
      items: has_other_columns ? [history.name] : [],
    },
    {
      code: 'sequence_stale',
      text: 'These sequences are behind: an INSERT that takes its number from them fails, today as well:',
      items: sequences
        .filter((sequence) => sequence.stale)
        .map((s) => `${s.name} gives ${s.next}; ${s.table} has ${s.largest_id} already`),
    },
    {
      code: 'in_the_way',
      text: '`up` waits for transactions that are open long. Now open:',
      items: (work.in_the_way ?? []).map(({ pid, role, application, seconds, holds }) =>
        [pid === null ? '' : `pid ${pid}`, role, application, `for ${seconds} s`, holds.join(', ')]
          .filter((part) => part !== '')
          .join(', '),
      ),
    },
    {
      code: 'archive',
      text: 'An earlier `down` put data aside in schema lumis_archive:',
      items: work.archive
        ? ['`up` brings it back; the opening rows counted here do not know of it']
        : [],
    },
  ];
}
