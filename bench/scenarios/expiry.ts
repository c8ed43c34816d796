/** Very many codes that fall due at once: how fast they are booked, and what redeems notice of it. */

import { setTimeout as sleep } from 'node:timers/promises';
import { askOurs, countOf, jobOn, warmNode } from '../actors.ts';
import { type LoadJob, type LoadResult, startLoad } from '../load.ts';
import { emptyOutcome, judge } from '../measure.ts';
import type { Filled, Row, Scenario, Scene } from '../scene.ts';
import { withClient } from '../stage.ts';
import { faultsOf, verify } from './checks.ts';

const DATABASE = 'bench_expiry';
const CLIENTS = 16;
/** Of what this machine can do: traffic as on a busy day, not a queue that grows at any disturbance. */
const SHARE = 1 / 3;
/** How often somebody looks whether all are booked. */
const LOOK_MS = 500;
const DUE = `redemption_status = 'pending' AND code_expires_at <= now()`;
const BOOKED = `SELECT count(*)::integer AS rows,
    extract(epoch FROM max(created_at) - min(created_at))::float AS seconds
  FROM lumis.events WHERE type = 'redemption.expired' AND (xid, id) > ($1::xid8, $2)`;

/** All pending codes of a copy of the filled database expire, while others redeem. */
export const expiry: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  const { stage } = scene;
  const filled = await copyOf(scene);
  const node = await warmNode(scene, filled);
  // in quiet too: what it does each time somebody redeems is no part of the question
  let worker = await stage.node(filled.url, { roles: 'worker' });
  const wishes = [{ kind: 'redeem' as const }];
  const most = await askOurs(scene, filled, [node.url], { connections: CLIENTS, wishes });
  const pace = Math.max(1, Math.round(most.rate * SHARE));
  const load = { connections: CLIENTS, wishes, pace };
  const seconds = scene.smoke ? 3 : 30;
  const rest = () => askOurs(scene, filled, [node.url], { ...load, seconds });
  const before = await rest();
  await worker.stop();
  const codes = await makeDue(filled.url);
  scene.say(`expiry: ${codes} codes are due`);
  const bare = await bareUpdate(filled.url);
  const newest = await newestEvent(filled.url);
  worker = await stage.node(filled.url, { roles: 'worker' });
  const job = { ...jobOn(filled, [node.url]), ...load };
  const { ours, busy } = await book(scene, filled, newest, job);
  // the quieter of two: the first touch of a page after a copy costs more than all later ones
  const after = await rest();
  const quiet = after.latency.p99 < before.latency.p99 ? after : before;
  await Promise.all([node.stop(), worker.stop()]);

  for (const result of [most, before, busy, after]) outcome.wrong.push(...faultsOf(result));
  if (ours.rows !== codes) outcome.wrong.push(`${ours.rows} of ${codes} codes were booked`);
  const broken = await verify(filled.url);
  if (broken) outcome.wrong.push(broken);
  await scene.stage.drop(DATABASE);
  outcome.rows.push(
    bookedRow('bare UPDATE', filled, bare, codes),
    bookedRow('ours, with refund, stock, audit and event', filled, ours.rate, codes),
    redeemRow('quiet', filled, quiet, pace),
    redeemRow('while the codes are booked', filled, busy, pace),
  );
  outcome.notes.push(
    `expiry: ${codes} codes in ${ours.seconds.toFixed(1)} s; a bare UPDATE of the same rows books ` +
      `${(bare / ours.rate).toFixed(1)} times as many a second`,
  );
  outcome.verdicts.push(
    ...judge('redeem: p99 while codes are booked ÷ quiet', busy.latency.p99 / quiet.latency.p99, {
      atMost: 2,
    }),
  );
  return outcome;
};

/** The filled database is still needed as it is. */
async function copyOf({ stage, filled }: Scene): Promise<Filled> {
  await stage.drop(DATABASE);
  await withClient(stage.serverUrl, (client) =>
    client.query(`CREATE DATABASE ${DATABASE} TEMPLATE ${filled.name} STRATEGY file_copy`),
  );
  return { ...filled, name: DATABASE, url: await stage.database(DATABASE) };
}

/** As support may do it. Returns how many. */
async function makeDue(databaseUrl: string): Promise<number> {
  return withClient(databaseUrl, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE rewards.user_redemptions
       SET code_expires_at = now() - interval '1 hour' * random() - interval '1 second'
       WHERE redemption_status = 'pending'`,
    );
    await client.query('VACUUM ANALYZE rewards.user_redemptions');
    await client.query('CHECKPOINT');
    return rowCount ?? 0;
  });
}

/** The same rows by one statement, with triggers resting; undone. Rows a second. */
async function bareUpdate(databaseUrl: string): Promise<number> {
  return withClient(databaseUrl, async (client) => {
    // read once, so that both find the pages in memory
    await countOf(client, `SELECT count(*) FROM rewards.user_redemptions WHERE ${DUE}`);
    await client.query('BEGIN');
    await client.query('SET LOCAL session_replication_role = replica');
    const began = performance.now();
    const { rowCount } = await client.query(
      `UPDATE rewards.user_redemptions SET redemption_status = 'expired', closed_at = now()
       WHERE ${DUE}`,
    );
    const seconds = (performance.now() - began) / 1000;
    await client.query('ROLLBACK');
    await client.query('VACUUM rewards.user_redemptions');
    await client.query('CHECKPOINT');
    return (rowCount ?? 0) / seconds;
  });
}

async function newestEvent(databaseUrl: string): Promise<{ xid: string; id: number }> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query(
      'SELECT xid::text, id FROM lumis.events ORDER BY events.xid DESC, id DESC LIMIT 1',
    );
    return rows[0] ?? { xid: '0', id: 0 };
  });
}

/** Starts a load, and what the worker would begin at the next minute; ends when all are booked. Counts from an event. */
async function book(
  { say }: Scene,
  { url }: Filled,
  { xid, id }: { xid: string; id: number },
  job: LoadJob,
) {
  return withClient(url, async (client) => {
    const meanwhile = startLoad(job);
    await client.query(`SELECT lumis_worker.add_job('expire')`);
    const began = performance.now();
    // done jobs are deleted; to ask for due codes instead would cost as much as to book them
    const isUnderWay = `SELECT count(*) FROM lumis_worker.jobs WHERE task_identifier = 'expire'`;
    const look = () => countOf(client, isUnderWay);
    for (let told = began; (await look()) > 0; await sleep(LOOK_MS)) {
      if (performance.now() - told < 30_000) continue;
      told = performance.now();
      say(`expiry: under way for ${Math.round((told - began) / 1000)} s`);
    }
    meanwhile.stop();
    const busy = await meanwhile.result;
    const { rows } = await client.query(BOOKED, [xid, id]);
    const { rows: booked, seconds } = rows[0];
    return { ours: { rows: booked, seconds, rate: booked / seconds }, busy };
  });
}

function bookedRow(side: string, { label }: Filled, rate: number, codes: number): Row {
  const note = `rows a second, of ${codes}`;
  return { what: 'expiry', side, clients: 1, size: label, rates: [rate], latencies: [], note };
}

function redeemRow(when: string, { label }: Filled, result: LoadResult, pace: number): Row {
  return {
    what: `redeem, spread, ${when}`,
    side: 'ours',
    clients: CLIENTS,
    size: label,
    rates: [result.rate],
    latencies: [result.latency],
    note: `${pace} a second were asked for`,
  };
}
