/** What a statement sees may be older than what it locks; a member's limit holds all the same. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCaller } from '../src/core/actor.ts';
import { openDatabase } from '../src/db/pool.ts';
import { createOffer } from '../src/offers/save.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { checkedDatabase } from './support/database.ts';
import { wish } from './support/wish.ts';

const ISSUING = { ttl_minutes: 60, public_url: 'https://points.example' };
const GATE = 1;
const [LATE, OTHER] = [1, 2];

/** What each statement locks first: before that, its view may grow old. */
const FIRST_LOCKED = { alone: 'rewards.redemption_offers', together: 'lumis.balances' };

/**
 * A database with two members and an offer that each may have once. For who comes `throughGate`, a
 * policy is asked when a row of `table` was found and before it is locked: it waits while the gate is
 * shut.
 */
async function open(t: TestContext, table: string) {
  const { url, db, connect, sql } = await checkedDatabase(t);
  await sql('INSERT INTO public.fact_accumulations (user_id, quantity) VALUES (1, 100), (2, 100)');
  const terms = { name_friendly: 'One each', lumis_cost: 10, max_redemptions_per_user: 1 };
  const { offer_id } = await createOffer(db, systemCaller('test'), terms);
  const role = `${new URL(url).pathname.slice(1)}_visitor`;
  const owner = await connect();
  await owner.query(`CREATE ROLE ${role};
    GRANT USAGE ON SCHEMA rewards, lumis, public TO ${role};
    GRANT ALL ON ALL TABLES IN SCHEMA rewards, lumis, public TO ${role};
    GRANT ALL ON ALL SEQUENCES IN SCHEMA rewards, lumis, public TO ${role};
    ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY gate ON ${table} TO ${role}
      USING (pg_advisory_xact_lock_shared(${GATE})::text IS NOT NULL)`);
  const visitor = new URL(url);
  visitor.searchParams.set('options', `-c role=${role}`);
  const settings = { max: 2, poolTimeoutMs: 10_000, onError: () => undefined };
  const throughGate = openDatabase({ url: visitor.href, ...settings });
  const close = async () => {
    await throughGate.close();
    await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  };
  const waitAtGate = async () => {
    const text = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`;
    while ((await sql(text)).length === 0) await sleep(2);
  };
  return { db, owner, sql, offer_id, throughGate, waitAtGate, close };
}

for (const [how, table] of Object.entries(FIRST_LOCKED)) {
  test(`of those who come ${how} one is counted again when somebody was faster`, async (t) => {
    const { db, owner, sql, offer_id, throughGate, waitAtGate, close } = await open(t, table);
    const others = how === 'alone' ? [] : [OTHER];
    await owner.query('SELECT pg_advisory_lock($1)', [GATE]);
    const wishes = [LATE, ...others].map((member) => wish(member, offer_id));
    const answers = redeem(throughGate, ISSUING, wishes);
    await waitAtGate();
    const [faster] = await redeem(db, ISSUING, [wish(LATE, offer_id)]);
    assert.equal(faster?.done?.redemption_status, 'pending');
    // the balance is as it was again: its amount tells nothing, its time does
    await sql('INSERT INTO public.fact_accumulations (user_id, quantity) VALUES ($1, 10)', LATE);
    await owner.query('SELECT pg_advisory_unlock($1)', [GATE]);
    const told = (await answers).map(({ done, refused }) => refused ?? done?.redemption_status);
    assert.deepEqual(told, ['limit_member', ...others.map(() => 'pending')]);
    await close();
  });
}
