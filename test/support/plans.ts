/** A database that tells by which plan each statement ran, those inside of functions too. */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isoTime } from '../../src/core/time.ts';
import type { Database } from '../../src/db/pool.ts';
import type { Statement } from '../../src/db/statement.ts';

/** One plan that was carried out. */
export interface Plan {
  /** the name of the statement that was sent; '' for one that is planned anew each time */
  statement: string;
  /** the text of the very query: another one inside of a function or trigger */
  query: string;
  /** the planner's estimate of all of it */
  cost: number;
  /** indexes that it reads, or asks about conflicts */
  indexes: string[];
  /** tables that it reads from end to end */
  scanned: string[];
  json: unknown;
}

export interface ExplainingDatabase extends Database {
  /** the plans since the last call */
  taken(): Plan[];
}

const OID = { int8: 20, numeric: 1700, timestamptz: 1184 } as const;
const AUTO_EXPLAIN = `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0;
  SET auto_explain.log_nested_statements = on; SET auto_explain.log_level = notice;
  SET auto_explain.log_format = json; SET auto_explain.log_triggers = off;
  SET client_min_messages = notice; SET datestyle = 'ISO'`;

/**
 * A Database of one session, as a superuser. `mode` says how named statements are planned: for the
 * values of this call, as the first five times, or for any values, as the driver's are afterwards.
 */
export async function explainingDatabase(
  url: string,
  mode: 'force_custom_plan' | 'force_generic_plan',
): Promise<ExplainingDatabase> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser } as never });
  await client.connect();
  await client.query(AUTO_EXPLAIN);
  let plans: Plan[] = [];
  let statement = '';
  client.on('notice', ({ message }) => {
    const [, json] = /^duration: .*? plan:\s*(\{.*)$/s.exec(message ?? '') ?? [];
    if (json) plans.push(readPlan(statement, JSON.parse(json)));
  });
  const run = async (asked: Statement) => {
    // what has no name is planned for its values always
    await client.query(`SET plan_cache_mode = ${asked.name ? mode : 'force_custom_plan'}`);
    statement = asked.name;
    return (await client.query(asked)).rows;
  };
  const runAll = async (steps: readonly Statement[]) => {
    await client.query('BEGIN');
    try {
      const results = [];
      for (const step of steps) results.push(await run(step));
      await client.query('COMMIT');
      return results;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
  };
  // whoever asks two things at once has them one after the other: a plan belongs to one of them
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
  const database: ExplainingDatabase = {
    lockTimeoutMs: 2000,
    query: (asked) => inTurn(() => run(asked)),
    transaction: (steps) => inTurn(() => runAll(steps)),
    lane: () => database,
    usage: () => ({ total: 1, idle: 1, waiting: 0 }),
    close: () => client.end(),
    taken() {
      const taken = plans.filter((plan) => plan.query !== '');
      plans = [];
      return taken;
    },
  };
  return database;
}

function readPlan(statement: string, json: { 'Query Text': string; Plan: Node }): Plan {
  const plan = { statement, query: json['Query Text'], cost: json.Plan['Total Cost'] };
  const nodes = nodesOf(json.Plan);
  const scans = nodes.filter((node) => node['Node Type'].endsWith('Seq Scan'));
  const indexes = nodes.flatMap((node) => [
    ...(node['Index Name'] ? [node['Index Name']] : []),
    ...(node['Conflict Arbiter Indexes'] ?? []),
  ]);
  return {
    ...plan,
    indexes: [...new Set(indexes)],
    scanned: scans.map((node) => node['Relation Name'] ?? ''),
    json: json.Plan,
  };
}

interface Node {
  'Node Type': string;
  'Total Cost': number;
  'Index Name'?: string;
  'Relation Name'?: string;
  'Conflict Arbiter Indexes'?: string[];
  Plans?: Node[];
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** As the pool of the server reads them: cursors are made of such values. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === OID.int8 || oid === OID.numeric) return Number;
  if (oid === OID.timestamptz) return isoTime;
  return pg.types.getTypeParser(oid, format as 'text');
}

/** Tables that grow with the programme: none is ever read from end to end. */
const BIG = new Set([
  'user_redemptions',
  'redemption_offers',
  'fact_accumulations',
  'balances',
  'redemption_audit_log',
  'events',
  'idempotency_keys',
  'members',
]);
/** The server's default of jit_above_cost: compiling would take longer than running. */
const COST_MAX = 100_000;

/**
 * Throws when one of the plans reads a big table from end to end or would be compiled, or when a
 * statement of `uses` does not read the indexes that it names, itself or by what it calls.
 */
export function requirePlans(
  plans: Plan[],
  uses: Record<string, string[]>,
  costMax = COST_MAX,
): void {
  for (const plan of plans) {
    const shown = `${plan.statement}: ${plan.query}\n${JSON.stringify(plan.json, null, 1)}`;
    const scanned = plan.scanned.filter((table) => BIG.has(table));
    assert.deepEqual(scanned, [], `reads a big table from end to end, in ${shown}`);
    assert.ok(plan.cost < costMax, `costs ${plan.cost}: it would be compiled first; ${shown}`);
  }
  for (const [statement, indexes] of Object.entries(uses)) {
    const of = plans.filter((plan) => plan.statement === statement);
    assert.ok(of.length > 0, `${statement} did not run: ${plans.map((one) => one.statement)}`);
    const read = of.flatMap((plan) => plan.indexes);
    const missing = indexes.filter((index) => !read.includes(index));
    const shown = of.map((plan) => JSON.stringify(plan.json, null, 1)).join('\n');
    assert.deepEqual(missing, [], `${statement} does not read ${missing}: ${shown}`);
  }
}

/**
 * How often each big table was read from end to end, as the server counts it: a session's count is
 * known when the session has ended, so all others are waited for.
 */
export async function countScans(url: string): Promise<Record<string, number>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (let others = 1; others > 0; await sleep(20)) {
      const { rowCount } = await client.query(`SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type = 'client backend'`);
      others = rowCount ?? 0;
    }
    const { rows } = await client.query(
      'SELECT relname, seq_scan::integer FROM pg_stat_user_tables WHERE relname = ANY ($1)',
      [[...BIG]],
    );
    return Object.fromEntries(rows.map((row) => [row.relname, row.seq_scan]));
  } finally {
    await client.end();
  }
}
