/** The old programs at work: readers and writers at a bounded rate, every statement timed. */

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { LEGACY_ROLE, prefixOf, type Size } from './fill.ts';

export type Kind = 'read' | 'write';

/** One statement, from sending it to its answer. */
export interface Timed {
  kind: Kind;
  name: string;
  /** as `performance.now()` says */
  at: number;
  ms: number;
  /** SQLSTATE, or `lost` when the connection broke */
  error?: string;
}

export interface Rates {
  /** a second, over all readers */
  reads: number;
  /** a second, over all writers */
  writes: number;
}

const WORKERS = { read: 10, write: 10 };
const PURCHASE_SHARE = 0.4;
const RECONNECT_MS = 200;
/** The connection ended, or was ended: what became of the statement is not known. */
const LOST = /^(08|57P0)/;

/** Connections that somebody else ended. */
const cutOff = new WeakSet<pg.Client>();

type Statement = { name: string; text: string };

export class Traffic {
  readonly timed: Timed[] = [];
  /** what became of each member's balance by what was acknowledged */
  readonly deltas = new Map<number, number>();
  /** members with a write of which nobody knows whether it was done */
  readonly doubtful = new Set<number>();
  /** messages of the first error of each kind */
  readonly complaints = new Map<string, string>();
  earned = 0;
  bought = 0;

  readonly #url: string;
  readonly #size: Size;
  readonly #rates: Rates;
  readonly #statements: Record<string, Statement>;
  /** members whose balance is what ledger and purchases make: any other the old trigger changes */
  readonly #members: number[];
  readonly #busy = new Set<number>();
  #running = false;
  #workers: Promise<void>[] = [];

  constructor(url: string, size: Size, rates: Rates, members: number[]) {
    this.#url = url;
    this.#size = size;
    this.#rates = rates;
    this.#members = members;
    this.#statements = statements(prefixOf(size.layout));
  }

  start(): void {
    this.#running = true;
    this.#workers = (['read', 'write'] as const).flatMap((kind) => {
      const rate = kind === 'read' ? this.#rates.reads : this.#rates.writes;
      const count = Math.min(WORKERS[kind], Math.ceil(rate));
      return Array.from({ length: count }, () => this.#work(kind, (1000 * count) / rate));
    });
  }

  /** Returns when the last statement was answered. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
  }

  /** One connection: one operation every `period` milliseconds, or later while it has to wait. */
  async #work(kind: Kind, period: number): Promise<void> {
    let client: pg.Client | undefined;
    let due = performance.now() + Math.random() * period;
    while (this.#running) {
      await sleep(Math.max(0, due - performance.now()));
      due = Math.max(due + period, performance.now());
      if (client !== undefined && cutOff.has(client)) {
        this.complaints.set(`${kind} between statements`, 'the connection was ended');
        client = undefined;
      }
      try {
        client ??= await connectAs(this.#url);
        await (kind === 'read' ? this.#read(client) : this.#write(client));
      } catch (error) {
        const code = codeOf(error);
        this.complaints.set(`${kind} ${code}`, (error as Error).message);
        if (code !== 'lost' && !LOST.test(code)) {
          await client?.query('ROLLBACK').catch(() => undefined);
          continue;
        }
        await client?.end().catch(() => undefined);
        client = undefined;
        await sleep(RECONNECT_MS);
      }
    }
    await client?.end();
  }

  async #read(client: pg.Client): Promise<void> {
    const user = this.#anyMember();
    const chance = Math.random();
    if (chance < 0.4) await this.#run(client, 'read', 'balance', [user]);
    else if (chance < 0.6) await this.#run(client, 'read', 'catalogue', []);
    else if (chance < 0.8) await this.#run(client, 'read', 'premium', [user]);
    // a page of the history by member is a scan of the whole ledger without its index
    else if (this.#size.userIndex) await this.#run(client, 'read', 'history', [user]);
    else await this.#run(client, 'read', 'balance', [user]);
  }

  /** Never two writes for one member at once: the old trigger would lose one of them. */
  async #write(client: pg.Client): Promise<void> {
    const user = this.#anyMember();
    if (this.#busy.has(user) || this.doubtful.has(user)) return;
    this.#busy.add(user);
    try {
      if (Math.random() < PURCHASE_SHARE) await this.#buy(client, user);
      else await this.#earn(client, user);
    } finally {
      this.#busy.delete(user);
    }
  }

  async #earn(client: pg.Client, user: number): Promise<void> {
    await this.#deciding(user, () =>
      this.#run(client, 'write', 'earn', [user, `k${user}-${performance.now()}`]),
    );
    this.earned += 1;
    this.#count(user, 1);
  }

  async #buy(client: pg.Client, user: number): Promise<void> {
    const points = 1 + (user % 3);
    await this.#run(client, 'write', 'begin', []);
    const { rows } = await this.#run(client, 'write', 'lock balance', [user]);
    if (rows.length === 0 || Number(rows[0].balance) < points) {
      await this.#run(client, 'write', 'rollback', []);
      return;
    }
    await this.#run(client, 'write', 'take points', [user, points]);
    await this.#run(client, 'write', 'purchase', [user, String(1 + (user % 12)), points]);
    const { command } = await this.#deciding(user, () => this.#run(client, 'write', 'commit', []));
    if (command !== 'COMMIT') throw new Error(`COMMIT was answered with ${command}`);
    this.bought += 1;
    this.#count(user, -points);
  }

  /** The statement after which something holds; if its answer never comes, nobody knows. */
  async #deciding<T>(user: number, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const code = codeOf(error);
      if (code === 'lost' || LOST.test(code)) this.doubtful.add(user);
      throw error;
    }
  }

  async #run(client: pg.Client, kind: Kind, name: string, values: unknown[]) {
    const statement = this.#statements[name];
    if (statement === undefined) throw new Error(`no statement ${name}`);
    const at = performance.now();
    const entry: Timed = { kind, name, at, ms: 0 };
    try {
      return await client.query({ ...statement, values });
    } catch (error) {
      entry.error = codeOf(error);
      throw error;
    } finally {
      entry.ms = performance.now() - at;
      this.timed.push(entry);
    }
  }

  #count(user: number, points: number): void {
    this.deltas.set(user, (this.deltas.get(user) ?? 0) + points);
  }

  #anyMember(): number {
    return this.#members[Math.floor(Math.random() * this.#members.length)] ?? 1;
  }
}

const codeOf = (error: unknown): string =>
  error instanceof pg.DatabaseError ? (error.code ?? 'lost') : 'lost';

/** A session with the rights of the old programs, which prepare their statements and keep them. */
async function connectAs(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'lumis_bench_traffic',
    options: `-c role=${LEGACY_ROLE}`,
  });
  client.on('error', () => cutOff.add(client)); // a statement under way reports it too
  await client.connect();
  return client;
}

function statements(p: string): Record<string, Statement> {
  const texts = {
    balance: `SELECT balance FROM ${p}fact_balance_points WHERE user_id = $1`,
    catalogue: `SELECT id, name, name_friendly, description_friendly, points, valid_from, valid_to,
      img FROM ${p}dim_redemptions WHERE valid_from <= now() AND valid_to > now() ORDER BY points`,
    premium: `SELECT EXISTS (SELECT 1 FROM ${p}fact_redemptions WHERE user_id = $1
      AND redem_id = 'red_radarofertas' AND expiration_date > now()) AS premium`,
    history: `SELECT source_type, name_friendly, description_friendly, quantity, date, img
      FROM ${p}vw_hist_accum_redem WHERE user_id = $1 ORDER BY date DESC LIMIT 50`,
    earn: `INSERT INTO ${p}fact_accumulations
      (user_id, accum_id, accum_type, accum_key, dtype, quantity, date)
      VALUES ($1, 0, 'receipts', $2, 'points', 1, now())`,
    'lock balance': `SELECT balance FROM ${p}fact_balance_points WHERE user_id = $1 FOR UPDATE`,
    'take points': `UPDATE ${p}fact_balance_points SET balance = balance - $2, latest_update = now()
      WHERE user_id = $1`,
    purchase: `INSERT INTO ${p}fact_redemptions (user_id, redem_id, quantity, date, condition1)
      VALUES ($1, $2, $3, now(), 'Canjeado')`,
    begin: 'BEGIN',
    commit: 'COMMIT',
    rollback: 'ROLLBACK',
  };
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, { name: `legacy ${name}`, text }]),
  );
}
