/** Redemptions to be confirmed: handed out once each, and made when there are not enough. */

import type pg from 'pg';
import { redemptionId } from './fill.ts';
import type { Filled } from './scene.ts';
import { withClient } from './stage.ts';

/** Numbers of redemptions, both included. */
export interface Range {
  from: number;
  to: number;
}

const STEP = 20_000;

/**
 * The filled ones first; then new ones, which are written as the filled ones were, with their
 * ledger entries, audit rows and events. Those of a hot merchant are always new.
 */
export class Pendings {
  readonly #filled: Filled;
  readonly #say: (text: string) => void;
  /** the first of the filled ones after which nobody has any; known after the first look */
  #next: number | undefined;

  constructor(filled: Filled, say: (text: string) => void) {
    this.#filled = filled;
    this.#say = say;
  }

  /** So many in a row, of all merchants, or of the one whose number is not 0. */
  async take(count: number, merchant: number): Promise<Range> {
    const { url, size } = this.#filled;
    return withClient(url, async (client) => {
      this.#next ??= await firstPending(client, size.pending);
      if (merchant === 0 && this.#next + count - 1 <= size.pending) {
        const from = this.#next;
        this.#next += count;
        return { from, to: from + count - 1 };
      }
      const from = (await lastNumber(client)) + 1;
      const began = performance.now();
      await make(client, this.#filled, { from, to: from + count - 1 }, merchant);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      this.#say(`made ${count} pending redemptions in ${seconds} s`);
      return { from, to: from + count - 1 };
    });
  }

  /** What was taken last and not used: from this number on. */
  async giveBack(unused: number, { to }: Range): Promise<void> {
    if (this.#next === to + 1) this.#next = unused;
  }
}

/** An earlier run in the same database used some, and may have left gaps between them. */
async function firstPending(client: pg.Client, pending: number): Promise<number> {
  const { rows } = await client.query(
    `SELECT redemption_id FROM rewards.user_redemptions
     WHERE redemption_id BETWEEN $1 AND $2 AND redemption_status <> 'pending'
     ORDER BY redemption_id DESC LIMIT 1`,
    [redemptionId(1), redemptionId(pending)],
  );
  return rows[0] ? numberOf(rows[0].redemption_id) + 1 : 1;
}

async function lastNumber(client: pg.Client): Promise<number> {
  const { rows } = await client.query(
    `SELECT redemption_id FROM rewards.user_redemptions WHERE redemption_id BETWEEN $1 AND $2
     ORDER BY redemption_id DESC LIMIT 1`,
    [redemptionId(1), redemptionId(2 ** 48 - 1)],
  );
  return rows[0] ? numberOf(rows[0].redemption_id) : 0;
}

const numberOf = (id: string) => Number.parseInt(id.slice(-12), 16);

async function make(client: pg.Client, { size }: Filled, range: Range, merchant: number) {
  for (let from = range.from; from <= range.to; from += STEP) {
    const to = Math.min(range.to, from + STEP - 1);
    const { offers, merchants, members } = size;
    await client.query(MAKE, [from, to, offers, merchants, members, merchant]);
  }
}

const MAKE = `
  WITH numbered AS (
    SELECT n, 'LUMS' || regexp_replace(upper(substr(md5('pending ' || n), 1, 16)), '(.{4})', '-\\1',
        'g') AS code,
      translate(encode(decode(md5('token of ' || n), 'hex'), 'base64'), '+/=', '-_') AS token,
      ('00000000-0000-4000-8003-' || lpad(to_hex(n), 12, '0'))::uuid AS redemption_id,
      1 + ((n * 7919) % $5::bigint)::integer AS user_id,
      ('00000000-0000-4000-8001-' || lpad(to_hex(CASE
        WHEN $6::bigint > 0 THEN $6 + (n % ($3::bigint / $4::bigint)) * $4
        ELSE 1 + n % $3 END), 12, '0'))::uuid AS offer_id
    FROM generate_series($1::bigint, $2::bigint) AS n
  ), made AS (
    INSERT INTO rewards.user_redemptions (redemption_id, user_id, offer_id, lumis_spent,
      redemption_code, code_expires_at, created_at, offer_name, merchant_id, on_expiry, landing_token,
      changed_by)
    SELECT i.redemption_id, i.user_id, i.offer_id, o.lumis_cost, i.code,
      now() + interval '1 day', now(), o.name_friendly, o.merchant_id, o.on_expiry, i.token,
      jsonb_build_object('type', 'user', 'id', i.user_id::text, 'request_id', 'bench')
    FROM numbered i JOIN rewards.redemption_offers o USING (offer_id)
    RETURNING *
  ), spend AS (
    INSERT INTO public.fact_accumulations
      (user_id, accum_type, dtype, quantity, date, redemption_id, kind)
    SELECT m.user_id, 'redemption', 'points', -m.lumis_spent, now(), m.redemption_id, 'spend'
    FROM made m
  ), event AS (
    INSERT INTO lumis.events
      (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
    SELECT 'redemption.created', m.redemption_id, 1, m.user_id, m.merchant_id, m.offer_id,
      jsonb_build_object('lumis_spent', m.lumis_spent, 'offer_name', m.offer_name)
    FROM made m
  )
  UPDATE rewards.redemption_offers o
  SET stock_quantity = greatest(o.stock_quantity - t.units, 0), stock_held = o.stock_held + t.units
  FROM (SELECT m.offer_id, count(*)::integer AS units FROM made m GROUP BY m.offer_id) t
  WHERE o.offer_id = t.offer_id`;
