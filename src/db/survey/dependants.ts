import type pg from 'pg';
import { changed, type Legacy } from './legacy.ts';

/** What others have built on the legacy tables. Names are quoted, with their schema. */
export interface Dependants {
  views: View[];
  foreign_keys: ForeignKey[];
  triggers: Trigger[];
  functions: LegacyFunction[];
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

/** A trigger on a legacy table; `replaced` is the old keeper of balances, which `down` brings back. */
interface Trigger {
  name: string;
  table: string;
  function: string;
  enabled: boolean;
  becomes: 'stays' | 'replaced';
  /** passes whole rows on, or names columns as text, of a table that has others afterwards */
  columns_as_text: boolean;
  /** fires for each of the rows that `up` writes to the ledger */
  fires_for_opening: boolean;
  /** its function has no search_path of its own, and gets one */
  gets_path: boolean;
}

/** A function that leans on the legacy tables. */
interface LegacyFunction {
  name: string;
  /** what its body names, or what it was bound to when it was made */
  names: string[];
  /** its body updates or deletes ledger rows, or truncates ledger or balances */
  changes_ledger: boolean;
  /** its body does what works on a table but not on the view that takes its old name */
  needs_table: boolean;
}

/** What somebody beside the owner may do with a legacy table. */
export interface Grant {
  role: string;
  table: string;
  /** null for the whole table */
  columns: string[] | null;
  privileges: string[];
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
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass
  WHERE r.rulename <> '_RETURN' AND d.refobjid = ANY ($1::oid[]) ORDER BY 2, 1`;

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

// $1: all tables, $2: offers, $3: ledger. Bit 2 of tgtype: insert.
const TRIGGERS = `SELECT t.tgname AS name, format('%I.%I', n.nspname, c.relname) AS "table",
    t.tgfoid::regprocedure::text AS function, t.tgenabled IN ('O', 'A') AS enabled,
    CASE WHEN keeps_balance THEN 'replaced' ELSE 'stays' END AS becomes,
    t.tgrelid IN ($2, $3) AND p.prosrc ~* '\\m(new|old)\\.\\*|\\(\\s*(new|old)\\s*\\)'
      OR t.tgrelid = $2 AND (p.prosrc ~ '[''"](id|points)[''"]'
      OR encode(t.tgargs, 'escape') ~ '(^|\\\\000)(id|points)\\\\000') AS columns_as_text,
    t.tgrelid = $3 AND t.tgtype & 4 <> 0 AND t.tgenabled IN ('O', 'A') AND NOT keeps_balance
      AS fires_for_opening,
    NOT keeps_balance AND c.relname <> 'fact_redemptions' AND coalesce(array_to_string(p.proconfig, ' '), '') !~ 'search_path='
      AND l.lanname IN ('plpgsql', 'sql') AS gets_path
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
  JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
  LATERAL (SELECT t.tgrelid = $3 AND (p.prosrc ~* '\\mfact_balance_points\\M' OR EXISTS (
    SELECT FROM pg_proc q WHERE q.prosrc ~* '\\mfact_balance_points\\M' AND q.proname ~ '^\\w+$'
      AND p.prosrc ~* ('\\m' || q.proname || '\\M'))) AS keeps_balance) k
  WHERE NOT t.tgisinternal AND t.tgrelid = ANY ($1::oid[]) ORDER BY 2, 1`;

const TARGET = '(only\\s+)?("?[\\w$]+"?\\s*\\.\\s*)?"?';
const CHANGES_LEDGER =
  `\\m((update|delete\\s+from)\\s+${TARGET}fact_accumulations` +
  `|truncate(\\s+table)?\\s+${TARGET}(fact_accumulations|fact_balance_points))\\M`;
const NEEDS_TABLE =
  '\\m(truncate(\\s+table)?|(alter|drop)\\s+table(\\s+if\\s+exists)?|copy)\\s+' +
  `${TARGET}(dim_redemptions|fact_redemptions)\\M`;

// A body in the SQL standard's form has no text: the catalogue knows what it is bound to.
const FUNCTIONS = `WITH relation AS (
    SELECT c.oid, c.relname::text AS plain FROM pg_class c WHERE c.oid = ANY ($1::oid[])
  ), found AS (
    SELECT p.oid, p.prosrc,
      ARRAY(SELECT r.plain FROM relation r
        WHERE p.prosrc ~* ('\\m' || r.plain || '\\M') OR EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid)
        ORDER BY 1) AS names
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname NOT IN ('c', 'internal') AND p.pronamespace NOT IN (SELECT oid
      FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname IN ('information_schema', 'lumis'))
  )
  SELECT oid::regprocedure::text AS name, names, prosrc ~* $2 AS changes_ledger,
    prosrc ~* $3 AS needs_table
  FROM found WHERE names <> '{}' ORDER BY 1`;

/** Asks the catalogue who leans on the tables that `up` changes. */
export async function findDependants(client: pg.Client, legacy: Legacy): Promise<Dependants> {
  const tables = changed(legacy).map((table) => table.oid);
  const list = async (sql: string, ...more: unknown[]) =>
    (await client.query(sql, [tables, ...more])).rows;
  return {
    views: await list(VIEWS),
    foreign_keys: await list(FOREIGN_KEYS, legacy.ledger.oid, FROZEN),
    triggers: await list(TRIGGERS, legacy.offers.oid, legacy.ledger.oid),
    // by what their bodies say; what they build as text stays unseen
    functions: await list(FUNCTIONS, CHANGES_LEDGER, NEEDS_TABLE),
    rules: await list(RULES),
    policies: await list(POLICIES),
    publications: await list(PUBLICATIONS),
    subscriptions: await list(SUBSCRIPTIONS),
    event_triggers: (await client.query(EVENT_TRIGGERS)).rows,
  };
}

/** Grants on tables and on single columns. They hold for the table and for its old name. */
export async function findGrants(client: pg.Client, legacy: Legacy): Promise<Grant[]> {
  const { rows } = await client.query<Grant>(
    `WITH relation AS (
       SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relowner, c.relacl
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])
     ), granted AS (
       SELECT r.name, r.relowner, g.grantee, g.privilege_type, NULL::text AS attname
       FROM relation r, aclexplode(r.relacl) g
       UNION ALL
       SELECT r.name, r.relowner, g.grantee, g.privilege_type, a.attname::text
       FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND NOT a.attisdropped,
         aclexplode(a.attacl) g
     )
     SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END AS role,
       name AS "table", privileges, array_agg(attname ORDER BY attname)
         FILTER (WHERE attname IS NOT NULL) AS columns
     FROM (SELECT name, grantee, attname, array_agg(privilege_type ORDER BY privilege_type)
             AS privileges
           FROM granted WHERE grantee <> relowner GROUP BY name, grantee, attname) g
     GROUP BY name, grantee, privileges, attname IS NULL ORDER BY 1, 2, columns NULLS FIRST`,
    [changed(legacy).map((table) => table.oid)],
  );
  return rows;
}
