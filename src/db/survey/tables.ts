import type { Counts } from './balances.ts';
import type { Legacy, Relation } from './legacy.ts';
import type { Members, Offers } from './offers.ts';

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
          : 'stays, as the ledger; public.fact_accumulations is a view of it',
      columns_added: LEDGER_COLUMNS.filter((column) => !ledger.columns.includes(column)),
    }),
  ];
  if (balances) {
    const { balances: counted } = found;
    const rows = counted === null ? undefined : counted.stored + counted.null_member;
    fates.push(fate(balances, { rows, becomes: 'stays, as the balances' }));
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
