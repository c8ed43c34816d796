import type pg from 'pg';
import type { Counts, Members, Offers } from './counts.ts';
import { changed, type Legacy } from './legacy.ts';

/** What `up` costs: locks, time, disk. Estimates, with what they rest on. */
export interface Work {
  phases: Phase[];
  /** how long readers and writers of the old system may stand still */
  stall_seconds: number;
  basis: string;
  indexes: PlannedIndex[];
  disk_bytes: number;
  disk_basis: string;
  /** whoever has a transaction open that `up` waits for; null when this role may not see them */
  in_the_way: OpenTransaction[] | null;
  /** an earlier `up` has prepared the ledger; the next goes on from there */
  interrupted: boolean;
  /** `down` put data aside in schema lumis_archive; `up` brings it back */
  archive: boolean;
}

interface Phase {
  phase: 'prepare' | 'indexes' | 'switch' | 'openings';
  tables: string[];
  lock: string;
  /** what readers and writers of the old system notice */
  means: string;
  /** null when it was not counted */
  seconds: number | null;
}

interface PlannedIndex {
  name: string;
  table: string;
  columns: string[];
  unique: boolean;
  bytes: number;
}

interface OpenTransaction {
  /** null for a prepared transaction */
  pid: number | null;
  role: string;
  application: string;
  seconds: number;
  /** legacy tables it has locked */
  holds: string[];
}

const OPENING_ROWS_PER_SECOND = 200_000;
const INDEXED_ROWS_PER_SECOND = 500_000;
const REWRITTEN_OFFERS_PER_SECOND = 50_000;
const SUMMED_ROWS_PER_SECOND = 1_000_000;
const STORED_BALANCES_PER_SECOND = 20_000;
const SWITCH_SECONDS = 1;
const INDEX_ENTRY_BYTES = 28;
const ROW_BYTES = 200;
const BASIS =
  'indexes 500,000 rows a second; switch 1 s and 50,000 offers a second, and for balances that are ' +
  'not stored yet 20,000 of them and 1,000,000 rows a second; opening rows 200,000 a second';
const DISK_BASIS =
  'index entry 28 bytes, twice while it is sorted; opening row and member 200 bytes; offers twice; ' +
  'the same again for WAL';

/** Locks, stall, disk and who is in the way, from what was counted. */
export async function estimateWork(
  client: pg.Client,
  legacy: Legacy,
  { counts, offers, members }: { counts: Counts; offers: Offers | null; members: Members | null },
): Promise<Work> {
  const { ledger, purchases } = legacy;
  const rows = {
    [ledger.name]: counts.ledger?.rows ?? ledger.rows_estimated,
    [purchases.name]: counts.purchases?.rows ?? purchases.rows_estimated,
  };
  const state = (await client.query(STATE, [ledger.oid, purchases.oid])).rows[0];
  const indexes = INDEXES.filter(({ found }) => !state[found]).map(
    ({ name, on, columns, unique }): PlannedIndex => {
      const { name: table } = legacy[on];
      const bytes = unique ? 0 : (rows[table] ?? 0) * INDEX_ENTRY_BYTES;
      return { name, table, columns: [...columns], unique, bytes };
    },
  );
  const indexed = indexes.reduce((sum, index) => sum + (rows[index.table] ?? 0), 0);
  const opening = counts.balances?.opening.members ?? null;
  const stall_seconds =
    SWITCH_SECONDS +
    (offers?.rows ?? legacy.offers.rows_estimated) / REWRITTEN_OFFERS_PER_SECOND +
    storingSeconds(legacy, counts, rows);
  const seconds = {
    indexes: indexed / INDEXED_ROWS_PER_SECOND,
    switch: stall_seconds,
    openings: opening === null ? null : opening / OPENING_ROWS_PER_SECOND,
  };
  const disk_bytes =
    indexes.reduce((sum, index) => sum + 2 * index.bytes, 0) +
    ((opening ?? 0) + (members?.importable ?? 0)) * ROW_BYTES +
    2 * legacy.offers.bytes;
  return {
    phases: phasesOf(legacy, indexes, seconds).filter(
      ({ phase, tables }) => tables.length > 0 && !(phase === 'prepare' && state.interrupted),
    ),
    stall_seconds,
    basis: BASIS,
    indexes,
    disk_bytes: 2 * disk_bytes,
    disk_basis: DISK_BASIS,
    in_the_way: await findOpenTransactions(client, legacy),
    interrupted: state.interrupted,
    archive: state.archive,
  };
}

/** Balances that were never stored are summed and stored while everybody waits. */
function storingSeconds(legacy: Legacy, counts: Counts, rows: Record<string, number>): number {
  const bought = rows[legacy.purchases.name] ?? 0;
  if (legacy.balances === null) {
    return ((rows[legacy.ledger.name] ?? 0) + bought) / SUMMED_ROWS_PER_SECOND;
  }
  const { without_stored = 0, null_balance = 0 } = counts.balances ?? {};
  const missing = without_stored + null_balance;
  return missing === 0 ? 0 : missing / STORED_BALANCES_PER_SECOND + bought / SUMMED_ROWS_PER_SECOND;
}

function phasesOf(
  legacy: Legacy,
  indexes: PlannedIndex[],
  seconds: Record<'indexes' | 'switch' | 'openings', number | null>,
): Phase[] {
  const { ledger } = legacy;
  const exclusive = { lock: 'ACCESS EXCLUSIVE', means: 'nobody reads or writes' };
  return [
    { phase: 'prepare', tables: [ledger.name], ...exclusive, seconds: 0.1 },
    {
      phase: 'indexes',
      tables: [...new Set(indexes.map((index) => index.table))],
      lock: 'SHARE UPDATE EXCLUSIVE',
      means: 'everybody reads and writes',
      seconds: seconds.indexes,
    },
    {
      phase: 'switch',
      tables: changed(legacy).map((table) => table.name),
      ...exclusive,
      seconds: seconds.switch,
    },
    {
      phase: 'openings',
      tables: [ledger.name],
      lock: 'ROW EXCLUSIVE',
      means: 'everybody reads and writes',
      seconds: seconds.openings,
    },
  ];
}

const INDEXES = [
  {
    name: 'fact_accumulations_redemption_kind',
    on: 'ledger',
    columns: ['redemption_id', 'kind'],
    unique: true,
    found: 'has_redemption_index',
  },
  {
    name: 'fact_accumulations_user',
    on: 'ledger',
    columns: ['user_id', 'id'],
    unique: false,
    found: 'has_ledger_index',
  },
  {
    name: 'fact_redemptions_user',
    on: 'purchases',
    columns: ['user_id'],
    unique: false,
    found: 'has_purchases_index',
  },
] as const;

const leading = (table: string, column: string) => `EXISTS (SELECT FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = ${table} AND i.indisvalid AND a.attname = '${column}'`;

const STATE = `SELECT ${leading('$1', 'user_id')} AND i.indpred IS NULL) AS has_ledger_index,
  ${leading('$2', 'user_id')} AND i.indpred IS NULL) AS has_purchases_index,
  ${leading('$1', 'redemption_id')} AND i.indisunique) AS has_redemption_index,
  EXISTS (SELECT FROM pg_tables WHERE (schemaname, tablename) = ('lumis', 'take_over'))
    AS interrupted,
  to_regnamespace('lumis_archive') IS NOT NULL AS archive`;

const OPEN_SECONDS_MIN = 2;

const OPEN = `WITH held AS (
    SELECT l.pid, array_agg(DISTINCT format('%I.%I', n.nspname, c.relname)) AS tables
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.relation = ANY ($1::oid[]) AND l.granted AND l.database =
      (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY 1
  )
  SELECT a.pid, a.usename AS role, coalesce(a.application_name, '') AS application,
    round(extract(epoch FROM clock_timestamp() - a.xact_start))::float8 AS seconds,
    coalesce(held.tables, '{}') AS holds
  FROM pg_stat_activity a LEFT JOIN held ON held.pid = a.pid
  WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND coalesce(a.backend_type, 'client backend') = 'client backend'
    AND a.xact_start < clock_timestamp() - make_interval(secs => $2)
  UNION ALL
  SELECT NULL, x.owner, 'prepared transaction ' || x.gid,
    round(extract(epoch FROM clock_timestamp() - x.prepared))::float8, '{}'
  FROM pg_prepared_xacts x WHERE x.database = current_database()
  ORDER BY seconds DESC, pid`;

/** Transactions that have been open for a while; null when this role may not see those of others. */
async function findOpenTransactions(
  client: pg.Client,
  legacy: Legacy,
): Promise<OpenTransaction[] | null> {
  const { rows } = await client.query(`SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS may`);
  if (!rows[0].may) return null;
  const tables = changed(legacy).map((table) => table.oid);
  return (await client.query<OpenTransaction>(OPEN, [tables, OPEN_SECONDS_MIN])).rows;
}
