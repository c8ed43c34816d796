/**
 * What the old programme's own services send, word for word, as the role with only their rights.
 * `@` stands for the schema where they name it; in `public` they rely on their search_path.
 */

import type pg from 'pg';
import type { Layout } from './legacy.ts';

const at = (layout: Layout, text: string) =>
  text.replaceAll('@', layout === 'public' ? '' : 'rewards.');

const READERS: Record<string, string> = {
  catalogue: `SELECT id, name, name_friendly, description_friendly, points, valid_from, valid_to, img
    FROM @dim_redemptions WHERE valid_from <= now() AND (valid_to IS NULL OR valid_to > now())
    ORDER BY id`,
  'catalogue, every column': 'SELECT * FROM @dim_redemptions ORDER BY id',
  'purchases, every column': 'SELECT * FROM @fact_redemptions ORDER BY id',
  'ledger, by name': `SELECT id, user_id, accum_id, accum_type, accum_key, dtype, quantity, balance,
    date FROM @fact_accumulations WHERE accum_type IS DISTINCT FROM 'opening' ORDER BY id`,
  'balances, every column': 'SELECT * FROM @fact_balance_points ORDER BY user_id, balance',
  'price of one': 'SELECT points FROM @dim_redemptions WHERE id = 20',
  'balance for a purchase': 'SELECT balance FROM @fact_balance_points WHERE user_id = 4 FOR UPDATE',
  'offer for a purchase': 'SELECT points FROM @dim_redemptions WHERE id = 1 FOR SHARE',
  'balance of a user': `SELECT u.id, u.name, b.balance FROM public.dim_users u
    LEFT JOIN @fact_balance_points b ON b.user_id = u.id ORDER BY u.id`,
  history: `SELECT source_type, user_id, name_friendly, description_friendly, quantity, date, img
    FROM @vw_hist_accum_redem WHERE date >= '2025-01-01Z' AND date < '2025-12-31Z'
    ORDER BY date DESC, user_id, quantity, source_type, name_friendly`,
  'history of one': `SELECT * FROM @vw_hist_accum_redem WHERE user_id = 14
    ORDER BY date DESC NULLS LAST, quantity`,
  'who is premium': `SELECT DISTINCT user_id FROM @fact_redemptions WHERE expiration_date > NOW()
    ORDER BY user_id`,
  'radar categories': `SELECT DISTINCT condition1 FROM @fact_redemptions
    WHERE user_id = 16 AND redem_id = '0' AND expiration_date > NOW() ORDER BY condition1`,
  'may search products': `SELECT EXISTS (SELECT 1 FROM @fact_redemptions WHERE user_id = 16
    AND redem_id = '2' AND expiration_date > NOW()) AS entitled`,
  'purchases with names': `SELECT r.id, r.user_id, d.name_friendly, r.quantity FROM @fact_redemptions r
    JOIN @dim_redemptions d ON d.id::text = r.redem_id ORDER BY r.id`,
  dashboard: 'SELECT * FROM @v_user_dashboard ORDER BY user_id',
  'functions of others': `SELECT @fun_offer_points(d.id) AS points, @fun_offer_name(d.id) AS name
    FROM @dim_redemptions d ORDER BY d.id`,
  'trust score': `SELECT user_id, count(*) AS entries, sum(quantity) AS points
    FROM @fact_accumulations WHERE accum_type = 'receipts' GROUP BY user_id ORDER BY user_id`,
};

export interface Reading {
  /** `name type` of each column */
  columns: string[];
  rows: unknown[];
}

/** Every reader's answer. In a transaction, because some lock what they read. */
export async function readAsBefore(
  bot: pg.Client,
  layout: Layout,
): Promise<Record<string, Reading>> {
  const readings: Record<string, Reading> = {};
  await bot.query('BEGIN');
  for (const [name, text] of Object.entries(READERS)) {
    const { fields, rows } = await bot.query(at(layout, text)).catch((error: Error) => {
      throw new Error(`legacy reader "${name}": ${error.message}`, { cause: error });
    });
    readings[name] = {
      columns: fields.map((field) => `${field.name} ${field.dataTypeID} ${field.dataTypeModifier}`),
      rows,
    };
  }
  await bot.query('ROLLBACK');
  return readings;
}

/** The columns that the services with rights on single columns read. */
export async function readAsReader(reader: pg.Client, layout: Layout): Promise<unknown[]> {
  const texts = [
    'SELECT id, name_friendly, points FROM @dim_redemptions ORDER BY id',
    `SELECT user_id, redem_id, condition1, expiration_date FROM @fact_redemptions
     WHERE expiration_date IS NOT NULL ORDER BY user_id, redem_id, condition1, expiration_date`,
    'SELECT user_id, balance FROM @fact_balance_points ORDER BY user_id, balance',
  ];
  const answers: unknown[] = [];
  for (const text of texts) answers.push((await reader.query(at(layout, text))).rows);
  for (const text of [
    'SELECT img FROM @dim_redemptions',
    'SELECT quantity FROM @fact_redemptions',
    'UPDATE @fact_balance_points SET balance = 0',
    'SELECT FROM @fact_accumulations',
  ]) {
    const refused = await reader.query(at(layout, text)).then(
      () => `${text} is allowed`,
      (error: pg.DatabaseError) => error.code,
    );
    answers.push(refused);
  }
  return answers;
}

/** The writers, over one session. Amounts are whole unless they are text. */
export function legacyWriters(bot: pg.Client, layout: Layout) {
  const run = (text: string, ...values: unknown[]) => bot.query(at(layout, text), values);
  return {
    /** an invoice was uploaded */
    async earn(user: number | null, points: number | string, type = 'receipts'): Promise<void> {
      await run(
        `INSERT INTO @fact_accumulations
           (user_id, accum_id, accum_type, accum_key, dtype, quantity, date)
         VALUES ($1, 0, $3, 'CUFE-99', 'points', $2, (now() AT TIME ZONE 'UTC'))`,
        user,
        points,
        type,
      );
    },
    async earnUndated(user: number, points: number | string): Promise<number> {
      const { rows } = await run(
        `INSERT INTO @fact_accumulations (user_id, accum_type, dtype, quantity)
         VALUES ($1, 'survey', 'points', $2) RETURNING id`,
        user,
        points,
      );
      return rows[0].id;
    },
    /** a play that won nothing */
    async play(user: number): Promise<void> {
      await run(
        `INSERT INTO @fact_accumulations (user_id, accum_id, accum_type, dtype, quantity, date)
         VALUES ($1, 10, 'daily_game', 'points', 0, now())`,
        user,
      );
    },
    /** points of another kind, and of no kind */
    async earnOtherKinds(user: number): Promise<void> {
      await run(
        `INSERT INTO @fact_accumulations (user_id, accum_type, dtype, quantity, date)
         VALUES ($1, 'xp', 'xp', 5, now()), ($1, 'mystery', NULL, 5, now())`,
        user,
      );
    },
    async setBalance(user: number, balance: number | string): Promise<void> {
      await run(
        'UPDATE @fact_balance_points SET balance = $2, latest_update = now() WHERE user_id = $1',
        user,
        balance,
      );
    },
    async upsertBalance(user: number, balance: number | string): Promise<void> {
      await run(
        `INSERT INTO @fact_balance_points (user_id, balance, latest_update) VALUES ($1, $2, now())
         ON CONFLICT (user_id) DO UPDATE
           SET balance = EXCLUDED.balance, latest_update = EXCLUDED.latest_update`,
        user,
        balance,
      );
    },
    /** the bot's purchase: false when the balance does not cover it; `pause` runs midway */
    async purchase(
      user: number,
      offer: number,
      points: number | string,
      pause?: () => Promise<unknown>,
    ): Promise<boolean> {
      await bot.query('BEGIN');
      try {
        const { rows } = await run(
          'SELECT balance FROM @fact_balance_points WHERE user_id = $1 FOR UPDATE',
          user,
        );
        const enough = Number(rows[0]?.balance ?? 0) >= Number(points);
        if (enough) {
          await pause?.();
          await run(
            `UPDATE @fact_balance_points SET balance = balance - $2, latest_update = now()
             WHERE user_id = $1`,
            user,
            points,
          );
          await pause?.();
          await run(
            `INSERT INTO @fact_redemptions (user_id, redem_id, quantity, date, condition1)
             VALUES ($1, $2, $3, now(), 'Canjeado')`,
            user,
            String(offer),
            points,
          );
        }
        await bot.query('COMMIT');
        return enough;
      } catch (error) {
        await bot.query('ROLLBACK');
        throw error;
      }
    },
    async subscribe(user: number): Promise<void> {
      await run(
        `INSERT INTO @fact_redemptions
           (user_id, redem_id, quantity, date, expiration_date, condition1)
         VALUES ($1, 'red_radarofertas', 1, now(), now() + interval '10 years', NULL)`,
        user,
      );
    },
    async renew(user: number): Promise<number | null> {
      const { rowCount } = await run(
        `UPDATE @fact_redemptions SET expiration_date = '2060-01-01Z'
         WHERE user_id = $1 AND redem_id = 'red_radarofertas'`,
        user,
      );
      return rowCount;
    },
    /** a new offer; where ids do not count by themselves, marketing takes the next one */
    async addOffer(name: string, points: number | null): Promise<number> {
      const text =
        layout === 'public'
          ? `INSERT INTO @dim_redemptions (name, name_friendly, points) VALUES ($1::text, $1::text, $2)
             RETURNING id`
          : `INSERT INTO @dim_redemptions (id, name, name_friendly, points)
             SELECT max(id) + 1, $1::text, $1::text, $2::int4 FROM @dim_redemptions RETURNING id`;
      return (await run(text, name, points)).rows[0].id;
    },
    async editOffer(id: number, name: string, points: number | null): Promise<void> {
      await run(
        'UPDATE @dim_redemptions SET name_friendly = $2, points = $3 WHERE id = $1',
        id,
        name,
        points,
      );
    },
    async upsertOffer(id: number, name: string, points: number): Promise<void> {
      await run(
        `INSERT INTO @dim_redemptions (id, name, name_friendly, points, valid_to)
         VALUES ($1, $2::text, $2::text, $3, '2080-01-01Z')
         ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, points = EXCLUDED.points,
           name_friendly = EXCLUDED.name_friendly, valid_to = EXCLUDED.valid_to`,
        id,
        name,
        points,
      );
    },
    /** an offer's row as this layout's services see it */
    async offer(id: number): Promise<Record<string, unknown>> {
      return (await run('SELECT * FROM @dim_redemptions WHERE id = $1', id)).rows[0];
    },
    async balance(user: number): Promise<string | null | undefined> {
      const text = 'SELECT balance FROM @fact_balance_points WHERE user_id = $1';
      return (await run(text, user)).rows[0]?.balance;
    },
  };
}

export type LegacyWriters = ReturnType<typeof legacyWriters>;

/** Every writer once; what each answered and what the balances are then. */
export async function everyWriter(w: LegacyWriters): Promise<unknown[]> {
  const id = await w.addOffer('Nueva', 12);
  const priceless = await w.addOffer('Sin precio aún', null);
  await w.editOffer(20, 'Cine 2×1', 25);
  await w.editOffer(22, 'Futura', null);
  await w.upsertOffer(100, 'Regalo nuevo', 55);
  await w.upsertOffer(150, 'Otro', 9);
  await w.earn(1001, 1);
  await w.earn(1001, '0.25', 'gamification');
  await w.earnUndated(1002, 4);
  await w.play(1003);
  await w.earnOtherKinds(1003);
  await w.earn(null, 3);
  const done = [await w.purchase(1004, 20, 20), await w.purchase(8, 20, 20)];
  await w.setBalance(1005, 500);
  await w.upsertBalance(1006, 77);
  await w.upsertBalance(8888, 5);
  await w.subscribe(1007);
  const renewed = await w.renew(15);
  const balances: unknown[] = [];
  for (const user of [1, 8, 15, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 8888]) {
    balances.push([user, Number(await w.balance(user))]);
  }
  const offers: unknown[] = [];
  for (const offer of [id, priceless, 20, 22, 100, 150]) {
    // whatever the old columns' defaults are, ours may date a new row
    const { update_date: _, created_at: __, ...row } = await w.offer(offer);
    offers.push(row);
  }
  return [id, priceless, done, renewed, balances, offers];
}

/** A member's history as the old app shows it; the name only of what was bought. */
export async function historyOf(bot: pg.Client, layout: Layout, user: number): Promise<string[]> {
  const { rows } = await bot.query(
    at(layout, 'SELECT * FROM @vw_hist_accum_redem WHERE user_id = $1'),
    [user],
  );
  return rows.map(({ source_type, quantity, name_friendly }) =>
    [source_type, Number(quantity), source_type === 'Redención' ? name_friendly : []]
      .flat()
      .join(' '),
  );
}
