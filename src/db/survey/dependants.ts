import type pg from 'pg';
import { type FoundFunction, findFunctions } from './functions.ts';
import { changed, type Legacy } from './legacy.ts';
import { type FoundTrigger, findTriggers } from './triggers.ts';

/** What others have built on the legacy tables. Names are quoted, with their schema. */
export interface Dependants {
  views: View[];
  foreign_keys: ForeignKey[];
  triggers: FoundTrigger[];
  functions: FoundFunction[];
  rules: { name: string; table: string }[];
  policies: { name: string; table: string; command: string }[];
  publications: { name: string; tables: string[] }[];
  subscriptions: { name: string; tables: string[] }[];
  event_triggers: { name: string; function: string }[];
}

interface View {
  name: string;
  kind: 'view' | 'materialized view';
  owner: string;
  /** legacy tables, directly or through other views */
  reads: string[];
}

interface ForeignKey {
  name: string;
  table: string;
  references: string;
  definition: string;
  /** it would have to change ledger rows, which `up` forbids */
  broken: boolean;
}

const VIEWS = `WITH RECURSIVE reads AS (
    SELECT r.ev_class AS oid, d.refobjid AS source FROM pg_depend d
    JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = ANY ($1::oid[]) AND r.ev_class <> d.refobjid
    UNION
    SELECT r.ev_class, reads.source FROM reads
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = reads.oid
    JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
      AND r.rulename = '_RETURN' AND r.ev_class <> reads.oid
  )
  SELECT format('%I.%I', n.nspname, c.relname) AS name,
    CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END AS kind,
    pg_get_userbyid(c.relowner) AS owner,
    array_agg(DISTINCT format('%I.%I', sn.nspname, s.relname)) AS reads
  FROM reads JOIN pg_class c ON c.oid = reads.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class s ON s.oid = reads.source JOIN pg_namespace sn ON sn.oid = s.relnamespace
  WHERE NOT c.oid = ANY ($1::oid[]) GROUP BY c.oid, 1, 2, 3 ORDER BY 1`;

// columns that the ledger freezes: $3. $2: the ledger
const FOREIGN_KEYS = `SELECT k.conname AS name, format('%I.%I', n.nspname, c.relname) AS "table",
    format('%I.%I', rn.nspname, r.relname) AS "references", pg_get_constraintdef(k.oid) AS definition,
    k.conrelid = $2 AND (k.confdeltype = 'c' OR (k.confdeltype IN ('n', 'd') OR k.confupdtype
      IN ('c', 'n', 'd')) AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid
        AND a.attnum = ANY (k.conkey) AND a.attname = ANY ($3))) AS broken
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
  WHERE k.contype = 'f' AND k.conparentid = 0
    AND (k.conrelid = ANY ($1::oid[]) OR k.confrelid = ANY ($1::oid[])) ORDER BY 2, 1`;
const FROZEN = ['id', 'user_id', 'dtype', 'quantity', 'date', 'redemption_id', 'kind'];

const RULES = `SELECT DISTINCT r.rulename AS name, format('%I.%I', n.nspname, c.relname) AS "table"
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass
  WHERE r.rulename <> '_RETURN' AND (r.ev_class = ANY ($1::oid[]) OR d.refobjid = ANY ($1::oid[]))
  ORDER BY 2, 1`;

const POLICIES = `SELECT p.polname AS name, format('%I.%I', n.nspname, c.relname) AS "table",
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
      WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE p.polrelid = ANY ($1::oid[]) ORDER BY 2, 1`;

const PUBLICATIONS = `SELECT p.pubname AS name, array_agg(format('%I.%I', p.schemaname, p.tablename)
    ORDER BY p.schemaname, p.tablename) AS tables
  FROM pg_publication_tables p JOIN pg_class c ON c.relname = p.tablename
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = p.schemaname
  WHERE c.oid = ANY ($1::oid[]) GROUP BY 1 ORDER BY 1`;

const SUBSCRIPTIONS = `SELECT s.subname AS name,
    array_agg(format('%I.%I', n.nspname, c.relname) ORDER BY c.relname) AS tables
  FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
  JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = ANY ($1::oid[]) GROUP BY 1 ORDER BY 1`;

const EVENT_TRIGGERS = `SELECT evtname AS name, evtfoid::regprocedure::text AS function
  FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY 1`;

/** Asks the catalogue who leans on the tables that `up` changes. */
export async function findDependants(client: pg.Client, legacy: Legacy): Promise<Dependants> {
  const tables = changed(legacy).map((table) => table.oid);
  const list = async (sql: string, ...more: unknown[]) =>
    (await client.query(sql, [tables, ...more])).rows;
  return {
    views: await list(VIEWS),
    foreign_keys: await list(FOREIGN_KEYS, legacy.ledger.oid, FROZEN),
    triggers: await findTriggers(client, legacy),
    functions: await findFunctions(client, legacy),
    rules: await list(RULES),
    policies: await list(POLICIES),
    publications: await list(PUBLICATIONS),
    subscriptions: await list(SUBSCRIPTIONS),
    event_triggers: (await client.query(EVENT_TRIGGERS)).rows,
  };
}
