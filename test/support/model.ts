/**
 * The rules of redemption once more, small enough to be seen through and without a database: what
 * the real thing is held against. One request at a time; `explain` finds the order in which
 * requests that ran together could have come.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Actor, MerchantCredential } from '../../src/core/actor.ts';

export type Verb = 'redeem' | 'validate' | 'confirm' | 'cancel' | 'reverse' | 'adjust';

/** What a request asks for: the columns of the verb's rows, and what its fingerprint is made of. */
export interface Input {
  user_id?: number | null;
  offer_id?: string;
  redemption_id?: string;
  quantity?: number;
  restock?: boolean;
  reason?: string | null;
  /** what the scanner read of redemption_id; '?' is no code at all */
  scanned?: string;
}

/** One request: a row of a verb's call. */
export interface Ask {
  verb: Verb;
  actor: Actor;
  key: string;
  input: Input;
  credential?: MerchantCredential;
}

/** What staff, support and time do; it has no answer, but for the number that a sweep booked. */
export type Act =
  | { act: 'edit'; offer_id: string; change: Partial<ModelOffer> }
  | { act: 'merchant'; merchant_id: string; active: boolean }
  | { act: 'revoke'; merchant_id: string }
  | { act: 'lapse' | 'extend'; redemption_id: string }
  /** a validate that may have booked an expiry before its second look told it something else */
  | { act: 'look'; redemption_id: string }
  | { act: 'sweep'; alone: boolean };

/** What was asked or done, with what the real thing said to it. */
export type Seen = { ask: Ask; answer: unknown } | { act: Act; answer: unknown };

/** The columns of an offer that decide; times are days away, so that no run can meet them. */
export interface ModelOffer {
  lumis_cost: number;
  stock_quantity: number | null;
  max_redemptions_per_user: number | null;
  merchant_id: string | null;
  is_active: boolean;
  valid_from: string | null;
  valid_to: string | null;
  on_expiry: 'refund' | 'forfeit';
}

interface ModelRedemption {
  user_id: number;
  offer_id: string;
  cost: number;
  merchant_id: string | null;
  on_expiry: 'refund' | 'forfeit';
  status: 'pending' | 'confirmed' | 'cancelled' | 'expired';
  due: boolean;
  confirmed_by: string | null;
  /** actions with their actors, in order; an event each */
  trail: string[];
  looks: number;
}

export interface World {
  /** how the database names whoever acts without a name */
  system: string;
  /** of every member there is; 0 also for those the ledger has never seen */
  balances: Map<number, number>;
  adjusted: number;
  offers: Map<string, ModelOffer>;
  merchants: Map<string, { active: boolean; revoked: boolean }>;
  redemptions: Map<string, ModelRedemption>;
  answers: Map<string, { asked: string; answer: unknown }>;
}

/** In an expected answer: a time that only the database knows. */
const TIME = '<time>';
/** Outcomes that leave the key as free as it was. */
const NOT_KEPT = ['unauthorized', 'invalid_request'];

type Outcome = { done?: Record<string, unknown>; refused?: string; data?: Record<string, unknown> };
type Expected = { done: object } | { refused: string; data?: object };
const refuse = (refused: string, data?: object): Expected => ({ refused, ...(data && { data }) });

/**
 * An order in which these happened one after the other, each with the answer it got, ending in a
 * world that `holds`; the world after it, or undefined when no order explains what was seen.
 */
export function explain(
  world: World,
  seen: readonly Seen[],
  holds: (world: World) => boolean,
): World | undefined {
  // most orders of the same few come to the same world: what led nowhere once is left out
  const tried = new Set<string>();
  const search = (now: World, left: readonly number[]): World | undefined => {
    if (left.length === 0) return holds(now) ? now : undefined;
    const state = `${left} ${stateOf(now)}`;
    if (tried.has(state)) return undefined;
    tried.add(state);
    for (const i of left) {
      const rest = left.filter((other) => other !== i);
      for (const next of futures(now, seen[i] as Seen)) {
        const found = search(next, rest);
        if (found) return found;
      }
    }
    return undefined;
  };
  return search(world, [...seen.keys()]);
}

/** All that decides what can come next; the same for the same world, however it came to be. */
function stateOf(world: World): string {
  const entries = [world.balances, world.offers, world.merchants, world.redemptions].map((map) => {
    return [...map].map((entry) => JSON.stringify(entry)).sort();
  });
  const asked = [...world.answers].map(([slot, answer]) => slot + answer.asked).sort();
  return JSON.stringify([world.adjusted, ...entries, asked]);
}

/** What is inside a row is replaced, never changed. */
function copyOf(world: World): World {
  const rows = <K, V extends object>(map: Map<K, V>) =>
    new Map([...map].map(([key, value]) => [key, { ...value }] as const));
  return {
    ...world,
    balances: new Map(world.balances),
    offers: rows(world.offers),
    merchants: rows(world.merchants),
    redemptions: rows(world.redemptions),
    answers: new Map(world.answers),
  };
}

/** The worlds after this, as far as its answer fits. */
function futures(world: World, seen: Seen): World[] {
  if ('act' in seen) return perform(world, seen.act, seen.answer);
  const next = copyOf(world);
  return matches(answerTo(next, seen.ask, seen.answer), seen.answer) ? [next] : [];
}

/** The model's answer to a request. Changes the world; `actual` lends a new redemption's id. */
export function answerTo(world: World, ask: Ask, actual: unknown): unknown {
  const { verb, actor, key, input } = ask;
  // expiry is booked for whatever is about to be cancelled, whoever asks
  if (verb === 'cancel') settle(world, input.redemption_id);
  if (verb === 'validate') return validate(world, ask);
  const slot = `${actor.type} ${actor.id} ${key}`;
  const asked = JSON.stringify([verb, Object.entries(input).sort()]);
  if (verb === 'confirm' && (!ask.credential || !mayAct(world, ask.credential))) {
    return refuse('unauthorized'); // a repetition too
  }
  const stored = world.answers.get(slot);
  if (stored) {
    return stored.asked === asked ? stored.answer : { refused: 'idempotency_key_reused' };
  }
  const expected = VERBS[verb](world, ask, actual);
  const isKept = !('refused' in expected && NOT_KEPT.includes(expected.refused));
  if (isKept) world.answers.set(slot, { asked, answer: actual });
  return expected;
}

const VERBS = { redeem, confirm, cancel, reverse, adjust } as const;

function redeem(world: World, { actor, input }: Ask, actual: unknown): Expected {
  const user_id = input.user_id as number;
  const offer_id = input.offer_id as string;
  const offer = world.offers.get(offer_id);
  if (!offer) return refuse('unknown_offer');
  const { lumis_cost: cost, merchant_id, on_expiry } = offer;
  const now = new Date().toISOString();
  // nobody could confirm what a stopped merchant sells
  const isOpen = merchant_id === null || world.merchants.get(merchant_id)?.active;
  if (!offer.is_active || !isOpen) return refuse('offer_inactive');
  if (offer.valid_from && now < offer.valid_from) return refuse('offer_not_started');
  if (offer.valid_to && now >= offer.valid_to) return refuse('offer_ended');
  if (offer.stock_quantity === 0) return refuse('out_of_stock');
  const own = live(world).filter((r) => r.user_id === user_id && r.offer_id === offer_id);
  if (own.length >= (offer.max_redemptions_per_user ?? Infinity)) return refuse('limit_member');
  const balance = balanceOf(world, user_id);
  const missing = cost - Math.floor(balance);
  if (missing > 0) return refuse('insufficient_points', { missing_lumis: missing });
  world.balances.set(user_id, balance - cost);
  if (offer.stock_quantity !== null) offer.stock_quantity -= 1;
  const redemption_id = (actual as { done?: { redemption_id: string } }).done?.redemption_id ?? '?';
  world.redemptions.set(redemption_id, {
    user_id,
    offer_id,
    cost,
    merchant_id,
    on_expiry,
    status: 'pending',
    due: false,
    confirmed_by: null,
    trail: [`created ${actor.type} ${actor.id}`],
    looks: 0,
  });
  const facts = { redemption_id, offer_id, merchant_id, on_expiry, lumis_spent: cost };
  const times = { created_at: TIME, code_expires_at: TIME, validated_at: null, closed_at: null };
  return { done: { ...facts, ...times, redemption_status: 'pending', balance: balance - cost } };
}

function validate(world: World, { input, credential }: Ask): Expected {
  // what cannot be a code costs no query, not even one about who asks
  if (input.scanned === '?') return refuse('unknown_code');
  const refusal = unusable(world, input.redemption_id, credential);
  if (refusal) return refusal;
  const r = world.redemptions.get(input.redemption_id as string) as ModelRedemption;
  settle(world, input.redemption_id);
  if (r.status === 'expired') return refuse('expired', { expired_at: TIME });
  r.looks += 1;
  const { offer_id, cost } = r;
  const facts = { redemption_id: input.redemption_id, offer_id, lumis_spent: cost };
  return { done: { ...facts, redemption_status: 'pending', code_expires_at: TIME } };
}

function confirm(world: World, { actor, input, credential }: Ask): Expected {
  const refusal = unusable(world, input.redemption_id, credential);
  if (refusal) return refusal;
  const r = world.redemptions.get(input.redemption_id as string) as ModelRedemption;
  settle(world, input.redemption_id);
  if (r.status === 'expired') return refuse('expired', { expired_at: TIME });
  r.status = 'confirmed';
  r.confirmed_by = credential?.merchant_id ?? null;
  r.trail = [...r.trail, `confirmed ${actor.type} ${actor.id}`];
  const facts = { redemption_id: input.redemption_id, lumis_spent: r.cost, validated_at: TIME };
  return { done: { ...facts, redemption_status: 'confirmed' } };
}

function cancel(world: World, { actor, input }: Ask): Expected {
  const r = world.redemptions.get(input.redemption_id as string);
  if (!r || (input.user_id !== null && r.user_id !== input.user_id)) return refuse('not_found');
  if (r.status === 'confirmed') return refuse('already_redeemed', { redeemed_at: TIME });
  if (r.status !== 'pending') return refuse(ended(r));
  close(world, r, 'cancelled', actor, true);
  const facts = { redemption_id: input.redemption_id, redemption_status: 'cancelled' };
  const balance = balanceOf(world, r.user_id);
  return { done: { ...facts, lumis_refunded: r.cost, balance, closed_at: TIME } };
}

function reverse(world: World, { actor, input, credential }: Ask): Expected {
  const restocked = input.restock as boolean;
  if (credential && !mayAct(world, credential)) return refuse('unauthorized');
  const r = world.redemptions.get(input.redemption_id as string);
  const owner = r?.confirmed_by ?? r?.merchant_id ?? credential?.merchant_id;
  if (!r || (credential && owner !== credential.merchant_id)) return refuse('unknown_code');
  if (r.status === 'pending') return refuse('invalid_request');
  if (r.status !== 'confirmed') return refuse(ended(r));
  close(world, r, 'reversed', actor, restocked);
  const facts = { redemption_id: input.redemption_id, redemption_status: 'cancelled' };
  return { done: { ...facts, lumis_refunded: r.cost, restocked, closed_at: TIME } };
}

function adjust(world: World, { input }: Ask): Expected {
  const user_id = input.user_id as number;
  const quantity = input.quantity as number;
  const balance = balanceOf(world, user_id) + quantity;
  if (quantity < 0 && balance < 0) {
    return refuse('insufficient_points', { missing_lumis: Math.ceil(-balance) });
  }
  world.balances.set(user_id, balance);
  world.adjusted += 1;
  const kind = quantity > 0 ? 'grant' : 'adjustment';
  return { done: { user_id, quantity, kind, balance } };
}

/** Why this merchant may not hand this over; undefined when it is pending (and perhaps due). */
function unusable(
  world: World,
  id: string | undefined,
  credential: MerchantCredential | undefined,
): Expected | undefined {
  const merchant_id = credential?.merchant_id as string;
  if (!credential || !mayAct(world, credential)) return refuse('unauthorized');
  const r = world.redemptions.get(id as string);
  if (!r || (r.merchant_id ?? merchant_id) !== merchant_id) return refuse('unknown_code');
  if (r.status === 'pending') return undefined;
  if (r.status === 'expired') return refuse('expired', { expired_at: TIME });
  if (r.status !== 'confirmed') return refuse(ended(r));
  const isOwner = r.merchant_id === merchant_id || r.confirmed_by === merchant_id;
  return { refused: 'already_redeemed', data: isOwner ? { redeemed_at: TIME } : {} };
}

function mayAct(world: World, credential: MerchantCredential): boolean {
  const merchant = world.merchants.get(credential.merchant_id);
  return Boolean(merchant?.active && (credential.key_id === null || !merchant.revoked));
}

const ended = (r: ModelRedemption) =>
  r.status === 'cancelled' && r.confirmed_by ? 'reversed' : r.status;

const balanceOf = (world: World, id: number) => world.balances.get(id) as number;

const live = (world: World) =>
  [...world.redemptions.values()].filter((r) => ['pending', 'confirmed'].includes(r.status));

/** Books the expiry of one that is due. */
function settle(world: World, id: string | undefined): void {
  const r = world.redemptions.get(id ?? '');
  if (r?.status === 'pending' && r.due) {
    close(world, r, 'expired', { type: 'system', id: world.system }, true);
  }
}

function close(
  world: World,
  r: ModelRedemption,
  action: 'cancelled' | 'expired' | 'reversed',
  actor: Actor,
  restock: boolean,
): void {
  r.status = action === 'expired' ? 'expired' : 'cancelled';
  r.trail = [...r.trail, `${action} ${actor.type} ${actor.id}`];
  const forfeited = action === 'expired' && r.on_expiry === 'forfeit';
  if (!forfeited) world.balances.set(r.user_id, balanceOf(world, r.user_id) + r.cost);
  const offer = world.offers.get(r.offer_id) as ModelOffer;
  if (restock && offer.stock_quantity !== null) offer.stock_quantity += 1;
}

function perform(world: World, act: Act, answer: unknown): World[] {
  if (act.act === 'sweep') return sweep(world, act.alone, answer as number);
  const next = copyOf(world);
  if (act.act === 'look') {
    settle(next, act.redemption_id);
    return [next, world];
  }
  if (act.act === 'edit') {
    Object.assign(next.offers.get(act.offer_id) as ModelOffer, act.change);
  } else if (act.act === 'merchant' || act.act === 'revoke') {
    const merchant = next.merchants.get(act.merchant_id);
    if (merchant && act.act === 'merchant') merchant.active = act.active;
    if (merchant && act.act === 'revoke') merchant.revoked = true;
  } else {
    const r = next.redemptions.get(act.redemption_id);
    if (r?.status === 'pending') r.due = act.act === 'lapse';
  }
  return [next];
}

/** Beside others a sweep skips what somebody holds: it booked any so many of those due. */
function sweep(world: World, alone: boolean, booked: number): World[] {
  const due = [...world.redemptions].filter(([, r]) => r.status === 'pending' && r.due);
  let choices: string[][] = [[]];
  for (const [id] of due) choices = choices.flatMap((ids) => [ids, [...ids, id]]);
  return choices
    .filter((ids) => ids.length === booked && (!alone || booked === due.length))
    .map((ids) => {
      const next = copyOf(world);
      for (const id of ids) settle(next, id);
      return next;
    });
}

/** What can be seen of a world from outside, in the shape that the test reads from the database. */
export function picture(world: World): object {
  const confirmed = live(world).filter((r) => r.status === 'confirmed');
  const sum = (rows: ModelRedemption[]) => rows.reduce((all, r) => all + r.cost, 0);
  return {
    adjusted: world.adjusted,
    balances: each(world.balances, (id, balance) => {
      const held = live(world).filter((r) => r.user_id === id && r.status === 'pending');
      return [balance, sum(held)];
    }),
    offers: each(world.offers, (id, { valid_from, valid_to, ...offer }) => {
      const stock_held = live(world).filter((r) => r.offer_id === id).length;
      return { ...offer, has_window: [valid_from !== null, valid_to !== null], stock_held };
    }),
    merchants: each(world.merchants, (id, merchant) => {
      const own = confirmed.filter((r) => r.confirmed_by === id);
      return { ...merchant, totals: [own.length, sum(own)] };
    }),
    redemptions: each(world.redemptions, (_, { status, due, looks, trail }) => {
      const events = trail.map((line) => `redemption.${line.split(' ')[0]}`);
      return { status, due: due && status === 'pending', looks, trail, events };
    }),
  };
}

function each<K extends string | number, V>(map: Map<K, V>, show: (key: K, value: V) => unknown) {
  return Object.fromEntries([...map].map(([key, value]) => [key, show(key, value)]));
}

/** A success may hold more than the model can know; a refusal's data must be all there is. */
function matches(expected: unknown, actual: unknown): boolean {
  const wanted = expected as Outcome;
  const found = actual as Outcome;
  if (wanted.done) {
    const facts = Object.entries(wanted.done);
    return facts.every(([name, value]) => isSame(value, found.done?.[name]));
  }
  const { data = {} } = wanted;
  const names = new Set(Object.keys({ ...data, ...found.data }));
  return (
    found.refused === wanted.refused &&
    [...names].every((name) => isSame(data[name], found.data?.[name]))
  );
}

function isSame(wanted: unknown, found: unknown): boolean {
  return wanted === TIME
    ? typeof found === 'string' && !Number.isNaN(Date.parse(found))
    : isDeepStrictEqual(wanted, found);
}
