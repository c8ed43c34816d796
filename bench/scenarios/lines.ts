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
import { emptyOutcome, inTurns, judge, latencyOf } from '../measure.ts';
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
const READING = ['offer by id', 'active offers', 'validate', "a member's redemptions"] as const;

/** In a round; a redemption can be confirmed once, so that these are other ones each time. */
const TIMES = 3_000;
/** Before the clock runs, with rows of their own: the connection's plans. */
const WARM_TIMES = 300;
const GROWTH_MAX = 1.5;
/** Rows of a big database lie on disk until somebody asks for them. */
const FIRST = 'ours, rows asked for the first time';
const AGAIN = 'ours, the same rows again';

export const lines: Scenario = async (scene) => {
  const outcome = emptyOutcome();
  const beds: Bed[] = [];
  try {
    for (const filled of scene.databases) beds.push(await openBed(scene, filled, outcome));
    for (const line of READING) await measureReading(scene, line, beds, outcome);
    await measureConfirm(scene, beds, outcome);
  } finally {
    await Promise.all(beds.map(({ db }) => db.close()));
  }
  outcome.verdicts.push(...judgeAll(outcome.rows, scene.databases));
  return outcome;
};

/** One database, and how to run each operation there. */
interface Bed {
  filled: Filled;
  db: Database;
  /** what the server told since: milliseconds of the operation under way */
  told: { ms: number };
  run: Record<Line | 'scan', Operation>;
}

const timesOf = ({ smoke }: Scene) => (smoke ? 50 : TIMES);
const warmTimesOf = ({ smoke }: Scene) => (smoke ? 10 : WARM_TIMES);

async function openBed(scene: Scene, filled: Filled, outcome: Outcome): Promise<Bed> {
  const pendings = new Pendings(filled, scene.say);
  const count = warmTimesOf(scene) + timesOf(scene) * scene.rounds;
  const range = await pendings.take(count, 0);
  const told = { ms: 0 };
  const db = openDatabase({
    url: tellingDurations(filled.url),
    max: 1,
    poolTimeoutMs: 30_000,
    onError: (error) => scene.say(error.message),
    onNotice: (message) => {
      told.ms += Number(/^duration: ([\d.]+) ms/.exec(message)?.[1] ?? 0);
    },
  });
  return { filled, db, told, run: operations(db, filled, range, outcome) };
}

/** The rows for the first time, and then again, the databases taking turns. */
async function measureReading(
  scene: Scene,
  line: (typeof READING)[number],
  beds: readonly Bed[],
  outcome: Outcome,
): Promise<void> {
  const warm = warmTimesOf(scene);
  const inDatabase = { what: line, note: 'in the database' };
  for (const bed of beds) {
    for (let i = 0; i < warm; i += 1) await bed.run[line](i);
    const row = rowFor(bed, { ...inDatabase, side: FIRST }, outcome);
    await timeRound(scene, bed, row, { line, from: warm });
  }
  const again = beds.map((bed) => ({
    bed,
    row: rowFor(bed, { ...inDatabase, side: AGAIN }, outcome),
  }));
  for (const { item } of inTurns(scene.rounds, again)) {
    await timeRound(scene, item.bed, item.row, { line, from: warm });
  }
}

async function measureConfirm(scene: Scene, beds: readonly Bed[], outcome: Outcome): Promise<void> {
  const [warm, times] = [warmTimesOf(scene), timesOf(scene)];
  const note = 'with commit, loopback and driver';
  for (const { run } of beds) for (let i = 0; i < warm; i += 1) await run.confirm(i);
  const about = { what: 'confirm', side: AGAIN, note };
  const sides = beds.map((bed) => ({ bed, row: rowFor(bed, about, outcome) }));
  for (const { item, round } of inTurns(scene.rounds, sides)) {
    const from = warm + round * times;
    // who hands over has validated it a moment ago
    for (let i = from; i < from + times; i += 1) await item.bed.run.scan(i);
    // the server does not time a commit without BEGIN
    await timeRound(scene, item.bed, item.row, { line: 'confirm', from, ofCommit: true });
  }
}

/** A row that gets its rounds one by one. */
function rowFor(
  { filled }: Bed,
  about: Pick<Row, 'what' | 'side' | 'note'>,
  outcome: Outcome,
): Row {
  const row = { ...about, clients: 1, size: filled.label, rates: [], latencies: [] };
  outcome.rows.push(row);
  return row;
}

async function timeRound(
  scene: Scene,
  { told, run }: Bed,
  row: Row,
  { line, from, ofCommit = false }: { line: Line; from: number; ofCommit?: boolean },
): Promise<void> {
  const values = new Float64Array(timesOf(scene));
  for (let i = 0; i < values.length; i += 1) {
    told.ms = 0;
    const began = performance.now();
    await run[line](from + i);
    if (told.ms === 0) throw new Error(`the server does not tell how long ${line} took`);
    values[i] = ofCommit ? performance.now() - began : told.ms;
  }
  const latency = summarize(values);
  row.rates.push(1000 / latency.mean);
  row.latencies.push(latency);
  scene.say(`${line} (${row.size}), ${row.side}: p50 ${latency.p50.toFixed(2)} ms`);
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
