import type pg from 'pg';

/** The tables that are filled without their indexes, the largest first. */
export const BIG_TABLES = [
  'rewards.redemption_audit_log',
  'lumis.events',
  'rewards.user_redemptions',
  'public.fact_accumulations',
];

/** An index that was taken down, and what brings it back as it was. */
export interface Index {
  create: string;
  /** for that of a key: makes the constraint of the index */
  restore: string | null;
}

/** Takes down the indexes of the big tables, keys too, and keeps the vacuum of the server out. */
export async function takeIndexesDown(client: pg.Client): Promise<Index[]> {
  const { rows } = await client.query(
    `SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS create,
      k.conname IS NULL AS is_plain,
      'ALTER TABLE ' || i.indrelid::regclass AS alter, quote_ident(k.conname) AS key,
      CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END AS kind,
      quote_ident(c.relname) AS index
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
     WHERE i.indrelid = ANY ($1::regclass[])
     ORDER BY array_position($1::regclass[], i.indrelid::regclass), i.indexrelid`,
    [BIG_TABLES],
  );
  for (const table of BIG_TABLES) {
    await client.query(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  }
  for (const { is_plain, name, alter, key } of rows) {
    await client.query(is_plain ? `DROP INDEX ${name}` : `${alter} DROP CONSTRAINT ${key}`);
  }
  return rows.map(({ is_plain, create, alter, key, kind, index }) => {
    const restore = is_plain ? null : `${alter} ADD CONSTRAINT ${key} ${kind} USING INDEX ${index}`;
    return { create, restore };
  });
}

/** The last step of bringing them back: keys from their indexes, and the vacuum. */
export async function restoreKeys(client: pg.Client, indexes: readonly Index[]): Promise<void> {
  for (const { restore } of indexes) if (restore) await client.query(restore);
  for (const table of BIG_TABLES) {
    await client.query(`ALTER TABLE ${table} RESET (autovacuum_enabled)`);
  }
}

/** What the fill must leave as it was: relations, columns, indexes, constraints and triggers. */
export async function describeSchema(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(`
    WITH ours AS (SELECT c.oid, c.relname, c.relkind, c.reloptions FROM pg_class c
      WHERE c.relnamespace IN (SELECT n.oid FROM pg_namespace n
        WHERE n.nspname IN ('public', 'rewards', 'lumis')))
    SELECT format('%s %s %s', o.relkind, o.oid::regclass, o.reloptions) AS line FROM ours o
    UNION ALL SELECT format('column %s.%s %s %s %s', a.attrelid::regclass, a.attname,
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity)
      FROM pg_attribute a JOIN ours o ON o.oid = a.attrelid WHERE a.attnum > 0 AND o.relkind = 'r'
    UNION ALL SELECT format('index %s %s %s', pg_get_indexdef(i.indexrelid), i.indisvalid,
        i.indisprimary) FROM pg_index i JOIN ours o ON o.oid = i.indrelid
    UNION ALL SELECT format('constraint %s %s %s', k.conrelid::regclass, k.conname,
        pg_get_constraintdef(k.oid)) FROM pg_constraint k JOIN ours o ON o.oid = k.conrelid
    UNION ALL SELECT format('trigger %s %s', pg_get_triggerdef(t.oid), t.tgenabled)
      FROM pg_trigger t JOIN ours o ON o.oid = t.tgrelid WHERE NOT t.tgisinternal
    ORDER BY 1`);
  return rows.map((row) => row.line);
}

/** Throws when the schema is another than `before`. */
export async function requireSchema(client: pg.Client, before: readonly string[]): Promise<void> {
  const after = await describeSchema(client);
  const missing = before.filter((line) => !after.includes(line));
  const added = after.filter((line) => !before.includes(line));
  if (missing.length + added.length === 0) return;
  throw new Error(
    ['the fill changed the schema', ...missing.map((l) => `- ${l}`), ...added.map((l) => `+ ${l}`)]
      .slice(0, 20)
      .join('\n'),
  );
}
