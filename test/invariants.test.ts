import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { changedBy, systemCaller } from '../src/core/actor.ts';
import { unwrap } from '../src/core/answer.ts';
import { type Database, openDatabase } from '../src/db/pool.ts';
import { claim } from '../src/idempotency/claim.ts';
import { checkInvariants, inspectInvariants } from '../src/invariants/check.ts';
import { INVARIANTS } from '../src/invariants/invariants.ts';
import { WITH_EVERYTHING } from '../src/invariants/scope.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { cancel } from '../src/redemptions/cancel.ts';
import { confirm } from '../src/redemptions/confirm.ts';
import { expireOldRedemptions } from '../src/redemptions/expire.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { reverse } from '../src/redemptions/reverse.ts';
import { freshDatabase } from './support/database.ts';
import { strangeDevices } from './support/devices.ts';

const MERCHANT = '0199a0c4-0000-7000-8000-000000000001';
const OTHER_MERCHANT = '0199a0c4-0000-7000-8000-000000000002';
const COFFEE = '0199a0c4-0000-7000-8000-00000000000a'; // of MERCHANT, 50 Lümis, stock, limit
const CINEMA = '0199a0c4-0000-7000-8000-00000000000b'; // of any merchant, forfeited on expiry
const NOBODY = '0199a0c4-0000-7000-8000-00000000000f';
const MEMBER = 7; // redeems everything below
const OTHER_MEMBER = 8;

const caller = systemCaller('test');
const changed_by = changedBy(caller);
const basic = { merchant_id: MERCHANT, key_id: null, proven_hash: 'proven' };
const issuing = { ttl_minutes: 60, public_url: 'https://points.example' };
let serial = 0;

function keyed<Input extends object>(operation: string, input: Input) {
  serial += 1;
  return { ...claim(caller.actor, `key ${serial}`, operation, input), ...input, changed_by };
}

async function issue(db: Database, user_id: number, offer_id: string): Promise<string> {
  const [answer] = await redeem(db, issuing, [keyed('redeem', { user_id, offer_id })]);
  return unwrap(answer).redemption_id;
}

async function use(db: Database, redemption_id: string): Promise<void> {
  const [answer] = await confirm(db, [keyed('confirm', { redemption_id, ...basic })]);
  unwrap(answer);
}

async function giveBack(db: Database, redemption_id: string, user_id: number): Promise<void> {
  const reason = null;
  const [answer] = await cancel(db, [keyed('cancel', { redemption_id, user_id, reason })]);
  unwrap(answer);
}

async function takeBack(db: Database, redemption_id: string): Promise<void> {
  const wish = { redemption_id, ...basic, reason: 'cold coffee', restock: true };
  const [answer] = await reverse(db, [keyed('reverse', wish)]);
  unwrap(answer);
}

/** A database in which one redemption has come to each end there is. */
async function programme(t: TestContext) {
  const { url, name, connect } = await freshDatabase(t);
  const db = openDatabase({ url, max: 10, poolTimeoutMs: 10_000, onError: assert.ifError });
  t.after(() => db.close());
  const admin = await connect();
  const sql = async (text: string) => void (await admin.query(text));
  await sql(`
    INSERT INTO rewards.merchants (merchant_id, merchant_name, api_key_hash)
    VALUES ('${MERCHANT}', 'Café Sur', 'proven'), ('${OTHER_MERCHANT}', 'Cine Norte', 'proven');
    INSERT INTO rewards.redemption_offers (offer_id, name_friendly, lumis_cost, stock_quantity,
      merchant_id, max_redemptions_per_user, on_expiry)
    VALUES ('${COFFEE}', 'Café', 50, 100, '${MERCHANT}', 5, 'refund'),
      ('${CINEMA}', 'Cine', 80, NULL, NULL, NULL, 'forfeit');
    INSERT INTO public.fact_accumulations (user_id, quantity)
    VALUES (${MEMBER}, 1000.5), (${OTHER_MEMBER}, 300)`);
  const [pending, confirmed, cancelled, reversed, expired, forfeited] = (await Promise.all(
    [COFFEE, COFFEE, COFFEE, COFFEE, COFFEE, CINEMA].map((offer) => issue(db, MEMBER, offer)),
  )) as [string, string, string, string, string, string];
  await use(db, confirmed);
  await giveBack(db, cancelled, MEMBER);
  await use(db, reversed);
  await takeBack(db, reversed);
  await sql(`UPDATE rewards.user_redemptions SET code_expires_at = now()
    WHERE redemption_id IN ('${expired}', '${forfeited}')`);
  assert.equal(await expireOldRedemptions(db), 2);
  /** Does what no trigger or foreign key would let pass. */
  const damage = (text: string) =>
    sql(`SET session_replication_role = replica; ${text}; RESET session_replication_role`);
  return {
    ...{ db, url, name, sql, damage },
    ids: { pending, confirmed, cancelled, reversed, expired, forfeited },
  };
}

type Programme = Awaited<ReturnType<typeof programme>>;
type Ids = Programme['ids'];

/** Sets the balances to what the ledger says, so that damage to the ledger shows by itself. */
const REBALANCE = `UPDATE lumis.balances b SET balance = (SELECT sum(f.quantity)
  FROM public.fact_accumulations f WHERE f.user_id = b.user_id)`;

const redemption = (id: string, change: string) =>
  `UPDATE rewards.user_redemptions SET ${change} WHERE redemption_id = '${id}'`;
const entry = (id: string, kind: string, change: string) =>
  `UPDATE public.fact_accumulations SET ${change}
   WHERE redemption_id = '${id}' AND kind = '${kind}'; ${REBALANCE}`;
const event = (id: string, sequence: number, change: string) =>
  `UPDATE lumis.events SET ${change} WHERE redemption_id = '${id}' AND sequence = ${sequence}`;
const audited = (id: string, action: string) => `redemption_id = '${id}' AND action = '${action}'`;
const alsoAudited = (id: string, action: string) =>
  `INSERT INTO rewards.redemption_audit_log (redemption_id, action, actor_type)
   VALUES ('${id}', '${action}', 'system')`;
const keyOf = (id: string, status: string) =>
  `answer->'done'->>'redemption_id' = '${id}'
   AND answer->'done'->>'redemption_status' = '${status}'`;

type Subject = string | number | RegExp;
/**
 * What is done to the database behind its guards, and every violation that must then be found, no
 * more: subjects by the invariant's id.
 */
type Damage = (ids: Ids) => [sql: string, finds: Record<string, Subject | Subject[]>];

const DAMAGES: Record<string, Damage> = {
  'a balance is off by one': () => [
    `UPDATE lumis.balances SET balance = balance + 1 WHERE user_id = ${MEMBER}`,
    { I1: MEMBER },
  ],
  'a balance is gone': () => [
    `DELETE FROM lumis.balances WHERE user_id = ${MEMBER}`,
    { I1: MEMBER },
  ],
  'a member spent what was never given': () => [
    `DELETE FROM public.fact_accumulations
      WHERE user_id = ${MEMBER} AND kind IS NULL; ${REBALANCE}`,
    { I2: MEMBER },
  ],
  'a spend is not the price': ({ pending, confirmed }) => [
    `${entry(pending, 'spend', 'quantity = -49')}; ${entry(confirmed, 'spend', 'quantity = -51')}`,
    { I3: [pending, confirmed] },
  ],
  'a spend moves no points': ({ pending }) => [
    `${entry(pending, 'spend', "dtype = 'stamps'")};
      UPDATE lumis.balances SET balance = balance + 50 WHERE user_id = ${MEMBER}`,
    { I3: pending, I4: 'all' },
  ],
  'what expired was not refunded': ({ expired }) => [
    `DELETE FROM public.fact_accumulations
      WHERE redemption_id = '${expired}' AND kind = 'refund'; ${REBALANCE}`,
    { I3: expired, I4: 'all' },
  ],
  'what was forfeited was refunded': ({ forfeited }) => [
    `INSERT INTO public.fact_accumulations
      (user_id, quantity, redemption_id, kind)
      VALUES (${MEMBER}, 80, '${forfeited}', 'refund'); ${REBALANCE}`,
    { I3: forfeited, I4: 'all' },
  ],
  'a spend is there twice': ({ pending }) => [
    `DROP INDEX public.fact_accumulations_redemption_kind;
      INSERT INTO public.fact_accumulations (user_id, quantity, redemption_id, kind)
      VALUES (${MEMBER}, -50, '${pending}', 'spend'); ${REBALANCE}`,
    { I4: 'all', I19: 'public.fact_accumulations_redemption_kind' },
  ],
  'held units are not the live redemptions': () => [
    `UPDATE rewards.redemption_offers SET stock_held = 3 WHERE offer_id = '${COFFEE}'`,
    { I5: COFFEE },
  ],
  'stock is below zero': () => [
    `ALTER TABLE rewards.redemption_offers DROP CONSTRAINT offers_stock_not_negative;
      UPDATE rewards.redemption_offers SET stock_quantity = -1 WHERE offer_id = '${COFFEE}'`,
    { I5: COFFEE },
  ],
  'a member holds more than the limit': () => [
    `UPDATE rewards.redemption_offers SET max_redemptions_per_user = 1
      WHERE offer_id = '${COFFEE}'`,
    { I6: `${MEMBER} ${COFFEE}` },
  ],
  'a pending redemption was validated': ({ pending }) => [
    redemption(pending, `validated_by_merchant_id = '${MERCHANT}'`),
    { I7: pending },
  ],
  'a reversed redemption forgot who had confirmed it': ({ reversed }) => [
    redemption(reversed, 'validated_by_merchant_id = NULL'),
    { I7: reversed },
  ],
  'a confirmed redemption has no time of use': ({ confirmed }) => [
    redemption(confirmed, 'validated_at = NULL'),
    { I7: confirmed, I13: /key/ },
  ],
  'a spend is another member’s': ({ pending }) => [
    entry(pending, 'spend', `user_id = ${OTHER_MEMBER}`),
    { I8: pending },
  ],
  'a redemption vanished': ({ pending }) => [
    `DELETE FROM rewards.user_redemptions WHERE redemption_id = '${pending}'`,
    { I5: COFFEE, I8: pending, I9: pending, I13: /key/ },
  ],
  'a confirmation is not audited': ({ confirmed }) => [
    `DELETE FROM rewards.redemption_audit_log
      WHERE ${audited(confirmed, 'confirmed')}`,
    { I9: confirmed },
  ],
  'an expiry is audited that never was': ({ pending }) => [
    alsoAudited(pending, 'expired'),
    { I9: pending },
  ],
  'a confirmation is audited twice': ({ confirmed }) => [
    alsoAudited(confirmed, 'confirmed'),
    { I9: confirmed, I10: confirmed },
  ],
  'a redemption was created after it was cancelled': ({ cancelled }) => [
    `UPDATE rewards.redemption_audit_log SET log_id = 0
      WHERE ${audited(cancelled, 'cancelled')}`,
    { I10: cancelled },
  ],
  'the totals of a merchant are off by one': () => [
    `UPDATE rewards.merchants SET total_redemptions = 2
      WHERE merchant_id = '${MERCHANT}'`,
    { I11: MERCHANT },
  ],
  'a redemption was confirmed after its expiry': ({ confirmed }) => [
    redemption(confirmed, `code_expires_at = validated_at - interval '1 minute'`),
    { I12: confirmed },
  ],
  'a redemption was confirmed by another merchant': ({ reversed }) => [
    redemption(reversed, `validated_by_merchant_id = '${OTHER_MERCHANT}'`),
    { I12: reversed },
  ],
  'a key has no answer': ({ pending }) => [
    `UPDATE lumis.idempotency_keys SET answer = NULL WHERE ${keyOf(pending, 'pending')}`,
    { I13: /^system test key \d+$/ },
  ],
  'an answer tells of a redemption that does not exist': ({ pending }) => [
    `UPDATE lumis.idempotency_keys
      SET answer = jsonb_set(answer, '{done,redemption_id}', '"${NOBODY}"')
      WHERE ${keyOf(pending, 'pending')}`,
    { I13: /^system test key \d+$/ },
  ],
  'two keys claim one confirmation': ({ confirmed }) => [
    `INSERT INTO lumis.idempotency_keys
      SELECT actor_type, actor_id, 'zzz', fingerprint, answer FROM lumis.idempotency_keys
      WHERE ${keyOf(confirmed, 'confirmed')}`,
    { I13: 'system test zzz' },
  ],
  'an event is missing': ({ reversed }) => [
    `DELETE FROM lumis.events WHERE redemption_id = '${reversed}' AND sequence = 2`,
    { I14: reversed },
  ],
  'an event tells something else': ({ expired }) => [
    event(expired, 2, `type = 'redemption.cancelled'`),
    { I14: expired },
  ],
  'an event tells of what never happened': ({ pending }) => [
    `INSERT INTO lumis.events (type, redemption_id, sequence)
      VALUES ('redemption.reversed', '${pending}', 3)`,
    { I14: pending },
  ],
  'an expiry is overdue': ({ pending }) => [
    redemption(pending, `code_expires_at = now() - interval '121 minutes'`),
    { I15: pending },
  ],
  'an event waits': () => [
    `UPDATE lumis.events SET created_at = created_at - interval '16 minutes'`,
    { I16: 'dispatcher' },
  ],
  'a cancelled redemption has no time of its end': ({ cancelled }) => [
    redemption(cancelled, 'closed_at = NULL'),
    { I17: cancelled },
  ],
  'a confirmed redemption has a time of its end': ({ confirmed }) => [
    redemption(confirmed, 'closed_at = now()'),
    { I17: confirmed },
  ],
  'a reversal has no reason': ({ reversed }) => [
    redemption(reversed, 'cancellation_reason = NULL'),
    { I17: reversed },
  ],
  'devices act that are unknown, or ended': ({ confirmed, reversed }) => [
    strangeDevices(MERCHANT, confirmed, reversed),
    { I20: [confirmed, reversed] },
  ],
  'a code is not canonical': ({ pending }) => [
    redemption(pending, `redemption_code = 'LUMS-ILOU-0000-0000-0000'`),
    { I18: pending },
  ],
  'a QR leads elsewhere': ({ pending }) => [
    redemption(pending, `landing_token = 'AAAAAAAAAAAAAAAAAAAAAA'`),
    { I18: pending },
  ],
  ...Object.fromEntries(
    Object.entries({
      trg_ledger_balances: 'public.fact_accumulations',
      trg_ledger_immutable: 'public.fact_accumulations',
      trg_ledger_never_truncated: 'public.fact_accumulations',
      trg_audit_redemption_changes: 'rewards.user_redemptions',
      trg_update_merchant_stats: 'rewards.user_redemptions',
    }).map(([trigger, table]): [string, Damage] => [
      `${trigger} is disabled`,
      () => [`ALTER TABLE ${table} DISABLE TRIGGER ${trigger}`, { I19: trigger }],
    ]),
  ),
  'a trigger is gone, and another one fires less often': () => [
    `DROP TRIGGER trg_update_merchant_stats ON rewards.user_redemptions;
      CREATE OR REPLACE TRIGGER trg_audit_redemption_changes
        AFTER INSERT OR UPDATE ON rewards.user_redemptions
        FOR EACH ROW EXECUTE FUNCTION rewards.audit_redemption_change()`,
    { I19: ['trg_audit_redemption_changes', 'trg_update_merchant_stats'] },
  ],
};

const foundBy = (of: Damage) => Object.keys(of({} as Ids)[1]);

for (const [title, of] of Object.entries(DAMAGES)) {
  test(`${foundBy(of).join(' and ')}: ${title}`, async (t) => {
    const { db, damage, ids } = await programme(t);
    const [sql, wanted] = of(ids);
    await damage(sql);
    const violations = await checkInvariants(db, {});
    assert.deepEqual([...new Set(violations.map((v) => v.invariant))], Object.keys(wanted));
    for (const [id, subjects] of Object.entries(wanted)) {
      const found = violations.filter((v) => v.invariant === id).map((v) => v.subject);
      const all = [subjects].flat();
      assert.equal(found.length, all.length, `${id}: ${found}`);
      assert.ok(
        all.every((subject) => found.some((text) => fits(text, subject))),
        `${found}`,
      );
    }
    assert.ok(violations.every((violation) => violation.detail.length > 0));
    // through the narrower look of recent rows it is the same, where rows suffice to judge
    const recent = new Set(
      (await checkInvariants(db, { since: '2020-01-01T00:00:00Z' })).map((v) => v.invariant),
    );
    assert.deepEqual([...recent], Object.keys(wanted).filter(isScoped));
  });
}

test('I19: a setting of the database keeps triggers from firing', async (t) => {
  const { url, name, sql } = await programme(t);
  await sql(`ALTER DATABASE ${name} SET session_replication_role = replica`);
  const db = openDatabase({ url, max: 1, poolTimeoutMs: 10_000, onError: assert.ifError });
  t.after(() => db.close());
  const violations = await checkInvariants(db, {});
  assert.deepEqual(
    violations.map(({ invariant, subject }) => `${invariant} ${subject}`),
    ['I19 session_replication_role'],
  );
});

function fits(text: string, subject: Subject): boolean {
  return subject instanceof RegExp ? subject.test(text) : text === String(subject);
}

function isScoped(id: string): boolean {
  return INVARIANTS.some((invariant) => invariant.id === id && invariant.scoped);
}

test('every invariant has a damage that it finds', () => {
  const found = new Set(Object.values(DAMAGES).flatMap(foundBy));
  assert.deepEqual(
    INVARIANTS.map(({ id }) => id).filter((id) => !found.has(id)),
    [],
  );
});

test('a database in which everything happened holds all of them', async (t) => {
  const { db } = await programme(t);
  const findings = await inspectInvariants(db, {});
  assert.deepEqual(
    findings.flatMap((finding) => finding.violations),
    [],
  );
  assert.deepEqual(
    findings.map(({ invariant }) => invariant),
    INVARIANTS,
  );
  assert.ok(findings.every(({ ms }) => ms >= 0 && ms < 60_000));
});

/** What people and other systems may do without breaking anything. */
const HARMLESS: Record<string, (ids: Ids) => string> = {
  'an import brings debts, also below ids and dates that are there': () => `
    INSERT INTO public.fact_accumulations (id, user_id, quantity, date, kind)
    VALUES (-5, ${MEMBER}, -5000, '2020-01-01', 'adjustment'), (-4, ${OTHER_MEMBER}, -7.25,
      '2020-01-01', NULL), (-3, 9, -100, now(), NULL)`,
  'another system numbers its points ahead of ours': () => `
    INSERT INTO public.fact_accumulations (id, user_id, quantity) VALUES (9000000000, 9, 70)`,
  'entries that move no points': () => `
    INSERT INTO public.fact_accumulations (user_id, quantity, dtype) VALUES (9, 12, 'stamps')`,
  'a limit is lowered': () => `
    UPDATE rewards.redemption_offers SET max_redemptions_per_user = 1,
      updated_at = clock_timestamp() WHERE offer_id = '${COFFEE}'`,
  'an expiry is moved': ({ confirmed, pending }) => `
    ${redemption(confirmed, `code_expires_at = now() + interval '9 days'`)};
    ${redemption(pending, `code_expires_at = now() - interval '90 minutes'`)}`,
  'an ended redemption is deleted': ({ cancelled }) => `
    DELETE FROM rewards.user_redemptions WHERE redemption_id = '${cancelled}'`,
  'a code of another shape, without a landing token': ({ pending }) => `
    SET session_replication_role = replica;
    ${redemption(pending, `redemption_code = 'FREE COFFEE', landing_token = NULL`)};
    RESET session_replication_role`,
  'audit log and events are purged': () => `
    UPDATE rewards.redemption_audit_log SET created_at = now() - interval '91 days';
    UPDATE lumis.events SET created_at = now() - interval '91 days';
    SET session_replication_role = replica;
    UPDATE rewards.user_redemptions SET created_at = created_at - interval '91 days',
      validated_at = validated_at - interval '91 days', closed_at = closed_at - interval '91 days';
    RESET session_replication_role;
    DELETE FROM rewards.redemption_audit_log; DELETE FROM lumis.events`,
  'a dump of a busier server was restored': () => `
    UPDATE lumis.event_cursors SET xid = '99999999999', id = 5;
    UPDATE lumis.events SET xid = '99999999998', created_at = now() - interval '1 day'`,
};

for (const [title, sql] of Object.entries(HARMLESS)) {
  test(`no false alarm: ${title}`, async (t) => {
    const programmed = await programme(t);
    await programmed.sql(sql(programmed.ids));
    assert.deepEqual(await checkInvariants(programmed.db, {}), []);
    assert.deepEqual(await checkInvariants(programmed.db, { since: '2020-01-01T00:00:00Z' }), []);
  });
}

test('an older limit binds what was issued after it, and only that', async (t) => {
  const { db, sql } = await programme(t);
  const lower = (when: string) =>
    sql(`UPDATE rewards.redemption_offers
    SET max_redemptions_per_user = 1, created_at = '2020-01-01', updated_at = ${when}`);
  await lower(`now() - interval '1 hour'`);
  assert.equal((await checkInvariants(db, {}))[0]?.invariant, 'I6');
  await lower(`now() - interval '30 seconds'`);
  assert.deepEqual(await checkInvariants(db, {}), []);
});

test('recent rows alone are looked at, and many violations are capped', async (t) => {
  const { db, sql, damage, ids } = await programme(t);
  await damage(redemption(ids.cancelled, 'closed_at = NULL'));
  await sql("UPDATE rewards.redemption_audit_log SET created_at = created_at - interval '1 h'");
  const since = new Date(Date.now() - 60_000).toISOString();
  assert.deepEqual(await checkInvariants(db, { since }), []);
  const fresh = await issue(db, MEMBER, COFFEE);
  await damage(redemption(fresh, 'closed_at = now()'));
  const subjects = async (changes?: number) =>
    (await checkInvariants(db, { since, changes })).map(({ subject }) => subject);
  assert.deepEqual(await subjects(), [fresh]);
  await issue(db, MEMBER, COFFEE);
  assert.deepEqual([await subjects(1), await subjects(2)], [[], [fresh]]);
  await sql(`INSERT INTO public.fact_accumulations (user_id, quantity)
    SELECT i, 10 FROM generate_series(1000, 1200) i`);
  await damage('UPDATE lumis.balances SET balance = 11 WHERE user_id >= 1000');
  assert.equal((await inspectInvariants(db, {}))[0]?.violations.length, 100);
});

test('nothing is wrong at any moment while everything happens at once', async (t) => {
  const { db, sql } = await programme(t);
  let busy = true;
  const quarrel = async (user: number) => {
    for (let i = 0; i < 12; i += 1) {
      const id = await issue(db, user, i % 2 ? COFFEE : CINEMA).catch(() => undefined);
      if (!id) continue;
      await Promise.allSettled([use(db, id), giveBack(db, id, user), takeBack(db, id)]);
    }
  };
  const meddle = async () => {
    while (busy) {
      await sql(`INSERT INTO public.fact_accumulations (user_id, quantity) VALUES
        (${MEMBER}, 30), (${OTHER_MEMBER}, 60), (${MEMBER}, -20), (9, 15.5)`);
      await expireOldRedemptions(db);
    }
  };
  const watch = async () => {
    while (busy) assert.deepEqual(await checkInvariants(db, {}), []);
  };
  const crowd = [MEMBER, OTHER_MEMBER, MEMBER, 9, OTHER_MEMBER, MEMBER].map(quarrel);
  const all = Promise.all(crowd).finally(() => {
    busy = false;
  });
  await Promise.all([all, meddle(), watch()]);
  assert.deepEqual(await checkInvariants(db, {}), []);
});

test('docs/invariants.md shows each of them as it is', () => {
  const text = readFileSync(join(PROJECT_ROOT, 'docs/invariants.md'), 'utf8');
  const sections = text.split(/^### /m).slice(1);
  const title = (section: string) => section.split('\n', 1)[0];
  assert.deepEqual(
    sections.map(title),
    INVARIANTS.map(({ id, name }) => `${id} ${name}`),
  );
  INVARIANTS.forEach(({ reason, scoped, sql }, i) => {
    const section = sections[i] ?? '';
    assert.ok(section.includes(reason), `${title(section)}: reason`);
    assert.ok(section.includes(`\`\`\`sql\n${sql}\n\`\`\``), `${title(section)}: query`);
    assert.equal(section.includes('Not checked by recent rows.'), !scoped, title(section));
    assert.match(section, /^Cannot see: /m, title(section));
  });
  assert.ok(text.includes(`\`\`\`sql\n${WITH_EVERYTHING}\n\`\`\``), 'the rows in scope');
});
