/** Fills an empty database as years of use would have, in minutes and with all invariants kept. */

import { availableParallelism } from 'node:os';
import type pg from 'pg';
import { migrationStates } from '../src/db/migrate.ts';
import { digestOf } from '../src/devices/token.ts';
import { hashSecret } from '../src/merchants/proof.ts';
import { refuseUnfit } from './fill/look.ts';
import { BENCH_SECRET, type Size } from './fill/names.ts';
import { redemptionsSql } from './fill/redemptions.ts';
import { balancesSql, catalogueSql, keysSql, membersSql, usedSql } from './fill/rest.ts';
import {
  BIG_TABLES,
  describeSchema,
  requireSchema,
  restoreKeys,
  takeIndexesDown,
} from './fill/schema.ts';
import { type Crew, inSlices, inTurn, openCrew, prepareWorkers, type Say } from './fill/work.ts';
import { loopbackOnly } from './loopback.ts';

export * from './fill/names.ts';

/** Redemptions of one statement: some fifty megabytes on their way through the server's memory. */
const SLICE_ROWS = 40_000;
const WORKERS_MAX = 4;

/**
 * Fills an empty, migrated database of this machine to a size and tells about it every few seconds.
 * `size` in table bench.about says afterwards what it holds. Triggers rest meanwhile and indexes are
 * built at the end; the schema that comes out is the one that went in. Returns the seconds it took.
 * Throws when the database is distant, not a superuser's, not migrated or not empty; a fill that
 * was interrupted leaves a database that is good for nothing but to be dropped, and says so.
 */
export async function fill(url: string, size: Size, say: Say): Promise<number> {
  const began = performance.now();
  const workers = Math.min(Math.max(availableParallelism(), 2), WORKERS_MAX);
  const crew = await openCrew(loopbackOnly(url), workers);
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  const broken = `the fill was interrupted: database ${name} is half filled, without indexes and \
with its triggers unheard. Drop it and begin anew: DROP DATABASE "${name}" WITH (FORCE)`;
  const onSignal = () => {
    say(broken);
    if (process.listenerCount('SIGINT') === 0) process.kill(process.pid, 'SIGINT');
  };
  try {
    const migrations = (await migrationStates(url)).map((state) => state.name);
    await refuseUnfit(crew.foreman, migrations);
    process.once('SIGINT', onSignal);
    await fillAll(crew, size, say).catch((cause) => {
      throw new Error(`${broken} (${cause.message})`, { cause });
    });
  } finally {
    process.removeListener('SIGINT', onSignal);
    await crew.end();
  }
  return (performance.now() - began) / 1000;
}

async function fillAll(crew: Crew, size: Size, say: Say): Promise<void> {
  const { foreman } = crew;
  const schema = await describeSchema(foreman);
  await foreman.query('CREATE SCHEMA bench');
  await foreman.query('CREATE TABLE bench.about (size jsonb, filled_at timestamptz)');
  await foreman.query('INSERT INTO bench.about (size) VALUES ($1)', [JSON.stringify(size)]);
  const { rows } = await foreman.query('SELECT clock_timestamp()::text AS now');
  const { now } = rows[0];
  await prepareWorkers(crew);
  const indexes = await takeIndexesDown(foreman);

  const { members, redemptions } = size;
  const slice = SLICE_ROWS;
  await inSlices(crew, 'members', { total: members, slice }, membersSql, [now], say);
  const sql = redemptionsSql(size);
  await inSlices(crew, 'redemptions', { total: redemptions, slice }, sql, [now], say);
  await inTurn(crew, 'totals', [usedSql, balancesSql], say);
  await writeCatalogue(crew.workers[0] as pg.Client, size, now);

  // before the indexes: it has only the tables to read, and whoever builds an index on them then
  // finds what it needs to know of each row
  const vacuums = BIG_TABLES.map((table) => `VACUUM (FREEZE, ANALYZE) ${table}`);
  await inTurn(crew, 'vacuum', vacuums, say);
  await inTurn(
    crew,
    'indexes',
    indexes.map((index) => index.create),
    say,
  );
  await restoreKeys(foreman, indexes);
  const keys = { total: size.keys ?? 0, slice };
  if (keys.total > 0) await inSlices(crew, 'keys', keys, keysSql(size), [now], say);
  await moveSequences(foreman);
  await foreman.query('DROP TABLE bench.used');
  await requireSchema(foreman, schema);
  await inTurn(crew, 'the rest', ['VACUUM (ANALYZE, SKIP_LOCKED)', 'CHECKPOINT'], say);
  await foreman.query('UPDATE bench.about SET filled_at = clock_timestamp()');
}

async function writeCatalogue(client: pg.Client, size: Size, now: string): Promise<void> {
  const hashes = { key: await hashSecret(BENCH_SECRET), device: digestOf(BENCH_SECRET) };
  for (const statement of catalogueSql(size, now, hashes)) await client.query(statement);
}

/** What the engine writes next comes behind what was written here, and the dispatcher is there. */
async function moveSequences(client: pg.Client): Promise<void> {
  await client.query(`
    SELECT setval(pg_get_serial_sequence(s.tab, s.col), s.top) FROM (
      SELECT 'rewards.redemption_audit_log', 'log_id', max(log_id)
        FROM rewards.redemption_audit_log
      UNION ALL SELECT 'lumis.events', 'id', max(id) FROM lumis.events
      UNION ALL SELECT 'public.fact_accumulations', 'id', max(id) FROM public.fact_accumulations
    ) AS s(tab, col, top) WHERE s.top IS NOT NULL;
    UPDATE lumis.event_cursors c SET (xid, id) = (SELECT e.xid, e.id FROM lumis.events e
      ORDER BY e.xid DESC, e.id DESC LIMIT 1)
    WHERE c.reader = 'dispatcher' AND EXISTS (SELECT FROM lumis.events)`);
}
