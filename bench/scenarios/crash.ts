/**
 * Kill -9 in the middle of a hot run, of a server of ours and of the whole of PostgreSQL: what was
 * acknowledged is there, and what was not is repeated with its key and has one effect.
 */

import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadResult, startLoad } from '../load.ts';
import { emptyOutcome } from '../measure.ts';
import type { Node } from '../node.ts';
import type { Scenario, Scene } from '../scene.ts';
import { withClient } from '../stage.ts';
import { parentOf } from '../usage.ts';
import { deadlocksIn, faultsOf, verify, watchLog } from './checks.ts';
import { prepareSale } from './sale.ts';

const DATABASE = 'bench_crash';
const CLIENTS = 64;
const MEMBERS = 10_000;
const EACH = 10_000;

export const crash: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  const { stage } = scene;
  const victims: [string, (nodes: Node[]) => void][] = [
    ['a server of ours', (nodes) => nodes[0]?.kill('SIGKILL')],
  ];
  // only a PostgreSQL of our own: it is started again by itself, and nobody else lives on it
  const { serverPid, serverLog } = stage;
  if (serverPid !== undefined && serverLog !== undefined) {
    victims.push(['PostgreSQL', () => killTree(serverPid)]);
  } else outcome.notes.push('crash: PostgreSQL was not killed, as it is not our own');
  for (const [victim, kill] of victims) {
    const what = `kill -9 of ${victim}`;
    scene.say(what);
    const { result, wrong, gap } = await runThrough(scene, kill);
    outcome.wrong.push(...wrong.map((text) => `${what}: ${text}`));
    const count = result.acknowledged?.length ?? 0;
    outcome.rows.push({
      what,
      side: 'ours, 2 servers',
      clients: CLIENTS,
      size: String(MEMBERS),
      rates: [result.rate],
      latencies: [result.latency],
      note: `nothing was made for ${Math.round(gap)} ms; ${result.repeated} requests repeated`,
    });
    outcome.verdicts.push({
      what: `${what}: acknowledged and lost, done twice, or broken`,
      wanted: '0',
      found: wrong.length > 0 ? wrong.join('; ') : `0 of ${count}`,
      ok: wrong.length === 0,
    });
  }
  return outcome;
};

/** A hot run with a killing in the middle, and what is wrong after it. */
async function runThrough(scene: Scene, kill: (nodes: Node[]) => void) {
  const { stage } = scene;
  await stage.drop(DATABASE);
  const url = await stage.database(DATABASE);
  const stock = MEMBERS * EACH;
  await prepareSale(url, { stock, members: MEMBERS, connections: CLIENTS, each: EACH });
  const nodes = [await stage.node(url), await stage.node(url)];
  const logged = watchLog(stage);
  const seconds = scene.smoke ? 6 : 20;
  const load = startLoad({
    urls: nodes.map((node) => node.url),
    connections: CLIENTS,
    seconds,
    wishes: [{ kind: 'redeem', offer: 1 }],
    offers: 1,
    merchants: 1,
    members: MEMBERS,
    run: 'crash',
    acknowledged: true,
    whenLost: 'repeat',
  });
  await sleep((seconds * 1000) / 3);
  kill(nodes);
  const result = await load.result;
  await Promise.all(nodes.map((node) => node.stop()));
  const { wrong, gap } = await compare(url, result);
  wrong.push(...faultsOf(result), ...logged(/PANIC|deadlock detected/));
  const deadlocks = await deadlocksIn(url);
  if (deadlocks > 0) wrong.push(`${deadlocks} deadlocks`);
  const broken = await verify(url);
  if (broken) wrong.push(broken);
  await stage.drop(DATABASE);
  return { result, wrong, gap };
}

/** What the clients were told against what the database holds. `gap` in milliseconds. */
async function compare(databaseUrl: string, { acknowledged = [], lost, repeated }: LoadResult) {
  const wrong: string[] = [];
  const told = new Set(acknowledged);
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query(
      `SELECT count(*)::integer AS made,
         count(*) FILTER (WHERE r.redemption_id = ANY ($1::uuid[])
           AND e.quantity = -r.lumis_spent)::integer AS kept,
         (SELECT count(DISTINCT k.answer->'done'->>'redemption_id')::integer
          FROM lumis.idempotency_keys k) AS keys,
         extract(epoch FROM max(r.gap))::float * 1000 AS gap
       FROM (SELECT *, created_at - lag(created_at) OVER (ORDER BY created_at) AS gap
             FROM rewards.user_redemptions) r
       LEFT JOIN public.fact_accumulations e
         ON e.redemption_id = r.redemption_id AND e.kind = 'spend'`,
      [[...told]],
    ),
  );
  const { made, kept, keys, gap } = rows[0];
  if (kept !== told.size) wrong.push(`${told.size} acknowledged, ${kept} of them in the database`);
  if (keys !== made) wrong.push(`${keys} keys have ${made} redemptions`);
  // each request was asked until it was answered, so that nobody's redemption is unknown to him
  if (made - told.size > lost) wrong.push(`${made - told.size} made that nobody was told of`);
  if (repeated === 0) wrong.push('nothing had to be repeated: it was killed too late');
  return { wrong, gap: gap ?? 0 };
}

/** The whole of a server, its first process first, so that it brings none of the others back. */
function killTree(root: number): void {
  const all = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && parentOf(pid) === root);
  for (const pid of [root, ...all]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
}
