/**
 * An invented points programme as it stood before us, in both layouts: its tables with every
 * awkward kind of row that they allow, the trigger that kept its balances, and the neighbours that
 * live on it.
 */

import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { emptyDatabase } from './database.ts';
import { DIM_ROWS, LEDGER_ROWS, PURCHASE_ROWS, STORED_BALANCES, USER_ROWS } from './legacy-rows.ts';

/** Where the legacy tables live: everything in `public`, or everything but the users in `rewards`. */
export type Layout = 'public' | 'rewards';

export const LAYOUTS: readonly Layout[] = ['public', 'rewards'];

export interface LegacyOptions {
  /** the legacy belongs to a role that is no superuser, which may also create schemas */
  owned?: boolean;
  /** with stored balances and the trigger that keeps them */
  balances?: boolean;
  /** with all that a legacy database may also lack: rules of earning, history view, users, others */
  extras?: boolean;
  /** how many plain members beside the awkward ones, numbered from FIRST_PLAIN on */
  plain?: number;
  /** entries of each plain member */
  receipts?: number;
  /** what else is done to it at the end, by its owner; `@` stands for the legacy schema */
  alter?: string;
}

export interface Legacy {
  layout: Layout;
  name: string;
  /** as the superuser of the test server */
  url: string;
  /** as the role that the programme's own services use, with only the rights they need */
  botUrl: string;
  /** as the role that reads single columns */
  readerUrl: string;
  /** as the owner of the legacy tables; `url` unless they are `owned` */
  ownerUrl: string;
  /** a session of the superuser */
  client: pg.Client;
  /** the roles that have rights here */
  roles: { bot: string; reader: string; owner: string | undefined };
  /** another session, closed with the test */
  connect(url?: string): Promise<pg.Client>;
  /** `@` becomes the legacy schema */
  sql(text: string): string;
}

/** Plain members: drift-free, PLAIN_POINTS each, no purchase. */
export const FIRST_PLAIN = 1001;
export const PLAIN_POINTS = 300;

const PASSWORD = 'legacy';
const ROLES_PATIENCE_MS = 20_000;

/** A legacy database of its own, dropped after the test `t` with its roles. */
export async function legacyDatabase(
  t: TestContext,
  layout: Layout,
  options: LegacyOptions = {},
): Promise<Legacy> {
  const { url, name } = await emptyDatabase(t);
  const suffix = randomBytes(4).toString('hex');
  const owner = options.owned ? `legacy_owner_${suffix}` : undefined;
  const roles = { bot: `legacy_bot_${suffix}`, reader: `legacy_reader_${suffix}`, owner };
  const clients: pg.Client[] = [];
  t.after(() => {
    void endThenDropRoles(clients, url, name, Object.values(roles).filter(isRole));
  });
  const connect = async (as = url) => {
    const client = new pg.Client({ connectionString: as });
    clients.push(client);
    // a database that goes away with its test says so to whoever is still there
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const client = await connect();
  const sql = (text: string) => text.replaceAll('@', layout);
  await build(client, sql, layout, roles, options);
  const as = (role: string | undefined) => {
    if (role === undefined) return url;
    const theirs = new URL(url);
    theirs.username = role;
    theirs.password = PASSWORD;
    return theirs.href;
  };
  return {
    layout,
    name,
    url,
    botUrl: as(roles.bot),
    readerUrl: as(roles.reader),
    ownerUrl: as(owner),
    client,
    roles,
    connect,
    sql,
  };
}

async function build(
  client: pg.Client,
  sql: (text: string) => string,
  layout: Layout,
  roles: Legacy['roles'],
  options: LegacyOptions,
): Promise<void> {
  const { balances = true, extras = true, plain = 20, receipts = 3, alter = '' } = options;
  const { bot, reader, owner } = roles;
  for (const role of [bot, reader, owner].filter(isRole)) {
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`);
  }
  if (extras) await client.query(USERS + USER_ROWS);
  if (owner) {
    const { rows } = await client.query('SELECT current_database() AS name');
    await client.query(`GRANT CREATE ON DATABASE ${rows[0].name} TO ${owner};
      GRANT CREATE ON SCHEMA public TO ${owner}; GRANT ${owner} TO CURRENT_USER;
      ${extras ? `GRANT SELECT ON public.dim_users TO ${owner};` : ''} SET ROLE ${owner}`);
  }
  if (layout === 'rewards') await client.query('CREATE SCHEMA rewards');
  const steps = [
    TABLES[layout],
    extras ? RULES : '',
    balances ? BALANCES : '',
    DIM_ROWS + UPDATE_DATE + PURCHASE_ROWS,
    LEDGER_ROWS,
    plainMembers(plain, receipts),
    balances ? STORED_BALANCES + oldTrigger(layout) : '',
    extras && balances ? NEIGHBOURS : '',
    extras ? SEQUENCES[layout] : '',
    grants(bot, reader, layout, { balances, extras }),
    alter,
  ];
  for (const step of steps) await client.query(sql(step));
  await client.query('RESET ROLE');
  if (extras) {
    await client.query(`GRANT SELECT (id, name, email) ON public.dim_users TO ${bot}`);
  }
  await client.query('ANALYZE');
}

const isRole = (role: string | undefined): role is string => role !== undefined;

/** Roles belong to the server, and can only be dropped when the database is gone. */
async function endThenDropRoles(clients: pg.Client[], url: string, name: string, roles: string[]) {
  await Promise.allSettled(clients.map((client) => client.end()));
  const server = new pg.Client({ connectionString: process.env.LUMIS_TEST_SERVER ?? url });
  try {
    await server.connect();
    const deadline = Date.now() + ROLES_PATIENCE_MS;
    const isThere = async () =>
      (await server.query('SELECT FROM pg_database WHERE datname = $1', [name])).rowCount === 1;
    while ((await isThere()) && Date.now() < deadline) await sleep(50);
    for (const role of roles) await server.query(`DROP ROLE IF EXISTS ${role}`);
  } catch (error) {
    // clones of the database may outlive the test that made them; the roles are the server's
    console.error(`could not drop roles of ${name}: ${(error as Error).message}`);
  } finally {
    await server.end().catch(() => undefined);
  }
}

// --- Tables ---------------------------------------------------------------------------------------

const USERS = `
  CREATE TABLE public.dim_users (
    id int8 PRIMARY KEY, ws_id text, name varchar, email text, date_of_birth varchar,
    country_origin varchar, country_residence varchar, telegram_id text, password varchar,
    password_hash text, email_registration_date timestamptz, ws_registration_date int4,
    telegram_registration_date int4, auth_providers jsonb, google_id text UNIQUE,
    email_verified_at timestamp, last_login_provider text,
    account_status text CHECK (account_status IN ('active', 'suspended', 'deleted')),
    segment_activity text, genre text, is_active boolean,
    created_at timestamptz, updated_at timestamptz);
  CREATE INDEX idx_users_email ON public.dim_users (email);
  CREATE TABLE public.users (id serial PRIMARY KEY, username text, created_at timestamptz);
  INSERT INTO public.users (username, created_at) VALUES ('encuesta', '2025-01-01Z');`;

/** What both layouts share of the catalogue; `id` differs. */
const OFFER_COLUMNS = `name text NOT NULL, name_friendly varchar(255),
    description_friendly varchar(500), points int4, cond_1_key text, cond_1_value text,
    cond_2_key text, cond_2_value text, cond_3_key text, cond_3_value text, cond_4_key text,
    cond_4_value text, duration_value int4, duration_unit text, valid_from timestamptz,
    valid_to timestamptz, img varchar(500), created_at timestamptz, update_date timestamptz,
    segment text, weight numeric NOT NULL DEFAULT 1.5`;

const AROUND_TABLES = `
  CREATE INDEX idx_dim_redemptions_name ON @.dim_redemptions (lower(name));
  CREATE INDEX idx_fact_redemptions_user ON @.fact_redemptions (user_id, date DESC);
  CREATE INDEX idx_fact_redemptions_active ON @.fact_redemptions (expiration_date)
    WHERE condition1 IS NULL;
  COMMENT ON TABLE @.dim_redemptions IS 'catálogo; lo edita mercadeo';
  COMMENT ON COLUMN @.dim_redemptions.points IS 'precio en Lümis';
  CREATE FUNCTION @.fun_update_date() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.update_date := now(); RETURN NEW; END $$;`;

/** Once the rows are there: it would date them all. */
const UPDATE_DATE = `CREATE TRIGGER update_date BEFORE UPDATE ON @.dim_redemptions
    FOR EACH ROW EXECUTE FUNCTION @.fun_update_date();`;

/** In `public` ids count by themselves; in `rewards` the catalogue's are given by hand. */
const TABLES: Record<Layout, string> = {
  public: `
  CREATE TABLE @.dim_redemptions (id serial PRIMARY KEY, ${OFFER_COLUMNS});
  CREATE TABLE @.fact_redemptions (id serial PRIMARY KEY, user_id int4, redem_id text,
    quantity numeric, date timestamptz, expiration_date timestamptz, condition1 varchar);
  CREATE TABLE @.fact_accumulations (id serial PRIMARY KEY, user_id int4, accum_id int4,
    accum_type text, accum_key text, dtype text, quantity numeric, balance bigint,
    date timestamptz DEFAULT now());
  CREATE INDEX idx_accum_key ON @.fact_accumulations (accum_key);${AROUND_TABLES}`,
  rewards: `
  CREATE TABLE @.dim_redemptions (id int4 PRIMARY KEY, ${OFFER_COLUMNS});
  CREATE SEQUENCE @.seq_fact_redemptions AS int4;
  CREATE TABLE @.fact_redemptions (
    id int4 NOT NULL DEFAULT nextval('@.seq_fact_redemptions'), user_id int4, redem_id text,
    quantity numeric, date timestamptz, expiration_date timestamptz,
    condition1 varchar(100), channel text, PRIMARY KEY (id));
  CREATE TABLE @.fact_accumulations (id int4 GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    user_id int4, accum_id int4, accum_type text, accum_key text, dtype text, quantity numeric,
    balance bigint, date timestamptz, shop_id int4)
    WITH (autovacuum_vacuum_scale_factor = 0.05);
  CREATE INDEX idx_accum_user_date ON @.fact_accumulations (user_id, date);${AROUND_TABLES}`,
};

const RULES = `
  CREATE TABLE @.dim_accumulations (id serial PRIMARY KEY, name text, name_friendly text,
    description_friendly text, points int4, valid_from timestamptz, valid_to timestamptz,
    cond_1_key text, cond_1_value text, duration_value int4, duration_unit text,
    update_date timestamptz);
  CREATE INDEX idx_accum_dates ON @.dim_accumulations (valid_from, valid_to);
  INSERT INTO @.dim_accumulations (id, name, name_friendly, description_friendly, points) VALUES
    (0, 'receipts', 'Factura', 'Una factura subida', 1),
    (10, 'daily_game', 'Juego', 'El juego del día', 0), (11, 'receipts', 'Repetida', NULL, NULL);
  CREATE VIEW @.vw_hist_accum_redem AS
    SELECT 'Acumulación'::text AS source_type, a.user_id, d.name_friendly::varchar(255),
      d.description_friendly::varchar(500), a.quantity, a.date, NULL::varchar(500) AS img
    FROM @.fact_accumulations a LEFT JOIN @.dim_accumulations d ON d.id = a.accum_id
    UNION ALL
    SELECT 'Redención', r.user_id, o.name_friendly, o.description_friendly, r.quantity, r.date,
      o.img
    FROM @.fact_redemptions r LEFT JOIN @.dim_redemptions o ON o.id::text = r.redem_id;`;

const BALANCES = `
  CREATE TABLE @.fact_balance_points (user_id int4 UNIQUE, balance numeric,
    latest_update timestamptz) WITH (fillfactor = 80);
  CREATE TABLE @.fact_balance_points_history (user_id int4, balance numeric,
    snapshot_date timestamp);
  INSERT INTO @.fact_balance_points_history VALUES (1001, 299, '2025-09-30'), (NULL, 0, NULL);`;

/** A full recomputation, which names the purchases in its body. */
function oldTrigger(layout: Layout): string {
  const at = layout === 'public' ? '' : '@.';
  const pinned = layout === 'public' ? '' : 'SECURITY DEFINER SET search_path = pg_catalog';
  return `
  CREATE FUNCTION @.fun_update_balance_points() RETURNS trigger LANGUAGE plpgsql ${pinned} AS $$
  DECLARE total numeric;
  BEGIN
    SELECT coalesce(sum(a.quantity), 0) INTO total FROM ${at}fact_accumulations a
      WHERE a.user_id = NEW.user_id AND a.dtype = 'points';
    total := total - (SELECT coalesce(sum(r.quantity), 0) FROM ${at}fact_redemptions r
      WHERE r.user_id = NEW.user_id);
    INSERT INTO ${at}fact_balance_points (user_id, balance, latest_update)
    VALUES (NEW.user_id, total, now())
    ON CONFLICT (user_id) DO UPDATE
      SET balance = EXCLUDED.balance, latest_update = EXCLUDED.latest_update;
    RETURN NEW;
  END $$;
  CREATE TRIGGER trigger_accumulations_points_updatebalance AFTER INSERT ON @.fact_accumulations
    FOR EACH ROW EXECUTE FUNCTION @.fun_update_balance_points();`;
}

/** What others built on it: views, a materialised one, a foreign key, functions, triggers. */
const NEIGHBOURS = `
  CREATE VIEW @.v_user_dashboard AS
    SELECT u.id AS user_id, u.name, b.balance, b.latest_update,
      (SELECT count(*) FROM @.fact_redemptions r WHERE r.user_id = u.id) AS purchases
    FROM public.dim_users u LEFT JOIN @.fact_balance_points b ON b.user_id = u.id;
  CREATE VIEW @.v_catalogue AS
    SELECT id, name_friendly, points FROM @.dim_redemptions WHERE points > 0;
  CREATE MATERIALIZED VIEW @.mv_purchases_by_offer AS
    SELECT redem_id, count(*) AS purchases, sum(quantity) AS points
    FROM @.fact_redemptions GROUP BY redem_id;
  CREATE UNIQUE INDEX mv_purchases_redem ON @.mv_purchases_by_offer (redem_id);
  CREATE TABLE @.ws_offers (id serial PRIMARY KEY, title text,
    redemption int4 CONSTRAINT ws_offers_redemption_fkey REFERENCES @.dim_redemptions (id));
  INSERT INTO @.ws_offers (title, redemption) VALUES ('Café hoy', 1), ('Nada', NULL), ('Cine', 20);
  CREATE TABLE @.user_invoice_summary (user_id int4 PRIMARY KEY, invoices int4, points numeric);
  INSERT INTO @.user_invoice_summary VALUES (1001, 3, 300);
  CREATE TABLE @.fact_daily_game_plays (user_id int4, played_at timestamptz, won int4);
  CREATE TABLE @.bot_outbox (id serial PRIMARY KEY, user_id int4, told text);
  CREATE FUNCTION @.fun_tell_purchase() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
      INSERT INTO @.bot_outbox (user_id, told) VALUES (NEW.user_id, 'Canjeaste ' || NEW.redem_id);
      RETURN NULL;
    END $$;
  CREATE TRIGGER trg_tell_purchase AFTER INSERT ON @.fact_redemptions
    FOR EACH ROW EXECUTE FUNCTION @.fun_tell_purchase();
  CREATE TRIGGER trg_retired AFTER UPDATE ON @.fact_redemptions
    FOR EACH ROW EXECUTE FUNCTION @.fun_tell_purchase();
  ALTER TABLE @.fact_redemptions DISABLE TRIGGER trg_retired;
  CREATE FUNCTION @.fun_count_invoice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
      UPDATE @.user_invoice_summary SET invoices = invoices + 1 WHERE user_id = NEW.user_id;
      RETURN NULL;
    END $$;
  CREATE TRIGGER trg_count_invoice AFTER INSERT ON @.fact_accumulations
    FOR EACH ROW WHEN (NEW.accum_type = 'receipts') EXECUTE FUNCTION @.fun_count_invoice();
  CREATE FUNCTION @.fun_offer_points(wanted int4) RETURNS int4 LANGUAGE plpgsql STABLE AS $$
    BEGIN RETURN (SELECT points FROM @.dim_redemptions WHERE id = wanted); END $$;
  CREATE FUNCTION @.fun_offer_name(wanted int4) RETURNS text LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT d.name_friendly::text FROM @.dim_redemptions d WHERE d.id = wanted; END;`;

/** Behind, as one was found; ahead, after rows that were deleted; and right. */
const SEQUENCES: Record<Layout, string> = {
  public: `SELECT setval('@.dim_accumulations_id_seq', 1);
    SELECT setval('@.fact_accumulations_id_seq', 90000);`,
  rewards: `SELECT setval('@.dim_accumulations_id_seq', 3);
    SELECT setval('@.seq_fact_redemptions', 700, false);`,
};

/** Entries of one size, so that every plain member has PLAIN_POINTS. */
function plainMembers(members: number, receipts: number): string {
  const last = FIRST_PLAIN + members - 1;
  return `
  INSERT INTO @.fact_accumulations (user_id, accum_id, accum_type, accum_key, dtype, quantity, date)
    SELECT m, 0, 'receipts', 'CUFE-' || m || '-' || n, 'points',
      CASE WHEN n = 1 THEN ${PLAIN_POINTS} - ${receipts - 1} ELSE 1 END,
      timestamptz '2025-03-01Z' + n * interval '1 hour'
    FROM generate_series(${FIRST_PLAIN}, ${last}) m, generate_series(1, ${receipts}) n;`;
}

function grants(
  bot: string,
  reader: string,
  layout: Layout,
  has: { balances: boolean; extras: boolean },
): string {
  const lines = [
    `SELECT ON @.dim_redemptions, @.fact_redemptions, @.fact_accumulations TO ${bot}`,
    `INSERT ON @.dim_redemptions, @.fact_redemptions, @.fact_accumulations TO ${bot}`,
    `UPDATE (name, name_friendly, points, valid_to, img) ON @.dim_redemptions TO ${bot}`,
    `UPDATE (expiration_date) ON @.fact_redemptions TO ${bot}`,
    `SELECT (id, name_friendly, points), REFERENCES (id) ON @.dim_redemptions TO ${reader}`,
    `SELECT (user_id, redem_id, condition1, expiration_date) ON @.fact_redemptions TO ${reader}`,
  ];
  if (layout === 'rewards') {
    lines.push(`USAGE ON SCHEMA rewards TO ${bot}, ${reader}`);
    lines.push(`USAGE ON SEQUENCE @.seq_fact_redemptions TO ${bot}`);
  } else {
    for (const table of ['dim_redemptions', 'fact_redemptions', 'fact_accumulations']) {
      lines.push(`USAGE ON SEQUENCE @.${table}_id_seq TO ${bot}`);
    }
  }
  if (has.balances) {
    lines.push(`SELECT, INSERT, UPDATE ON @.fact_balance_points TO ${bot}`);
    lines.push(`SELECT (user_id, balance) ON @.fact_balance_points TO ${reader} WITH GRANT OPTION`);
  }
  if (has.extras) lines.push(`SELECT ON @.vw_hist_accum_redem, @.dim_accumulations TO ${bot}`);
  if (has.extras && has.balances) {
    lines.push(
      `SELECT ON @.v_user_dashboard, @.ws_offers TO ${bot}`,
      'SELECT ON @.v_catalogue TO PUBLIC',
    );
  }
  return lines.map((line) => `GRANT ${line};`).join('\n');
}

export { legacySnapshot, oldFormula } from './legacy-snapshot.ts';
