/** A points system of the old kind, of any size: tables, rows, trigger, view, and its readers' role. */

import type pg from 'pg';

export type Layout = 'public' | 'rewards';

export interface Size {
  layout: Layout;
  /** rows of the ledger */
  rows: number;
  purchases: number;
  members: number;
  /** whether the ledger has an index on user_id, and therefore a trigger that recomputes */
  userIndex: boolean;
}

/** The role of the old system's programs: only its old grants. */
export const LEGACY_ROLE = 'lumis_bench_legacy';

const CHUNK_ROWS = 500_000;
const DAYS = 900;

/** What stands before the name of a table, as the old programs write it. */
export const prefixOf = (layout: Layout): string => (layout === 'rewards' ? 'rewards.' : '');

type Say = (text: string) => void;

/**
 * Fills an empty database over the connections given, as many chunks at once. What must come out
 * in the end is noted in schema `bench`: `about` (the size) and `members` (stored balance, and
 * what ledger and purchases make).
 */
export async function fill(clients: pg.Client[], size: Size, say: Say): Promise<void> {
  const [first] = clients;
  if (first === undefined) throw new Error('no connection to fill with');
  const step = async (name: string, work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    say(`filled: ${name}, ${((performance.now() - began) / 1000).toFixed(1)} s`);
  };
  for (const client of clients) {
    await client.query(`SET synchronous_commit = off; SET maintenance_work_mem = '1GB';
      SET work_mem = '128MB'; SET client_min_messages = warning`);
  }
  const p = prefixOf(size.layout);
  await step('tables', () => first.query(tables(size.layout)));
  await step('users and catalogue', () => first.query(masterData(p, size)));
  await step(`${size.rows} ledger rows`, () =>
    inChunks(clients, size.rows, (from, to) => ledgerRows(p, size, from, to), say),
  );
  await step(`${size.purchases} purchases`, () =>
    inChunks(clients, size.purchases, (from, to) => purchaseRows(p, size, from, to), say),
  );
  await step('keys and indexes', async () => {
    for (const sql of indexes(p, size)) await first.query(sql);
  });
  await step('balances', () => first.query(balances(p, size)));
  await step('view, trigger, grants', () => first.query(theRest(p, size)));
  await step('vacuum', () => first.query('VACUUM (ANALYZE)'));
}

/** Makes of a filled database one of the same rows, laid out in another way. */
export async function refit(client: pg.Client, size: Size, wanted: Size): Promise<void> {
  if (size.layout !== wanted.layout) {
    const moves = [
      'TABLE dim_accumulations',
      'TABLE dim_redemptions',
      'TABLE fact_accumulations',
      'TABLE fact_redemptions',
      'TABLE fact_balance_points',
      'VIEW vw_hist_accum_redem',
      'FUNCTION fun_update_balance_points()',
    ].map((what) => what.replace(' ', ` ${size.layout}.`));
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${wanted.layout};
      GRANT USAGE ON SCHEMA ${wanted.layout} TO ${LEGACY_ROLE};
      ${moves.map((what) => `ALTER ${what} SET SCHEMA ${wanted.layout};`).join(' ')}
      ${size.layout === 'rewards' ? 'DROP SCHEMA rewards' : ''}`);
  }
  const p = prefixOf(wanted.layout);
  if (size.userIndex && !wanted.userIndex) await client.query(`DROP INDEX ${p}idx_accum_user`);
  if (!size.userIndex && wanted.userIndex) await client.query(indexOnUser(p));
  await client.query(balanceFunction(p, wanted));
  await client.query(`UPDATE bench.about SET size = '${JSON.stringify(wanted)}'`);
}

async function inChunks(
  clients: pg.Client[],
  total: number,
  sql: (from: number, to: number) => string,
  say: Say,
): Promise<void> {
  let next = 1;
  const work = async (client: pg.Client) => {
    while (next <= total) {
      const from = next;
      next += CHUNK_ROWS;
      await client.query(sql(from, Math.min(from + CHUNK_ROWS - 1, total)));
      if (from % (CHUNK_ROWS * 10) === 1 && from > 1) say(`  ${from - 1} of ${total}`);
    }
  };
  await Promise.all(clients.map(work));
}

const tables = (layout: Layout): string => {
  const p = prefixOf(layout);
  return `
  ${layout === 'rewards' ? 'CREATE SCHEMA rewards;' : ''}
  CREATE SCHEMA bench;
  CREATE TABLE public.dim_users (id bigint PRIMARY KEY, ws_id text, name varchar, email text,
    country_residence varchar, is_active boolean, created_at timestamptz);
  CREATE INDEX idx_users_email ON public.dim_users (email);
  CREATE TABLE ${p}dim_accumulations (id serial PRIMARY KEY, name varchar, name_friendly varchar,
    description_friendly varchar, points integer, valid_from timestamptz, valid_to timestamptz,
    cond_1_key text, cond_1_value text, duration_value integer, duration_unit text,
    update_date timestamptz);
  CREATE INDEX idx_accum_dates ON ${p}dim_accumulations (valid_from, valid_to);
  CREATE TABLE ${p}dim_redemptions (id integer PRIMARY KEY, name text NOT NULL,
    name_friendly varchar(255), description_friendly varchar(500), points integer,
    cond_1_key text, cond_1_value text, duration_value integer, duration_unit text,
    valid_from timestamptz, valid_to timestamptz, img varchar(500), created_at timestamptz,
    update_date timestamptz);
  CREATE TABLE ${p}fact_redemptions (id serial, user_id integer, redem_id text,
    quantity numeric, date timestamptz, expiration_date timestamptz, condition1 varchar);
  CREATE TABLE ${p}fact_accumulations (id serial, user_id integer, accum_id integer,
    accum_type text, accum_key text, dtype text, quantity numeric, balance bigint,
    date timestamptz) WITH (autovacuum_enabled = false);
  CREATE TABLE ${p}fact_balance_points (user_id integer UNIQUE, balance numeric,
    latest_update timestamptz)`;
};

const masterData = (p: string, { members }: Size): string => `
  INSERT INTO public.dim_users
  SELECT i, '5076' || lpad(i::text, 7, '0'), 'Persona ' || i, 'persona' || i || '@example.com',
    'PA', i % 17 <> 0, timestamptz '2023-01-01' + i * interval '1 minute'
  FROM generate_series(1, ${members}) i WHERE i % 1009 <> 0;
  INSERT INTO ${p}dim_accumulations (id, name, name_friendly, description_friendly, points)
  VALUES (0, 'receipts', 'Factura', 'Factura registrada', 1),
    (10, 'daily_game', 'Juego diario', 'Premio del juego', 0);
  INSERT INTO ${p}dim_redemptions (id, name, name_friendly, description_friendly, points,
    valid_from, valid_to, img, created_at)
  SELECT i, 'offer_' || i, 'Oferta ' || i, 'Descripción de la oferta ' || i,
    CASE WHEN i % 13 = 0 THEN NULL WHEN i % 17 = 0 THEN 0 ELSE i % 5 + 1 END,
    now() - interval '1 year', now() + (i - 5) * interval '60 days',
    'https://img.example.com/' || i || '.png', now() - interval '1 year'
  FROM generate_series(1, 40) i`;

/** The member of row `i`: always the same one, and some have many more rows than others. */
const member = (members: number, salt: number): string =>
  `1 + least(${members - 1}, (((hashint8extended(i, ${salt}) & 2147483647) / 2147483648.0::float8)
    ^ 1.5 * ${members})::integer)`;

const ledgerRows = (p: string, { rows, members }: Size, from: number, to: number): string => `
  INSERT INTO ${p}fact_accumulations
    (id, user_id, accum_id, accum_type, accum_key, dtype, quantity, date)
  SELECT i,
    CASE WHEN i % 99991 <> 0 THEN ${member(members, 1)} END,
    CASE WHEN i % 5 = 0 THEN 10 ELSE 0 END,
    CASE WHEN i % 5 = 0 THEN 'daily_game' WHEN i % 31 = 0 THEN 'gamification' ELSE 'receipts' END,
    md5(i::text),
    CASE WHEN i % 50021 = 0 THEN NULL WHEN i % 41 = 0 THEN 'xp' ELSE 'points' END,
    CASE WHEN i % 70001 = 0 THEN NULL WHEN i % 1511 = 0 THEN 0.5 WHEN i % 5 = 0 THEN i % 3
      ELSE 1 END,
    CASE WHEN i % 80021 <> 0 THEN
      now() - interval '${DAYS} days' + i * (interval '${DAYS} days' / ${rows}) END
  FROM generate_series(${from}::bigint, ${to}::bigint) i`;

/** Nine of ten are purchases; the others say who is subscribed to what, in the same table. */
const purchaseRows = (p: string, size: Size, from: number, to: number): string => `
  INSERT INTO ${p}fact_redemptions
    (id, user_id, redem_id, quantity, date, expiration_date, condition1)
  SELECT i, ${member(size.members, 2)},
    CASE WHEN i % 20 = 0 THEN 'red_radarofertas' WHEN i % 20 = 1 THEN '0'
      ELSE (i % 40 + 1)::text END,
    CASE WHEN i % 20 = 0 THEN 1 WHEN i % 20 = 1 THEN 0 ELSE i % 5 + 1 END,
    now() - interval '${DAYS} days' + i * (interval '${DAYS} days' / ${size.purchases}),
    CASE WHEN i % 20 = 0 THEN now() + interval '10 years' END,
    CASE WHEN i % 20 = 0 THEN NULL WHEN i % 20 = 1 THEN 'supermercado' ELSE 'Canjeado' END
  FROM generate_series(${from}::bigint, ${to}::bigint) i`;

const indexOnUser = (p: string): string =>
  `CREATE INDEX idx_accum_user ON ${p}fact_accumulations (user_id)`;

const indexes = (p: string, { userIndex, rows, purchases }: Size): string[] => [
  `ALTER TABLE ${p}fact_accumulations ADD PRIMARY KEY (id)`,
  `ALTER TABLE ${p}fact_redemptions ADD PRIMARY KEY (id)`,
  `CREATE INDEX idx_redem_user ON ${p}fact_redemptions (user_id)`,
  ...(userIndex ? [indexOnUser(p)] : []),
  `SELECT setval('${p}fact_accumulations_id_seq', ${rows})`,
  `SELECT setval('${p}fact_redemptions_id_seq', ${purchases})`,
  `ALTER TABLE ${p}fact_accumulations RESET (autovacuum_enabled)`,
];

/** One balance in 211 has drifted, one member in 503 has none; the others are what they should. */
const balances = (p: string, size: Size): string => `
  CREATE TABLE bench.members AS
  WITH earned AS (SELECT user_id, sum(quantity) AS n FROM ${p}fact_accumulations
         WHERE dtype = 'points' GROUP BY user_id),
       spent AS (SELECT user_id, sum(quantity) AS n FROM ${p}fact_redemptions GROUP BY user_id),
       made AS (SELECT i AS user_id, coalesce(earned.n, 0) - coalesce(spent.n, 0) AS formula
         FROM generate_series(1, ${size.members}) i
         LEFT JOIN earned ON earned.user_id = i LEFT JOIN spent ON spent.user_id = i)
  SELECT user_id, formula,
    CASE WHEN user_id % 503 = 0 THEN NULL WHEN user_id % 422 = 0 THEN formula - 3.5
      WHEN user_id % 211 = 0 THEN formula + 7 ELSE formula END AS stored,
    user_id % 211 = 0 AND user_id % 503 <> 0 AS drifted
  FROM made;
  ALTER TABLE bench.members ADD PRIMARY KEY (user_id);
  INSERT INTO ${p}fact_balance_points SELECT user_id, stored, now() FROM bench.members
  WHERE stored IS NOT NULL;
  CREATE TABLE bench.about AS SELECT '${JSON.stringify(size)}'::jsonb AS size`;

/** What recomputes needs the index; without it the old system can only have added up. */
const newBalance = (p: string, { userIndex }: Size): string =>
  userIndex
    ? `INSERT INTO ${p}fact_balance_points (user_id, balance, latest_update)
       SELECT NEW.user_id,
         (SELECT coalesce(sum(quantity), 0) FROM ${p}fact_accumulations
          WHERE user_id = NEW.user_id AND dtype = 'points')
         - (SELECT coalesce(sum(quantity), 0) FROM ${p}fact_redemptions
            WHERE user_id = NEW.user_id), now()
       ON CONFLICT (user_id) DO UPDATE
       SET balance = excluded.balance, latest_update = excluded.latest_update;`
    : `IF NEW.dtype = 'points' THEN
         UPDATE ${p}fact_balance_points
         SET balance = balance + coalesce(NEW.quantity, 0), latest_update = now()
         WHERE user_id = NEW.user_id;
       END IF;`;

const balanceFunction = (p: string, size: Size): string => `
  CREATE OR REPLACE FUNCTION ${p}fun_update_balance_points() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    ${newBalance(p, size)}
    RETURN NEW;
  END $$`;

const theRest = (p: string, size: Size): string => `
  CREATE VIEW ${p}vw_hist_accum_redem AS
  SELECT 'Acumulación'::text AS source_type, a.user_id, d.name_friendly, d.description_friendly,
    a.quantity, a.date, NULL::varchar AS img
  FROM ${p}fact_accumulations a LEFT JOIN ${p}dim_accumulations d ON d.id = a.accum_id
  WHERE a.dtype = 'points'
  UNION ALL
  SELECT 'Redención'::text, r.user_id, o.name_friendly, o.description_friendly,
    r.quantity, r.date, o.img
  FROM ${p}fact_redemptions r LEFT JOIN ${p}dim_redemptions o ON o.id::text = r.redem_id;
  ${balanceFunction(p, size)};
  CREATE TRIGGER trigger_accumulations_points_updatebalance AFTER INSERT
  ON ${p}fact_accumulations FOR EACH ROW EXECUTE FUNCTION ${p}fun_update_balance_points();
  DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${LEGACY_ROLE}') THEN
      CREATE ROLE ${LEGACY_ROLE};
    END IF;
  END $$;
  GRANT USAGE ON SCHEMA ${size.layout} TO ${LEGACY_ROLE};
  GRANT SELECT ON public.dim_users, ${p}dim_accumulations, ${p}dim_redemptions,
    ${p}vw_hist_accum_redem TO ${LEGACY_ROLE};
  GRANT SELECT, INSERT ON ${p}fact_accumulations, ${p}fact_redemptions TO ${LEGACY_ROLE};
  GRANT SELECT, INSERT, UPDATE ON ${p}fact_balance_points TO ${LEGACY_ROLE};
  GRANT USAGE ON SEQUENCE ${p}fact_accumulations_id_seq, ${p}fact_redemptions_id_seq
  TO ${LEGACY_ROLE}`;
