import pg from 'pg';

export type Say = (text: string) => void;

/** How often a step says how far it has come. */
const SAY_MS = 3000;
const UNDER_WAY = `SELECT format('%s: %s, %s %%', p.relid::regclass, p.phase,
    round(100.0 * greatest(p.tuples_done::numeric / nullif(p.tuples_total, 0),
      p.blocks_done::numeric / nullif(p.blocks_total, 0)))) AS text
  FROM pg_stat_progress_create_index p WHERE p.datname = current_database()
  UNION ALL
  SELECT format('%s: %s, %s %%', p.relid::regclass, p.phase,
    round(100.0 * p.heap_blks_scanned / nullif(p.heap_blks_total, 0)))
  FROM pg_stat_progress_vacuum p WHERE p.datname = current_database()`;

/** Sessions that work side by side, and one more that looks on. */
export interface Crew {
  workers: pg.Client[];
  /** does nothing but short statements, so that it can tell of the others */
  foreman: pg.Client;
  end(): Promise<void>;
}

/** Opens `count` workers whose rows no trigger sees. Needs a superuser. */
export async function openCrew(url: string, count: number): Promise<Crew> {
  const all = Array.from({ length: count + 1 }, () => {
    const client = new pg.Client({ connectionString: url, application_name: 'lumis_fill' });
    client.on('error', () => undefined); // the statement under way reports it
    return client;
  });
  const end = async () => {
    await Promise.allSettled(all.map((client) => client.end()));
  };
  try {
    await Promise.all(all.map((client) => client.connect()));
    const [foreman, ...workers] = all as [pg.Client, ...pg.Client[]];
    return { workers, foreman, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What makes the workers quick; the memory is for each of two or four at a time. */
export async function prepareWorkers({ workers }: Crew): Promise<void> {
  for (const worker of workers) {
    await worker.query(`SET session_replication_role = replica; SET synchronous_commit = off;
      SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'; SET jit = off;
      SET statement_timeout = 0; SET max_parallel_maintenance_workers = 0;
      SET client_min_messages = warning`);
  }
}

/** Runs `sql` with the first and the last of each slice of 1 to `total`, and with `values`. */
export async function inSlices(
  crew: Crew,
  what: string,
  { total, slice }: { total: number; slice: number },
  sql: string,
  values: unknown[],
  say: Say,
): Promise<void> {
  const began = performance.now();
  let [next, done] = [1, 0];
  const tell = () => {
    const seconds = (performance.now() - began) / 1000;
    say(`${what}: ${format(done)} of ${format(total)}, ${format(done / seconds)} a second`);
  };
  const timer = setInterval(tell, SAY_MS);
  try {
    await together(crew, async (worker) => {
      while (next <= total) {
        const from = next;
        next += slice;
        const to = Math.min(from + slice - 1, total);
        await worker.query(sql, [from, to, ...values]);
        done += to - from + 1;
      }
    });
  } finally {
    clearInterval(timer);
  }
  tell();
}

/** Runs statements in their order, each on the first worker that is free. */
export async function inTurn(crew: Crew, what: string, sql: string[], say: Say): Promise<void> {
  const began = performance.now();
  const tasks = [...sql];
  let left = sql.length;
  const timer = setInterval(() => {
    const looked = crew.foreman.query(UNDER_WAY).then(({ rows }) => {
      say(`${what}: ${left} to go; ${rows.map((row) => row.text).join('; ')}`);
    });
    looked.catch(() => undefined); // the work itself reports that the server went away
  }, SAY_MS);
  try {
    await together(crew, async (worker) => {
      for (let task = tasks.shift(); task; task = tasks.shift()) {
        await worker.query(task);
        left -= 1;
      }
    });
  } finally {
    clearInterval(timer);
  }
  say(`${what}: ${sql.length} done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

/** All workers at once; the first failure is thrown after the others have stopped. */
async function together(crew: Crew, work: (worker: pg.Client) => Promise<void>): Promise<void> {
  const ended = await Promise.allSettled(crew.workers.map(work));
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}

export const format = (n: number): string => Math.round(n).toLocaleString('en-GB');
