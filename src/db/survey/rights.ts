import type pg from 'pg';
import { changed, type Legacy } from './legacy.ts';

/** A right that this role lacks, and the statement that gives it. */
export interface MissingRight {
  role: string;
  /** what cannot be done without it */
  prevents: 'up' | 'plan';
  what: string;
  /** for whoever owns the thing, or a superuser */
  statement: string;
}

// $1: oids of what `up` changes
const UP = `WITH place AS (
    SELECT want.name, n.oid FROM unnest(ARRAY['lumis', 'rewards', 'public']) AS want(name)
    LEFT JOIN pg_namespace n ON n.nspname = want.name
  ), owned AS (
    SELECT c.relowner, pg_get_userbyid(c.relowner) AS owner,
      string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY c.relname) AS names
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY ($1::oid[]) GROUP BY c.relowner
  )
  SELECT 'make schema ' || string_agg(name, ' and ') AS what,
    format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user) AS statement
  FROM place WHERE oid IS NULL AND name <> 'public' AND NOT has_database_privilege(current_database(), 'CREATE')
  HAVING count(*) > 0
  UNION ALL
  SELECT 'make tables and views in schema ' || name,
    format('GRANT USAGE, CREATE ON SCHEMA %I TO %I;', name, current_user)
  FROM place WHERE oid IS NOT NULL
    AND NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE'))
  UNION ALL
  SELECT 'change ' || names,
    CASE WHEN NOT pg_has_role(relowner, 'MEMBER') THEN format('GRANT %I TO %I;', owner, current_user)
      WHEN current_setting('server_version_num')::int >= 160000
        THEN format('GRANT %I TO %I WITH INHERIT TRUE;', owner, current_user)
      ELSE format('ALTER ROLE %I INHERIT;', current_user) END
  FROM owned WHERE NOT pg_has_role(relowner, 'USAGE')`;

// $1: oids of what cannot be read
const READ = `SELECT format('read %I.%I', n.nspname, c.relname) AS what, concat_ws(' ',
    CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE')
      THEN format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, current_user) END,
    CASE WHEN NOT has_table_privilege(c.oid, 'SELECT')
      THEN format('GRANT SELECT ON %I.%I TO %I;', n.nspname, c.relname, current_user) END,
    CASE WHEN row_security_active(c.oid)
      THEN format('ALTER ROLE %I BYPASSRLS;', current_user) END) AS statement
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = ANY ($1::oid[]) ORDER BY 1`;

/** The rights that this role lacks: for `up`, and for counting what `up` will find. */
export async function findMissingRights(
  client: pg.Client,
  legacy: Legacy | undefined,
): Promise<MissingRight[]> {
  const tables = legacy ? changed(legacy) : [];
  const { rows: who } = await client.query('SELECT current_user AS role');
  const { rows: needed } = await client.query(UP, [tables.map((table) => table.oid)]);
  const read = legacy
    ? [legacy.offers, legacy.purchases, legacy.ledger, legacy.balances, legacy.users]
    : [];
  const unreadable = read.flatMap((table) => (table?.readable === false ? table.oid : []));
  const { rows: unread } = await client.query(READ, [unreadable]);
  const { role } = who[0];
  return [
    ...needed.map(({ what, statement }) => ({ role, prevents: 'up' as const, what, statement })),
    ...unread.map(({ what, statement }) => ({ role, prevents: 'plan' as const, what, statement })),
  ];
}
