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
/** Before the clock runs: plans, and the pages that everybody asks for. */
const WARM_TIMES = 300;
const GROWTH_MAX = 1.5;

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
  try {
    for (const [line, run] of Object.entries(operations(db, filled, range, outcome))) {
      const values = new Float64Array(times);
      const began = performance.now();
      for (let i = 0; i < warm + times; i += 1) {
        inside = 0;
        await run(i);
        if (inside === 0) throw new Error(`the server does not tell how long ${line} took`);
        if (i >= warm) values[i - warm] = inside;
      }
      const outside = (performance.now() - began) / (warm + times);
      const latency = summarize(values);
      const about = { what: line, side: 'ours', clients: 1, size: filled.label };
      const note = `in the database; ${outside.toFixed(2)} ms on average with loopback and driver`;
      outcome.rows.push({ ...about, rates: [1000 / latency.mean], latencies: [latency], note });
      scene.say(`${line} (${filled.label}): p50 ${latency.p50.toFixed(2)} ms`);
    }
  } finally {
    await db.close();
  }
}

function operations(
  db: Database,
  { size }: Filled,
  { from }: Range,
  outcome: Outcome,
): Record<Line, (i: number) => Promise<unknown>> {
  const { offers, members, redemptions, pending } = size;
  const any = (top: number) => 1 + Math.floor(Math.random() * top);
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
  return {
    'offer by id': () => findOffer(db, any(members), offerId(any(offers))),
    'active offers': () =>
      openLooking(db).read(db, [lookAt(any(members), { limit: 20, sort: 'newest' })]),
    async validate() {
      const n = any(pending);
      const row = { ...by(merchantOf(n, size)), scanned: redemptionCode(n) };
      // other scenarios have confirmed some, and support may move the end of others
      must('validate', (await validate(db, [row]))[0], /already_redeemed|expired|cancelled/);
    },
    // of one who has some: as many at any size
    "a member's redemptions": () =>
      redemptionsOfMember(db, memberOf(any(redemptions), size), { limit: 20 }),
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
      rows.find(({ what, size }) => what === line && size === filled?.label);
    const [small, big] = [at(smallest), at(biggest)];
    if (!small || !big) return [];
    const bar = judge(`${line}, ${big.size}: p99`, latencyOf(big, 'p99'), { below: limit }, ' ms');
    if (small === big) return bar;
    const growth = latencyOf(big, 'p50') / latencyOf(small, 'p50');
    const name = `${line}: p50 at ${big.size} ÷ at ${small.size}`;
    return [...bar, ...judge(name, growth, { atMost: GROWTH_MAX })];
  });
}
