import type pg from 'pg';
import type { Counts, Members, Offers } from './counts.ts';
import { changed, type Legacy, type Relation } from './legacy.ts';

/** What becomes of a table or view. */
export interface TableFate {
  name: string;
  /** null when this role may not count them, and for views */
  rows: number | null;
  rows_estimated: number;
  bytes: number;
  becomes: string;
  /** what the old name is afterwards */
  old_name: 'the table' | 'a view' | 'the view';
  columns_renamed: Record<string, string>;
  columns_added: string[];
}

const OFFER_COLUMNS = [
  'offer_id',
  'description',
  'stock_quantity',
  'stock_held',
  'merchant_id',
  'is_active',
  'offer_category',
  'max_redemptions_per_user',
  'code_ttl_minutes',
  'on_expiry',
  'image_url',
  'terms',
  'created_at',
  'updated_at',
];
const LEDGER_COLUMNS = ['redemption_id', 'kind'];

/** One line for each relation that `up` touches. */
export function tableFates(
  legacy: Legacy,
  found: Counts & { offers: Offers | null; members: Members | null },
): TableFate[] {
  const { schema, offers, purchases, ledger, balances, history, users } = legacy;
  const fates = [
    fate(offers, {
      rows: found.offers?.rows,
      becomes: 'rewards.redemption_offers',
      old_name: 'a view',
      columns_renamed: { id: 'legacy_id', points: 'lumis_cost' },
      columns_added: OFFER_COLUMNS.filter((column) => !offers.columns.includes(column)),
    }),
    fate(purchases, {
      rows: found.purchases?.rows,
      becomes: `${schema}.fact_redemptions_legacy`,
      old_name: 'a view',
    }),
    fate(ledger, {
      rows: found.ledger?.rows,
      becomes:
        schema === 'public'
          ? 'stays, as the ledger'
          : 'stays, as the ledger; public.fact_accumulations is a view of it, with its grants',
      columns_added: LEDGER_COLUMNS.filter((column) => !ledger.columns.includes(column)),
    }),
  ];
  if (balances) {
    const { balances: counted } = found;
    const rows = counted === null ? undefined : counted.stored + counted.null_member;
    fates.push(fate(balances, { rows, becomes: 'stays, as the balances; cannot be truncated' }));
  }
  if (history) {
    const becomes = 'replaced: shows new redemptions too';
    fates.push(fate(history, { becomes, old_name: 'the view' }));
  }
  if (users) {
    fates.push(
      fate(users, { rows: found.members?.rows, becomes: 'stays; copied to lumis.members' }),
    );
  }
  return fates;
}

function fate(
  { name, rows_estimated, bytes }: Relation,
  {
    rows = undefined as number | undefined,
    becomes = '',
    old_name = 'the table' as TableFate['old_name'],
    columns_renamed = {} as Record<string, string>,
    columns_added = [] as string[],
  },
): TableFate {
  return {
    name,
    rows: rows ?? null,
    rows_estimated,
    bytes,
    becomes,
    old_name,
    columns_renamed,
    columns_added,
  };
}

/** A sequence that numbers the rows of a legacy table. */
export interface Sequence {
  name: string;
  table: string;
  column: string;
  /** what it gives next; null when this role may not read it */
  next: number | null;
  /** null when it was not counted */
  largest_id: number | null;
  /** what it gives next is taken already, or lower than what is */
  stale: boolean | null;
  /** `up` moves those behind on, where it writes rows of its own */
  becomes: 'left as it is' | 'moved on';
}

const FIND = `SELECT DISTINCT format('%I.%I', n.nspname, s.relname) AS name,
    used.relation, a.attname::text AS column, q.seqincrement::float8 AS step,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(s.oid, 'SELECT') AS readable
  FROM (
    SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid, def.adrelid, def.adnum FROM pg_depend d
    JOIN pg_attrdef def ON def.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
  ) used
  JOIN pg_class s ON s.oid = used.sequence AND s.relkind = 'S'
  JOIN pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_sequence q ON q.seqrelid = s.oid
  JOIN pg_attribute a ON a.attrelid = used.relation AND a.attnum = used.attnum
  WHERE used.relation = ANY ($1::oid[]) ORDER BY 1`;

/** The sequences of the legacy tables, by ownership or default, and which are behind. */
export async function findSequences(
  client: pg.Client,
  legacy: Legacy,
  { counts, offers }: { counts: Counts; offers: Offers | null },
): Promise<Sequence[]> {
  const tables = changed(legacy);
  const largest = new Map([
    [legacy.offers.oid, offers?.largest_id],
    [legacy.purchases.oid, counts.purchases?.largest_id],
    [legacy.ledger.oid, counts.ledger?.largest_id],
  ]);
  const { rows } = await client.query(FIND, [tables.map((table) => table.oid)]);
  const sequences: Sequence[] = [];
  for (const { name, relation, column, step, readable } of rows) {
    // read as a table: pg_sequence_last_value() would lock it as a writer does
    const next = readable ? await nextOf(client, name, step) : null;
    const largest_id = (column === 'id' ? largest.get(relation) : null) ?? null;
    const known = next !== null && largest_id !== null && step > 0;
    const stale = known ? next <= largest_id : null;
    const moved = stale && relation !== legacy.purchases.oid;
    sequences.push({
      name,
      table: tables.find((table) => table.oid === relation)?.name ?? '',
      column,
      next,
      largest_id,
      stale,
      becomes: moved ? 'moved on' : 'left as it is',
    });
  }
  return sequences;
}

async function nextOf(client: pg.Client, sequence: string, step: number): Promise<number> {
  const { rows } = await client.query(
    `SELECT last_value::float8 AS last, is_called FROM ${sequence}`,
  );
  return rows[0].is_called ? rows[0].last + step : rows[0].last;
}
