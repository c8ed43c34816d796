/**
 * The five operations whose times the specification names, one at a time on one connection: the
 * statements of the real operations with random ids, and the time that the server says they took.
 */

import type { Database } from '../../src/db/pool.ts';
import { openDatabase } from '../../src/db/pool.ts';
import { claim } from '../../src/idempotency/claim.ts';
import { findOffer } from '../../src/offers/catalogue.ts';
import { lookAt, openLooking } from '../../src/offers/looking.ts';
import { confirm } from '../../src/redemptions/confirm.ts';
import { redemptionsOfMember } from '../../src/redemptions/find.ts';
import { validate } from '../../src/redemptions/validate.ts';
import { newRun } from '../actors.ts';
import {
  keyId,
  memberOf,
  merchantId,
  merchantOf,
  offerId,
  redemptionCode,
  redemptionId,
} from '../fill.ts';
import { summarize } from '../latency.ts';
import { emptyOutcome, judge, latencyOf } from '../measure.ts';
import { Pendings, type Range } from '../pendings.ts';
import type { Filled, Outcome, Row, Scenario, Scene, Verdict } from '../scene.ts';

/** Milliseconds that the specification allows at 10,000 offers and 1,000 merchants. */
const LINES = {
  'offer by id': 1,
  'active offers': 10,
  validate: 5,
  "a member's redemptions": 15,
  confirm: 20,
} as const;
type Line = keyof typeof LINES;

const TIMES = 3_000;
/** Before the clock runs, with rows of their own: the connection's plans. */
const WARM_TIMES = 300;
const GROWTH_MAX = 1.5;
/** Rows of a big database lie on disk until somebody asks for them. */
const FIRST = 'ours, rows asked for the first time';
const AGAIN = 'ours, the same rows again';

export const lines: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  for (const filled of scene.databases) await measure(scene, filled, outcome);
  outcome.verdicts.push(...judgeAll(outcome.rows, scene.databases));
  return outcome;
};

async function measure(scene: Scene, filled: Filled, outcome: Outcome): Promise<void> {
  const times = scene.smoke ? 50 : TIMES;
  const warm = scene.smoke ? 10 : WARM_TIMES;
  const pendings = new Pendings(filled, scene.say);
  const range = await pendings.take(times + warm, 0);
  // of the operation under way: what the server tells of each of its messages
  let inside = 0;
  const db = openDatabase({
    url: tellingDurations(filled.url),
    max: 1,
    poolTimeoutMs: 30_000,
    onError: (error) => scene.say(error.message),
    onNotice: (message) => {
      inside += Number(/^duration: ([\d.]+) ms/.exec(message)?.[1] ?? 0);
    },
  });
  const time = async (what: string, side: string, run: Operation, ofCommit = false) => {
    const values = new Float64Array(times);
    for (let i = 0; i < times; i += 1) {
      inside = 0;
      const began = performance.now();
      await run(warm + i);
      if (inside === 0) throw new Error(`the server does not tell how long ${what} took`);
      values[i] = ofCommit ? performance.now() - began : inside;
    }
    const latency = summarize(values);
    const note = ofCommit ? 'with commit, loopback and driver' : 'in the database';
    const about = { what, side, clients: 1, size: filled.label, note };
    outcome.rows.push({ ...about, rates: [1000 / latency.mean], latencies: [latency] });
    scene.say(`${what} (${filled.label}), ${side}: p50 ${latency.p50.toFixed(2)} ms`);
  };
  try {
    const { confirm, scan, ...reading } = operations(db, filled, range, outcome);
    for (const [line, run] of Object.entries(reading)) {
      for (let i = 0; i < warm; i += 1) await run(i);
      await time(line, FIRST, run);
      await time(line, AGAIN, run);
    }
    for (let i = 0; i < warm; i += 1) await confirm(i);
    // who hands over has validated it a moment ago; the server does not time a commit without BEGIN
    for (let i = warm; i < warm + times; i += 1) await scan(i);
    await time('confirm', AGAIN, confirm, true);
  } finally {
    await db.close();
  }
}

type Operation = (i: number) => Promise<unknown>;

function operations(
  db: Database,
  { size }: Filled,
  { from }: Range,
  outcome: Outcome,
): Record<Line | 'scan', Operation> {
  const { offers, members, redemptions, pending } = size;
  /** One of 1..top, at random, but the same for the same i. */
  const any = (top: number, i: number, of = 0) =>
    1 + ((Math.imul((i + 1) ^ (of << 20), 2_654_435_761) >>> 0) % top);
  const run = newRun();
  const by = (merchant: number) => ({
    merchant_id: merchantId(merchant),
    key_id: keyId(merchant),
    proven_hash: null,
    changed_by: { type: 'merchant', id: merchantId(merchant), request_id: run },
  });
  const must = (line: string, answer: { refused?: string } | undefined, also?: RegExp) => {
    if (!answer?.refused || also?.test(answer.refused)) return;
    outcome.wrong.push(`${line}: refused with ${answer.refused}`);
  };
  const validateOne = async (n: number) => {
    const row = { ...by(merchantOf(n, size)), scanned: redemptionCode(n) };
    // other scenarios have confirmed some, and support may move the end of others
    must('validate', (await validate(db, [row]))[0], /already_redeemed|expired|cancelled/);
  };
  return {
    'offer by id': (i) => findOffer(db, any(members, i), offerId(any(offers, i, 1))),
    'active offers': (i) =>
      openLooking(db).read(db, [lookAt(any(members, i, 2), { limit: 20, sort: 'newest' })]),
    validate: (i) => validateOne(any(pending, i, 3)),
    // of one who has some: as many at any size
    "a member's redemptions": (i) =>
      redemptionsOfMember(db, memberOf(any(redemptions, i, 4), size), { limit: 20 }),
    /** what a counter does before it confirms */
    scan: (i) => validateOne(from + i),
    async confirm(i) {
      const n = from + i;
      const merchant = by(merchantOf(n, size));
      const redemption_id = redemptionId(n);
      const actor = { type: 'merchant' as const, id: merchant.merchant_id };
      const row = {
        ...claim(actor, `${run}-${i}`, 'confirm', { redemption_id }),
        ...merchant,
        redemption_id,
      };
      must('confirm', (await confirm(db, [row]))[0]);
    },
  };
}

/** The server tells this session how long each message took it; a superuser may ask for that. */
function tellingDurations(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('options', '-c log_duration=on -c client_min_messages=log');
  return url.href;
}

function judgeAll(rows: readonly Row[], databases: readonly Filled[]): Verdict[] {
  const [smallest, biggest] = [databases[0], databases.at(-1)];
  return Object.entries(LINES).flatMap(([line, limit]) => {
    const at = (filled: Filled | undefined) =>
      rows.filter(({ what, size }) => what === line && size === filled?.label);
    const [small, big] = [at(smallest), at(biggest)];
    const [slowest, again, before] = [big[0], big.at(-1), small.at(-1)];
    if (!slowest || !again || !before) return [];
    const p99 = latencyOf(slowest, 'p99');
    const bar = judge(`${line}, ${again.size}: p99`, p99, { below: limit }, ' ms');
    if (smallest === biggest) return bar;
    const growth = latencyOf(again, 'p50') / latencyOf(before, 'p50');
    const name = `${line}: p50 at ${again.size} ÷ at ${before.size}`;
    return [...bar, ...judge(name, growth, { atMost: GROWTH_MAX })];
  });
}
