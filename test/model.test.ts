/**
 * Random histories against a model: every answer, balance, unit of stock, total, audit row and
 * event must be what the rules say, one request at a time and with many at once.
 *
 * MODEL_RUNS histories of each kind (500 for a long look), MODEL_SEED to repeat one.
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { type Actor, changedBy, systemCaller } from '../src/core/actor.ts';
import { type Database, openDatabase } from '../src/db/pool.ts';
import { claim } from '../src/idempotency/claim.ts';
import { checkInvariants } from '../src/invariants/check.ts';
import { adjust } from '../src/ledger/adjust.ts';
import { balanceOf } from '../src/ledger/balance.ts';
import { revokeKey } from '../src/merchants/keys.ts';
import { updateMerchant } from '../src/merchants/save.ts';
import { createOffer, updateOffer } from '../src/offers/save.ts';
import { cancel } from '../src/redemptions/cancel.ts';
import { confirm } from '../src/redemptions/confirm.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { reverse } from '../src/redemptions/reverse.ts';
import { validate } from '../src/redemptions/validate.ts';
import { freshDatabase } from './support/database.ts';
import {
  type Act,
  type Ask,
  answerTo,
  explain,
  type Input,
  type ModelOffer,
  picture,
  type Seen,
  type Verb,
  type World,
} from './support/model.ts';

const RUNS = Number(process.env.MODEL_RUNS ?? 80);
const SEED = Number(process.env.MODEL_SEED ?? randomInt(2 ** 31));
/** Shrinking a failure ends here, with the smallest history found so far. */
const PATIENCE_MS = 60_000 + RUNS * 100;
const ISSUING = { ttl_minutes: 60, public_url: 'https://points.example' };
const NOBODY = '00000000-0000-4000-8000-000000000000';
const STAFF: Actor = { type: 'admin', id: '1000' };
const STAFF_CALLER = { ...systemCaller('test'), actor: STAFF };

const database = await freshDatabase();
/** As many nodes, each with a pool of its own. */
const nodes: Database[] = [];
let serial = 0;

before(() => {
  for (let i = 0; i < 3; i += 1) {
    const onError = (error: Error) => console.error(error);
    nodes.push(openDatabase({ url: database.url, max: 4, poolTimeoutMs: 10_000, onError }));
  }
});
after(async () => {
  await Promise.all(nodes.map((node) => node.close()));
});

// ---- what is generated: plain numbers, so that a failing history shrinks ------------------------

/** A row of a call. Numbers are taken modulo what there is; 0 is the first, or the latest. */
const Row = fc.record({
  who: fc.nat(11),
  what: fc.nat(11),
  detail: fc.nat(11),
  key: fc.oneof(
    { arbitrary: fc.constant('fresh' as const), weight: 6 },
    { arbitrary: fc.constantFrom('again' as const, 'taken' as const), weight: 1 },
  ),
});
type Row = typeof Row extends fc.Arbitrary<infer T> ? T : never;

type Kind = Verb | Exclude<Act['act'], 'look'>;
const WEIGHTS: Record<Kind, number> = {
  redeem: 8,
  confirm: 4,
  cancel: 3,
  validate: 3,
  reverse: 3,
  adjust: 2,
  edit: 3,
  lapse: 3,
  extend: 1,
  sweep: 1,
  merchant: 1,
  revoke: 1,
};
const VERBS = ['redeem', 'confirm', 'cancel', 'validate', 'reverse', 'adjust'];

const commands = (rows: number) =>
  fc.record({
    kind: fc.oneof(
      ...Object.entries(WEIGHTS).map(([kind, weight]) => {
        return { arbitrary: fc.constant(kind as Kind), weight };
      }),
    ),
    rows: fc.array(Row, { minLength: 1, maxLength: rows }),
  });
type Command = { kind: Kind; rows: Row[] };

const Offer = fc.record({
  lumis_cost: fc.constantFrom(1, 5, 10, 30),
  stock_quantity: fc.constantFrom(null, 1, 2, 5),
  max_redemptions_per_user: fc.option(fc.integer({ min: 1, max: 2 })),
  on_expiry: fc.constantFrom('refund' as const, 'forfeit' as const),
  /** whose: the third merchant is nobody */
  owner: fc.nat(2),
});
const Setup = fc.record({
  offers: fc.array(Offer, { minLength: 3, maxLength: 3 }),
  // what an older system left: fractions and debts too, or (0) no entry at all
  balances: fc.tuple(
    fc.constantFrom(200, 50, 0),
    fc.constantFrom(120, 60.5, 10.25),
    fc.constantFrom(100, -30, 0),
  ),
});
type Setup = typeof Setup extends fc.Arbitrary<infer T> ? T : never;

/** The edits there are, by number. */
const EDITS: ((detail: number) => Partial<ModelOffer>)[] = [
  (detail) => ({ stock_quantity: detail % 4 }),
  () => ({ stock_quantity: null }),
  (detail) => ({ lumis_cost: 1 + detail * 5 }),
  (detail) => ({ max_redemptions_per_user: detail % 3 || null }),
  (detail) => ({ is_active: detail % 3 > 0 }),
  (detail) => ({ on_expiry: detail % 2 ? 'refund' : 'forfeit' }),
  (detail) => ({ valid_from: detail % 3 ? null : days(1), valid_to: null }),
  (detail) => ({ valid_from: null, valid_to: detail % 3 ? null : days(-1) }),
];
const days = (count: number) => new Date(Date.now() + count * 86_400_000).toISOString();

// ---- one history --------------------------------------------------------------------------------

interface History {
  world: World;
  members: number[];
  /** redemptions in the order they became known, with what a merchant's scanner would read */
  known: { id: string; scans: string[] }[];
  asked: Ask[];
  /** real ids by the name that a failure shows */
  names: Map<string, string>;
}

async function begin(setup: Setup): Promise<History> {
  const run = ++serial;
  const members = setup.balances.map((_, i) => run * 10 + i);
  const merchants = await rowsOf(
    `WITH m AS (INSERT INTO rewards.merchants (merchant_name, api_key_hash)
      SELECT format('Merchant %s.%s', $1::text, n), 'proven' FROM generate_series(0, 1) n
      RETURNING merchant_id, merchant_name),
    k AS (INSERT INTO lumis.merchant_keys (key_id, merchant_id, secret_hash, created_by)
      SELECT merchant_id, merchant_id, 'x', 'test' FROM m)
    SELECT merchant_id AS id, session_user AS me FROM m ORDER BY merchant_name`,
    [run],
  );
  const given = members.map((member, i) => [member, setup.balances[i]] as [number, number]);
  await rowsOf(
    `INSERT INTO public.fact_accumulations (user_id, quantity)
     SELECT (v->>0)::integer, (v->>1)::numeric FROM json_array_elements($1) v WHERE v->>1 <> '0'`,
    [JSON.stringify(given)],
  );
  const offers = new Map<string, ModelOffer>();
  const open = { is_active: true, valid_from: null, valid_to: null };
  for (const { owner, ...rest } of setup.offers) {
    const offer = { ...rest, ...open, merchant_id: merchants[owner]?.id ?? null };
    const name_friendly = `Offer ${run}.${offers.size}`;
    const made = await createOffer(nodes[0] as Database, STAFF_CALLER, { name_friendly, ...offer });
    offers.set(made.offer_id, offer);
  }
  const world: World = {
    system: merchants[0].me,
    balances: new Map(given),
    adjusted: 0,
    offers,
    merchants: new Map(merchants.map(({ id }) => [id, { active: true, revoked: false }])),
    redemptions: new Map(),
    answers: new Map(),
  };
  const names = new Map<string, string>();
  for (const [i, id] of [...offers.keys()].entries()) names.set(id, `offer ${i}`);
  for (const [i, { id }] of merchants.entries()) names.set(id, `merchant ${i}`);
  return { world, members, known: [], asked: [], names };
}

/** What a command means in this history: the rows of a verb's call, or an act. */
function plan(history: History, { kind, rows }: Command, alone: boolean): Ask[] | Act {
  const { world, known } = history;
  if (isVerb(kind)) {
    const verb = known.length === 0 && kind !== 'adjust' ? 'redeem' : kind;
    const asks = rows.map((row) => planAsk(history, verb, row));
    // the keys of one call differ, as the verbs demand
    const slots = asks.map(({ actor, key }) => `${actor.type} ${actor.id} ${key}`);
    return asks.filter((_, i) => slots.indexOf(slots[i] as string) === i);
  }
  const { who, what, detail } = rows[0] ?? { who: 0, what: 0, detail: 0 };
  const redemption_id = known.at(-1 - (what % (known.length || 1)))?.id ?? NOBODY;
  const merchant_id = [...world.merchants.keys()][who % 2] as string;
  switch (kind) {
    case 'sweep':
      return { act: kind, alone };
    case 'lapse':
    case 'extend':
      return { act: kind, redemption_id };
    case 'edit': {
      const offer_id = [...world.offers.keys()][who % world.offers.size] as string;
      return { act: kind, offer_id, change: EDITS[what % EDITS.length]?.(detail) ?? {} };
    }
    case 'merchant':
      return { act: kind, merchant_id, active: detail % 3 > 0 };
    default:
      return { act: 'revoke', merchant_id };
  }
}

const isVerb = (kind: string): kind is Verb => VERBS.includes(kind);

function planAsk(history: History, verb: Verb, row: Row): Ask {
  const { asked } = history;
  const earlier = asked.filter((ask) => ask.verb === verb);
  const repeated = row.key === 'again' && earlier.at(-1 - (row.what % (earlier.length || 1)));
  if (repeated) return repeated;
  const ask = verb === 'redeem' || verb === 'adjust' ? pointsAsk : codeAsk;
  const fresh = ask(history, verb, row);
  const own = asked.filter(({ actor }) => actor.id === fresh.actor.id);
  const taken = row.key === 'taken' && own.at(-1 - (row.detail % (own.length || 1)))?.key;
  return taken ? { ...fresh, key: taken } : fresh;
}

function pointsAsk({ world, members }: History, verb: Verb, row: Row): Ask {
  const user_id = members[row.who % members.length] as number;
  const key = `key ${++serial}`;
  if (verb === 'adjust') {
    const quantity = (row.what % 2 ? -7 : 20) * (1 + row.detail);
    return { verb, actor: STAFF, key, input: { user_id, quantity, reason: 'test' } };
  }
  const offers = [...world.offers.keys()];
  const offer_id = row.what === 11 ? NOBODY : (offers[row.what % offers.length] as string);
  return { verb, actor: { type: 'user', id: String(user_id) }, key, input: { user_id, offer_id } };
}

/** Mostly about a redemption that is there, and by whoever may. */
function codeAsk({ world, known, members }: History, verb: Verb, row: Row): Ask {
  const key = `key ${++serial}`;
  const one = known.at(-1 - (row.what % (known.length || 1))) ?? { id: NOBODY, scans: ['?'] };
  const redemption_id = row.what === 11 ? NOBODY : one.id;
  const about = world.redemptions.get(redemption_id);
  const isStranger = row.who > 9;
  if ((verb === 'cancel' || verb === 'reverse') && row.who % 5 === 4) {
    const rest = verb === 'cancel' ? { user_id: null } : { restock: row.detail % 2 === 0 };
    return { verb, actor: STAFF, key, input: { redemption_id, ...rest, reason: 'support' } };
  }
  if (verb === 'cancel') {
    const user_id = (isStranger ? undefined : about?.user_id) ?? (members[0] as number);
    const actor: Actor = { type: 'user', id: String(user_id) };
    return { verb, actor, key, input: { redemption_id, user_id, reason: null } };
  }
  const merchants = [...world.merchants.keys()];
  const owner = about?.confirmed_by ?? about?.merchant_id;
  const rivals = merchants.filter((id) => id !== owner);
  const merchant_id = (!isStranger && owner) || (rivals[row.who % rivals.length] as string);
  const proof = row.detail % 3 < 2 ? { key_id: merchant_id } : { proven_hash: 'proven' };
  const input: Input = { redemption_id };
  if (verb === 'reverse') Object.assign(input, { restock: row.detail % 2 === 0, reason: 'test' });
  if (verb === 'validate') {
    input.scanned = about ? (one.scans[row.detail % one.scans.length] as string) : '?';
  }
  const credential = { merchant_id, key_id: null, proven_hash: null, ...proof };
  return { verb, actor: { type: 'merchant', id: merchant_id }, key, input, credential };
}

// ---- the real thing -----------------------------------------------------------------------------

const OPERATIONS = {
  redeem: (db: Database, rows: never[]) => redeem(db, ISSUING, rows),
  validate,
  confirm,
  cancel,
  reverse,
  adjust,
} as Record<Verb, (db: Database, rows: never[]) => Promise<unknown[]>>;

async function call(db: Database, asks: Ask[]): Promise<Seen[]> {
  const [first] = asks;
  if (!first) return [];
  const rows = asks.map(({ verb, actor, key, input, credential }) => {
    const by = changedBy({ actor, ip: '203.0.113.7', agent: 'test', request_id: key });
    return { ...claim(actor, key, verb, input), ...input, ...credential, changed_by: by };
  });
  const answers = await OPERATIONS[first.verb](db, rows as never[]);
  assert.equal(answers.length, asks.length, 'one answer for each row');
  return asks.map((ask, i) => ({ ask, answer: answers[i] }));
}

async function act(db: Database, one: Act): Promise<Seen[]> {
  const staff = STAFF_CALLER;
  if (one.act === 'edit') await updateOffer(db, staff, one.offer_id, one.change);
  if (one.act === 'revoke') await revokeKey(db, staff, one.merchant_id, one.merchant_id);
  if (one.act === 'merchant') {
    await updateMerchant(db, staff, one.merchant_id, { is_active: one.active });
  }
  if (one.act === 'lapse' || one.act === 'extend') {
    const text = `UPDATE rewards.user_redemptions SET code_expires_at = clock_timestamp() + $2
      WHERE redemption_id = $1 AND redemption_status = 'pending'`;
    const values = [one.redemption_id, one.act === 'lapse' ? '-1 second' : '1 hour'];
    await db.query({ name: '', text, values });
  }
  if (one.act !== 'sweep') return [{ act: one, answer: undefined }];
  const text = 'SELECT rewards.expire_old_redemptions() AS booked';
  const [row] = await db.query({ name: '', text, values: [] });
  return [{ act: one, answer: row.booked }];
}

const PICTURE = `SELECT
  (SELECT count(*) FROM lumis.events
    WHERE type = 'balance.adjusted' AND user_id = ANY ($1::integer[])) AS adjusted,
  (SELECT json_object_agg(offer_id, json_build_object('lumis_cost', lumis_cost,
      'stock_quantity', stock_quantity, 'stock_held', stock_held, 'merchant_id', merchant_id,
      'max_redemptions_per_user', max_redemptions_per_user, 'on_expiry', on_expiry,
      'is_active', is_active,
      'has_window', ARRAY[valid_from IS NOT NULL, valid_to IS NOT NULL]))
    FROM rewards.redemption_offers WHERE offer_id = ANY ($2::uuid[])) AS offers,
  (SELECT json_object_agg(merchant_id, json_build_object('active', is_active,
      'revoked', revoked_at IS NOT NULL,
      'totals', ARRAY[total_redemptions, total_lumis_redeemed]))
    FROM rewards.merchants JOIN lumis.merchant_keys USING (merchant_id)
    WHERE merchant_id = ANY ($3::uuid[])) AS merchants,
  (SELECT coalesce(json_object_agg(r.redemption_id, json_build_object(
      'status', r.redemption_status, 'looks', a.looks, 'trail', a.trail, 'events', e.types,
      'due', r.redemption_status = 'pending' AND r.code_expires_at <= clock_timestamp())), '{}')
    FROM rewards.user_redemptions r
    CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE a.action = 'validated') AS looks,
        array_agg(concat_ws(' ', a.action, a.actor_type, a.actor_id) ORDER BY a.log_id)
          FILTER (WHERE a.action <> 'validated') AS trail
      FROM rewards.redemption_audit_log a WHERE a.redemption_id = r.redemption_id) a
    CROSS JOIN LATERAL (SELECT array_agg(e.type ORDER BY e.sequence) AS types
      FROM lumis.events e WHERE e.redemption_id = r.redemption_id) e
    WHERE r.user_id = ANY ($1)) AS redemptions`;

async function rowsOf(text: string, values: unknown[]): Promise<any[]> {
  return (nodes[0] as Database).query({ name: '', text, values });
}

/** The database in the shape of the model's picture. */
async function look({ world, members }: History): Promise<object> {
  const ids = [members, [...world.offers.keys()], [...world.merchants.keys()]];
  const [seen] = await rowsOf(PICTURE, ids);
  const balances: Record<number, unknown> = {};
  for (const member of members) {
    const { balance, held } = await balanceOf(nodes[0] as Database, member);
    balances[member] = [balance, held];
  }
  return { ...seen, balances };
}

// ---- the comparison -----------------------------------------------------------------------------

const outcomes = new Map<string, number>();

/** Does these at once, each on a node of its own; moves the model to a world that explains it. */
async function step(history: History, group: Command[], twins: boolean): Promise<void> {
  const alone = group.length === 1 && !twins;
  const plans = group.map((command) => plan(history, command, alone));
  // the same request twice at once, as an impatient phone sends it
  if (twins && Array.isArray(plans[0])) plans.push(plans[0]);
  const seen = (
    await Promise.all(
      plans.map((one, i) => {
        const db = nodes[i % nodes.length] as Database;
        return Array.isArray(one) ? call(db, one) : act(db, one);
      }),
    )
  ).flat();
  for (const one of seen) note(history, one);
  if (!alone) seen.push(...seen.flatMap(firstLook));
  const real = await look(history);
  const world = explain(history.world, seen, (after) => isDeepStrictEqual(picture(after), real));
  if (!world) assert.fail(complaint(history, seen, real));
  history.world = world;
}

/** Some look twice at what is due; beside others, their second look may not be allowed. */
function firstLook(seen: Seen): Seen[] {
  if ('act' in seen || !['validate', 'confirm'].includes(seen.ask.verb)) return [];
  const { refused } = seen.answer as { refused?: string };
  const { redemption_id } = seen.ask.input;
  if (refused !== 'unauthorized' || !redemption_id) return [];
  return [{ act: { act: 'look', redemption_id }, answer: undefined }];
}

function note(history: History, seen: Seen): void {
  if ('act' in seen) return;
  const { ask, answer } = seen;
  const { done, refused } = answer as { done?: Record<string, string>; refused?: string };
  const outcome = `${ask.verb} ${refused ?? 'done'}`;
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  if (!history.asked.includes(ask)) history.asked.push(ask);
  const id = ask.verb === 'redeem' && done?.redemption_id;
  if (!id || history.known.some((one) => one.id === id)) return;
  const { redemption_code: code = '', qr_landing_url: url = '' } = done;
  const typed = code.toLowerCase().replace(/-/g, ' ');
  history.known.push({ id, scans: [code, typed, url, url.split('/').at(-1) as string] });
  history.names.set(id, `redemption ${history.known.length - 1}`);
}

/** A failure with names instead of ids: what was done, what was answered, what the model says. */
function complaint(history: History, seen: Seen[], real: object): string {
  const world = structuredClone(history.world);
  const steps = seen.map((one) => {
    if ('act' in one)
      return { ...one, ...(explain(world, [one], () => true) ? {} : { odd: true }) };
    const { actor, verb, key, input, credential } = one.ask;
    const expected = answerTo(world, one.ask, one.answer);
    return { [verb]: input, by: actor, credential, key, answered: one.answer, expected };
  });
  const story = { before: picture(history.world), steps, expected: picture(world), real };
  let text = inspect(story, { depth: 8, breakLength: 100 });
  for (const [id, name] of history.names) text = text.replaceAll(id, name);
  return `no order explains this:\n${text}`;
}

/** Runs the histories that `groups` makes; each ends with nothing due and all invariants kept. */
async function check(t: TestContext, groups: fc.Arbitrary<{ group: Command[]; twins: boolean }[]>) {
  t.diagnostic(`${RUNS} histories, MODEL_SEED=${SEED}`);
  const began = performance.now();
  let steps = 0;
  const property = fc.asyncProperty(fc.noBias(Setup), fc.noBias(groups), async (setup, list) => {
    const since = new Date().toISOString();
    const history = await begin(setup);
    for (const { group, twins } of list) await step(history, group, twins);
    await step(history, [{ kind: 'sweep', rows: [] }], false);
    assert.deepEqual(await checkInvariants(nodes[0] as Database, { since }), []);
    steps += list.length;
  });
  const limits = { interruptAfterTimeLimit: PATIENCE_MS, markInterruptAsFailure: true };
  await fc.assert(property, { numRuns: RUNS, seed: SEED, ...limits });
  assert.deepEqual(await checkInvariants(nodes[0] as Database, {}), []);
  const took = ((performance.now() - began) / 1000).toFixed(1);
  t.diagnostic(`${steps} steps in ${took} s: ${[...outcomes].sort().join('; ')}`);
  outcomes.clear();
}

test('one after the other: every answer and all that follows from it', async (t) => {
  const one = commands(4).map((command) => ({ group: [command], twins: false }));
  await check(t, fc.array(one, { maxLength: 40, size: 'max' }));
});

test('at once from several nodes: some order explains what happened', async (t) => {
  const group = fc.array(commands(2), { minLength: 1, maxLength: 3 });
  const groups = fc.record({ group, twins: fc.boolean() });
  await check(t, fc.array(groups, { maxLength: 20, size: 'max' }));
  const sessions = nodes.splice(0);
  await Promise.all(sessions.map((node) => node.close()));
  // the pool repeats a transaction that a deadlock ended, so that nobody would notice
  const client = await database.connect();
  const { rows } = await client.query(
    'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
  );
  assert.equal(Number(rows[0].deadlocks), 0);
});
