/** At scale every statement of the hot paths finds its rows by an index, however it is planned. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as bench from '../bench/fill.ts';
import { listAudit } from '../src/audit/list.ts';
import { purgeAudit } from '../src/audit/purge.ts';
import { auditRefusals } from '../src/audit/refuse.ts';
import type { CatalogueQuery } from '../src/contract/offer.ts';
import { changedBy, systemCaller } from '../src/core/actor.ts';
import { type Database, openDatabase } from '../src/db/pool.ts';
import { prepared } from '../src/db/statement.ts';
import { authenticateDevice } from '../src/devices/authenticate.ts';
import { digestOf } from '../src/devices/token.ts';
import { dispatchEvents } from '../src/events/dispatch.ts';
import { purgeEvents } from '../src/events/purge.ts';
import { counterReader } from '../src/events/watch-counter.ts';
import { redemptionReader } from '../src/events/watch-redemption.ts';
import { claim } from '../src/idempotency/claim.ts';
import { purgeKeys } from '../src/idempotency/purge.ts';
import { checkInvariants } from '../src/invariants/check.ts';
import { adjust } from '../src/ledger/adjust.ts';
import { balanceOf } from '../src/ledger/balance.ts';
import { ledgerOf } from '../src/ledger/entries.ts';
import { lockMembers } from '../src/ledger/lock.ts';
import { listMembers, membersById, rememberMembers } from '../src/members/members.ts';
import { findKeys, requireMayAct } from '../src/merchants/authenticate.ts';
import { lockMerchants } from '../src/merchants/lock.ts';
import { merchantStats } from '../src/merchants/stats.ts';
import { stillMayAct } from '../src/merchants/still.ts';
import { findOffer } from '../src/offers/catalogue.ts';
import { lockOffers } from '../src/offers/lock.ts';
import { lookAt, openLooking } from '../src/offers/looking.ts';
import { cancel } from '../src/redemptions/cancel.ts';
import { confirm } from '../src/redemptions/confirm.ts';
import { dayOf } from '../src/redemptions/day.ts';
import { expireOldRedemptions } from '../src/redemptions/expire.ts';
import {
  redemptionOfMember,
  redemptionsOfMember,
  redemptionsOfMerchant,
} from '../src/redemptions/find.ts';
import { findLanding } from '../src/redemptions/landing.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { expireDue, lockRedemptions } from '../src/redemptions/redemption.ts';
import { reverse } from '../src/redemptions/reverse.ts';
import { findRedemption, searchRedemptions } from '../src/redemptions/search.ts';
import { timelineOf } from '../src/redemptions/timeline.ts';
import { validate } from '../src/redemptions/validate.ts';
import { freshDatabase } from './support/database.ts';
import { countScans, explainingDatabase, requirePlans } from './support/plans.ts';

const SIZE: bench.Size = {
  offers: 10_000,
  merchants: 1_000,
  members: 30_000,
  redemptions: 120_000,
  pending: 30_000,
  keys: 10_000,
};
const caller = systemCaller('plans');
const ISSUING = { ttl_minutes: 60, public_url: 'https://lumis.example.com' };
const MEMBER = 77;
const MODES = ['force_custom_plan', 'force_generic_plan'] as const;
/** A request by itself, and a group of them. */
const GROUPS = [1, 50];
const DIGEST = digestOf(bench.BENCH_SECRET).toString('hex');
const credential = (merchant: number, key_id: string, proven_hash: string | null) => {
  return { merchant_id: bench.merchantId(merchant), key_id, proven_hash };
};
const keyOf = (merchant: number) => credential(merchant, bench.keyId(merchant), null);
const deviceOf = (merchant: number) => credential(merchant, bench.deviceId(merchant), DIGEST);
let serial = 0;
const common = () => ({
  ...claim(caller.actor, `plans ${++serial}`, 'plans', {}),
  changed_by: changedBy(caller),
});
let touched = 0;
/** Pending redemptions that nobody has touched yet. */
const fresh = (rows: number) => Array.from({ length: rows }, () => ++touched);
const ended = bench.redemptionId(SIZE.pending + 17);
const catalogue = { sort: 'newest', limit: 20 } as const;

interface Operation {
  run(db: Database, rows: number): Promise<unknown>;
  /** by the name of the statement: indexes that it must read, itself or by what it calls */
  uses: Record<string, string[]>;
  costMax?: number; // else what may cost before it would be compiled
}

const EXPIRE = prepared('rewards.expire', 'SELECT rewards.expire_old_redemptions()');

const REDEEM_LOCKS = ['idempotency_keys_pkey', 'redemption_offers_pkey', 'balances_pkey'];
const REDEEM_USES = [...REDEEM_LOCKS, 'merchants_pkey', 'idx_redemptions_user'];

const OPERATIONS: Record<string, Operation> = {
  redeem: {
    run: (db, rows) =>
      redeem(
        db,
        ISSUING,
        fresh(rows).map((n) => ({
          ...common(),
          user_id: bench.memberOf(n, SIZE),
          offer_id: bench.offerId(bench.offerOf(n, SIZE)),
        })),
      ),
    uses: { 'redemptions.redeem': REDEEM_USES, 'redemptions.redeem_alone': REDEEM_USES },
  },
  confirm: {
    run: (db, rows) => confirm(db, confirming(rows, keyOf)),
    uses: {
      'redemptions.confirm': ['idempotency_keys_pkey', 'user_redemptions_pkey', 'merchants_pkey'],
    },
  },
  'locks, where somebody was in the way': {
    run: (db, rows) => {
      const own = fresh(rows);
      const ids = own.map((n) => bench.redemptionId(n));
      return db.transaction([
        lockRedemptions(ids),
        lockMembers(own.map((n) => bench.memberOf(n, SIZE))),
        lockOffers(own.map((n) => bench.offerId(bench.offerOf(n, SIZE)))),
        expireDue(ids, null),
        lockMerchants(own.map((n) => bench.merchantId(bench.merchantOf(n, SIZE)))),
      ]);
    },
    uses: {
      'ledger.lock_members': ['balances_pkey'],
      'offers.lock': ['redemption_offers_pkey'],
      'redemptions.lock': ['user_redemptions_pkey'],
      'redemptions.expire_due': ['user_redemptions_pkey'],
      'merchants.lock': ['merchants_pkey'],
    },
  },
  'confirm by device': {
    run: (db, rows) => confirm(db, confirming(rows, deviceOf)),
    uses: {
      'redemptions.confirm': [
        'idempotency_keys_pkey',
        'user_redemptions_pkey',
        'devices_pkey',
        'branches_of_merchant',
      ],
    },
  },
  cancel: {
    run: (db, rows) =>
      cancel(
        db,
        fresh(rows).map((n) => ({
          ...common(),
          user_id: bench.memberOf(n, SIZE),
          redemption_id: bench.redemptionId(n),
          reason: null,
        })),
      ),
    uses: {
      'redemptions.lock': ['user_redemptions_pkey'],
      'ledger.lock_members_of': ['user_redemptions_pkey', 'balances_pkey'],
      'offers.lock_of': ['user_redemptions_pkey', 'redemption_offers_pkey'],
      'redemptions.cancel': [
        'idempotency_keys_pkey',
        'user_redemptions_pkey',
        'balances_pkey',
        'redemption_offers_pkey',
        'fact_accumulations_redemption_kind',
      ],
    },
  },
  reverse: {
    async run(db) {
      const [n = 0] = fresh(1);
      const place = {
        ...keyOf(bench.merchantOf(n, SIZE)),
        redemption_id: bench.redemptionId(n),
      };
      await confirm(db, [{ ...common(), ...place }]);
      await reverse(db, [{ ...common(), ...place, reason: 'plans', restock: true }]);
    },
    uses: {
      'redemptions.reverse': [
        'idempotency_keys_pkey',
        'user_redemptions_pkey',
        'balances_pkey',
        'redemption_offers_pkey',
        'fact_accumulations_redemption_kind',
      ],
    },
  },
  adjust: {
    run: (db) => adjust(db, [{ ...common(), user_id: MEMBER, quantity: 5, reason: 'plans' }]),
    uses: {
      'ledger.lock_members': ['balances_pkey'],
      'ledger.adjust': ['idempotency_keys_pkey', 'balances_pkey'],
    },
  },
  'validate a code': {
    run: (db, rows) => validate(db, fresh(rows).map(scanned(bench.redemptionCode))),
    uses: { 'redemptions.validate': ['idx_redemptions_code', 'idx_redemptions_landing'] },
  },
  'validate a landing token': {
    run: (db, rows) => validate(db, fresh(rows).map(scanned(bench.landingToken))),
    uses: { 'redemptions.validate': ['idx_redemptions_code', 'idx_redemptions_landing'] },
  },
  landing: {
    run: (db) => findLanding(db, bench.landingToken(9)),
    uses: { 'redemptions.landing': ['idx_redemptions_landing'] },
  },
  'catalogue, newest first': {
    run(db, rows) {
      const looks = fresh(rows).map((n) => lookAt(bench.memberOf(n, SIZE), catalogue));
      return openLooking(db).read(db, looks);
    },
    uses: {
      'offers.newest': ['idx_offers_active_valid'],
      'offers.standings': ['balances_pkey', 'idx_redemptions_user'],
    },
  },
  'catalogue, newest first, second page': {
    async run(db) {
      const [first] = await openLooking(db).read(db, [lookAt(MEMBER, catalogue)]);
      await list({ cursor: first?.page.next_cursor ?? '' })(db);
    },
    uses: { '': ['idx_offers_active_valid'] },
  },
  'catalogue, cheapest first': {
    run: list({ sort: 'cost_asc' }),
    uses: { 'offers.cost_asc': ['idx_offers_cost'] },
  },
  'catalogue, dearest first': {
    run: list({ sort: 'cost_desc' }),
    uses: { 'offers.cost_desc': ['idx_offers_cost'] },
  },
  'catalogue of a category': {
    run: list({ category: 'books' }),
    uses: { '': ['idx_offers_active_valid'] },
  },
  'catalogue of a merchant': {
    run: list({ merchant_id: bench.merchantId(7) }),
    uses: { '': ['idx_offers_merchant'] },
  },
  'catalogue within reach': {
    run: list({ affordable: true, max_cost: 400 }),
    uses: { '': ['idx_offers_active_valid'] },
  },
  'catalogue, searched': { run: list({ q: 'cine' }), uses: { '': ['idx_offers_active_valid'] } },
  offer: {
    run: (db) => findOffer(db, MEMBER, bench.offerId(3)),
    uses: { 'offers.one': ['redemption_offers_pkey', 'balances_pkey', 'idx_redemptions_user'] },
  },
  balance: {
    run: (db) => balanceOf(db, MEMBER),
    uses: { 'ledger.balance': ['balances_pkey', 'idx_redemptions_user'] },
  },
  ledger: {
    run: (db) => ledgerOf(db, MEMBER, { limit: 20 }),
    uses: { 'ledger.entries': ['fact_accumulations_user'] },
  },
  "a member's redemptions": {
    async run(db) {
      const { next_cursor } = await redemptionsOfMember(db, MEMBER, { limit: 2 });
      await redemptionsOfMember(db, MEMBER, { limit: 2, cursor: next_cursor ?? '' });
    },
    uses: { 'redemptions.of_member': ['idx_redemptions_user'] },
  },
  "a member's redemptions of a status": {
    run: (db) => redemptionsOfMember(db, MEMBER, { limit: 20, status: 'pending' }),
    uses: { 'redemptions.of_member': ['idx_redemptions_user'] },
  },
  "a member's redemption": {
    run: (db) => redemptionOfMember(db, bench.memberOf(9, SIZE), bench.redemptionId(9)),
    uses: { 'redemptions.one_of_member': ['user_redemptions_pkey'] },
  },
  timeline: {
    run: (db) => timelineOf(db, bench.memberOf(9, SIZE), bench.redemptionId(9)),
    uses: {
      'redemptions.timeline': [
        'user_redemptions_pkey',
        'idx_audit_redemption',
        'fact_accumulations_redemption_kind',
      ],
    },
  },
  "a merchant's redemptions": {
    async run(db) {
      const { next_cursor } = await redemptionsOfMerchant(db, keyOf(5), { limit: 20 });
      await redemptionsOfMerchant(db, keyOf(5), { limit: 20, cursor: next_cursor ?? '' });
    },
    uses: { 'redemptions.of_merchant': ['idx_redemptions_merchant'] },
  },
  "a merchant's day": {
    run: (db) => dayOf(db, deviceOf(5), { limit: 20 }, 'America/Panama'),
    uses: { 'redemptions.day': ['idx_redemptions_merchant', 'idx_audit_redemption'] },
  },
  "a branch's day": {
    run: (db) => dayOf(db, deviceOf(5), { limit: 20, branch_id: bench.branchId(5) }, 'UTC'),
    uses: { 'redemptions.day': ['idx_redemptions_merchant'] },
  },
  "a merchant's figures": {
    run: (db) => merchantStats(db, keyOf(5), 'UTC'),
    uses: { 'merchants.stats': ['idx_redemptions_merchant'] },
  },
  'a redemption, for support': {
    run: (db) => findRedemption(db, ended),
    uses: { 'redemptions.one': ['user_redemptions_pkey'] },
  },
  'search by member': {
    run: (db) => searchRedemptions(db, { user_id: MEMBER, limit: 20 }),
    uses: { '': ['idx_redemptions_user'] },
  },
  'search by code': {
    run: (db) => searchRedemptions(db, { code: bench.redemptionCode(9), limit: 20 }),
    uses: { '': ['idx_redemptions_code'] },
  },
  'search by time': {
    run: (db) => searchRedemptions(db, { from: new Date(0).toISOString(), limit: 20 }),
    uses: { '': ['idx_redemptions_created'] },
  },
  'search by status': {
    run: (db) => searchRedemptions(db, { status: 'expired', limit: 20 }),
    uses: { '': ['idx_redemptions_created'] },
  },
  'audit log of a redemption': {
    run: (db) => listAudit(db, { redemption_id: ended, limit: 20 }),
    uses: { '': ['idx_audit_redemption'] },
  },
  'audit log of an action': {
    run: (db) => listAudit(db, { action: 'refused', limit: 20 }),
    uses: { '': ['idx_audit_action'] },
  },
  'merchant keys': {
    async run(db, rows) {
      await findKeys(db, fresh(rows).map(bench.keyId));
      await requireMayAct(db, keyOf(5));
      await stillMayAct(db, [keyOf(5), deviceOf(6)]);
    },
    uses: {
      'merchants.prove_keys': ['merchant_keys_pkey'],
      'merchants.may_act': ['merchants_pkey'],
      'merchants.still_may_act': ['merchants_pkey'],
    },
  },
  device: {
    run: (db) => authenticateDevice(db, bench.deviceKey(5)),
    uses: { 'devices.authenticate': ['devices_pkey'] },
  },
  refusals: {
    run: (db) => auditRefusals(db, [{ caller, reason: 'expired', redemption_id: ended }]),
    uses: { 'audit.refuse': ['refusals_pkey'] },
  },
  members: {
    async run(db) {
      const claims = { display_name: 'Plans', email: null, locale: 'es' };
      await rememberMembers(db, [{ user_id: MEMBER, ...claims }]);
      await membersById(db, [MEMBER, 78]);
      await listMembers(db, { limit: 20 });
    },
    uses: {
      'members.remember': ['members_pkey'],
      'members.by_id': ['members_pkey', 'balances_pkey'],
      '': ['members_pkey'],
    },
  },
  'event dispatch': {
    run: (db) => dispatchEvents(db, 'plans', () => undefined),
    uses: { 'events.read': ['events_pkey'] },
  },
  "a redemption's events": {
    async run(db) {
      const reader = redemptionReader(db);
      reader.add(ended, 0, () => undefined);
      await reader.read();
    },
    uses: { 'events.of_redemptions': ['events_redemption', 'idx_audit_redemption'] },
  },
  "a counter's events": {
    run: (db) => watchCounter(db),
    uses: {
      'events.of_counters': ['events_pkey', 'user_redemptions_pkey', 'idx_audit_redemption'],
    },
  },
  expiry: {
    async run(db) {
      await fallDue(db);
      await expireOldRedemptions(db);
    },
    uses: {
      'redemptions.due': ['idx_redemptions_status'],
      'redemptions.expire': [
        'user_redemptions_pkey',
        'balances_pkey',
        'redemption_offers_pkey',
        'fact_accumulations_redemption_kind',
      ],
    },
  },
  'expiry by psql': {
    async run(db) {
      await fallDue(db);
      await db.query(EXPIRE());
    },
    uses: {
      'rewards.expire': [
        'idx_redemptions_status',
        'user_redemptions_pkey',
        'balances_pkey',
        'redemption_offers_pkey',
        'fact_accumulations_redemption_kind',
      ],
    },
  },
  'invariants of what was touched': {
    run: (db) => checkInvariants(db, { since: '2000-01-01', changes: 500, isBeside: true }),
    costMax: Number.POSITIVE_INFINITY, // it says that nothing is to be compiled
    uses: { '': ['idx_audit_created', 'idx_audit_redemption', 'fact_accumulations_user'] },
  },
  'purge of the audit log': {
    run: (db) => purgeAudit(db),
    uses: { 'audit.purge': ['idx_audit_created'] },
  },
  'purge of events': { run: (db) => purgeEvents(db), uses: { 'events.purge': ['events_pkey'] } },
  'purge of idempotency keys': {
    run: (db) => purgeKeys(db),
    uses: { 'idempotency.purge': ['idempotency_keys_created'] },
  },
};

let due = SIZE.pending;

/** Some that nobody touched fall due: the last of the pending ones, which the others never reach. */
async function fallDue(db: Database): Promise<void> {
  const ids = Array.from({ length: 30 }, () => bench.redemptionId(due--));
  const text = `UPDATE rewards.user_redemptions SET code_expires_at = now() - interval '1 minute'
    WHERE redemption_id = ANY ($1::uuid[])`;
  await db.query({ name: '', text, values: [ids] });
}

/** A member's look at the catalogue, as the first page is but for `filter`. */
function list(filter: Partial<CatalogueQuery>) {
  return (db: Database) => openLooking(db).read(db, [lookAt(MEMBER, { ...catalogue, ...filter })]);
}

/** A confirmation of so many that nobody touched yet, each by its merchant. */
function confirming(rows: number, credentialOf: typeof keyOf) {
  return fresh(rows).map((n) => ({
    ...common(),
    ...credentialOf(bench.merchantOf(n, SIZE)),
    redemption_id: bench.redemptionId(n),
  }));
}

/** What the merchant of a redemption scans, as `textOf` says it. */
function scanned(textOf: (n: number) => string) {
  return (n: number) => ({
    ...keyOf(bench.merchantOf(n, SIZE)),
    scanned: textOf(n),
    changed_by: changedBy(caller),
  });
}

async function watchCounter(db: Database): Promise<void> {
  const reader = counterReader(db);
  const watch = { merchant_id: bench.merchantId(5), branch_id: null, hand: () => undefined };
  reader.add({ ...watch, after: undefined, begin: () => undefined });
  await reader.read();
  await reader.read();
}

const { url } = await freshDatabase();
await bench.fill(url, SIZE, () => undefined);
const scannedBefore = await countScans(url);

for (const mode of MODES) {
  for (const [name, { run, uses, costMax }] of Object.entries(OPERATIONS)) {
    test(`${name}: its indexes, ${mode}`, async () => {
      const db = await explainingDatabase(url, mode);
      try {
        for (const rows of GROUPS) await run(db, rows);
        requirePlans(db.taken(), uses, costMax);
      } finally {
        await db.close();
      }
    });
  }
}

test('the server counted no reading of a big table from end to end either', async () => {
  assert.deepEqual(await countScans(url), scannedBefore);
});

test('what ran left everything as it must be', async (t) => {
  const db = openDatabase({ url, max: 1, poolTimeoutMs: 30_000, onError: () => undefined });
  t.after(() => db.close());
  assert.deepEqual(await checkInvariants(db, {}), []);
});
