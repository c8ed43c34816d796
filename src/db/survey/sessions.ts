import type pg from 'pg';
import { changed, type Legacy } from './legacy.ts';

export interface OpenTransaction {
  /** null for a prepared transaction */
  pid: number | null;
  role: string;
  application: string;
  seconds: number;
  /** legacy tables it has locked */
  holds: string[];
}

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
export async function findOpenTransactions(
  client: pg.Client,
  legacy: Legacy,
): Promise<OpenTransaction[] | null> {
  const { rows } = await client.query(`SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS may`);
  if (!rows[0].may) return null;
  const tables = changed(legacy).map((table) => table.oid);
  return (await client.query<OpenTransaction>(OPEN, [tables, OPEN_SECONDS_MIN])).rows;
}
