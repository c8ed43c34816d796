import type pg from 'pg';
import { changed, type Legacy } from './legacy.ts';

/** What somebody beside the owner may do with a legacy table. */
export interface Grant {
  role: string;
  table: string;
  /** null for the whole table */
  columns: string[] | null;
  privileges: string[];
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
