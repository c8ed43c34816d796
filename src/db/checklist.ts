import type { Database } from './pool.ts';
import { prepared } from './statement.ts';

/** One line of the checklist after a migration. */
export interface Check {
  name: string;
  ok: boolean;
  /** what was found when it is not right */
  found: string;
}

const TABLES = ['merchants', 'redemption_audit_log', 'redemption_offers', 'user_redemptions'];
const FUNCTIONS = ['audit_redemption_change', 'expire_old_redemptions', 'update_merchant_stats'];
const TRIGGERS = ['trg_audit_redemption_changes', 'trg_update_merchant_stats'];
const INDEXES = [
  'idx_offers_active_valid',
  'idx_offers_category',
  'idx_offers_cost',
  'idx_offers_merchant',
  'idx_redemptions_user',
  'idx_redemptions_code',
  'idx_redemptions_status',
  'idx_redemptions_offer',
  'idx_redemptions_merchant',
  'idx_redemptions_created',
  'idx_merchants_active',
  'idx_merchants_name',
  'idx_audit_redemption',
  'idx_audit_action',
  'idx_audit_created',
];
const COLUMNS = {
  redemption_offers:
    'offer_id name_friendly description lumis_cost stock_quantity merchant_id is_active valid_from valid_to offer_category',
  user_redemptions:
    'redemption_id user_id offer_id lumis_spent redemption_code qr_image_url qr_landing_url redemption_status validated_by_merchant_id validated_at code_expires_at created_at',
  merchants:
    'merchant_id merchant_name merchant_type contact_email contact_phone api_key_hash webhook_url is_active total_redemptions total_lumis_redeemed',
  redemption_audit_log:
    'log_id redemption_id action actor_type actor_id ip_address user_agent metadata created_at',
};

// What is asked of the catalogue: each row names what is missing, none means all is there.
const MISSING = `SELECT string_agg(want.name, ', ') AS found FROM unnest($1::text[]) AS want(name)
  WHERE NOT EXISTS`;
const ASKED: [string, string, string[]][] = [
  [
    'tables of schema rewards',
    `${MISSING} (SELECT FROM pg_tables t WHERE t.schemaname = 'rewards' AND t.tablename = want.name)`,
    TABLES,
  ],
  [
    'indexes of schema rewards, valid and by name',
    `${MISSING} (SELECT FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
      WHERE c.relname = want.name AND c.relnamespace = to_regnamespace('rewards') AND i.indisvalid)`,
    INDEXES,
  ],
  [
    'functions of schema rewards, without arguments',
    `${MISSING} (SELECT FROM pg_proc p WHERE p.proname = want.name
      AND p.pronamespace = to_regnamespace('rewards') AND p.pronargs = 0)`,
    FUNCTIONS,
  ],
  [
    'triggers of schema rewards, enabled',
    `${MISSING} (SELECT FROM pg_trigger t WHERE t.tgname = want.name AND t.tgenabled IN ('O', 'A')
      AND t.tgrelid = to_regclass('rewards.user_redemptions'))`,
    TRIGGERS,
  ],
  [
    'triggers of the ledger, enabled',
    `${MISSING} (SELECT FROM pg_trigger t WHERE t.tgname = want.name AND t.tgenabled IN ('O', 'A')
      AND t.tgrelid IN (to_regclass('public.fact_accumulations'),
        to_regclass('rewards.fact_accumulations')))`,
    ['trg_ledger_balances', 'trg_ledger_immutable', 'trg_ledger_never_truncated'],
  ],
  [
    'columns of every table',
    `${MISSING} (SELECT FROM information_schema.columns c WHERE c.table_schema = 'rewards'
      AND c.table_name || '.' || c.column_name = want.name)`,
    Object.entries(COLUMNS).flatMap(([table, columns]) =>
      columns.split(' ').map((column) => `${table}.${column}`),
    ),
  ],
  [
    'redemption_id on the ledger',
    `${MISSING} (SELECT FROM pg_attribute a WHERE a.attname = want.name AND NOT a.attisdropped
      AND a.attrelid = to_regclass('public.fact_accumulations'))`,
    ['redemption_id', 'kind'],
  ],
  [
    'rights of this role to read and write every table',
    `${MISSING} (SELECT WHERE has_table_privilege('rewards.' || want.name, 'SELECT')
      AND has_table_privilege('rewards.' || want.name, 'INSERT'))`,
    TABLES,
  ],
];

const COUNT = TABLES.map((table) => `(SELECT count(*) FROM rewards.${table}) AS ${table}`);

/** The checklist after a migration, as assertions on the catalogue and a first query per table. */
export async function checkMigration(db: Database): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [name, text, wanted] of ASKED) {
    const [row] = await db.query({ name: '', text, values: [wanted] });
    checks.push({ name, ok: row.found === null, found: row.found ? `missing: ${row.found}` : '' });
  }
  const [counts] = await db.query(prepared('checklist.count', `SELECT ${COUNT.join(', ')}`)());
  checks.push({ name: 'every table can be read', ok: true, found: JSON.stringify(counts) });
  return checks;
}
