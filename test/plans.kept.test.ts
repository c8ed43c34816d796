/** Statements of the hot paths are planned a few times by a connection, and then never again. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedBy, systemCaller } from '../src/core/actor.ts';
import { openDatabase } from '../src/db/pool.ts';
import { claim } from '../src/idempotency/claim.ts';
import { adjust } from '../src/ledger/adjust.ts';
import { findKeys } from '../src/merchants/authenticate.ts';
import { createMerchant } from '../src/merchants/save.ts';
import { findOffer } from '../src/offers/catalogue.ts';
import { lookAt, openLooking } from '../src/offers/looking.ts';
import { createOffer } from '../src/offers/save.ts';
import { cancel } from '../src/redemptions/cancel.ts';
import { confirm } from '../src/redemptions/confirm.ts';
import { redeem } from '../src/redemptions/redeem.ts';
import { reverse } from '../src/redemptions/reverse.ts';
import { validate } from '../src/redemptions/validate.ts';
import { freshDatabase } from './support/database.ts';

/** Plans that PostgreSQL makes for the parameters of a call before it may keep a general one. */
const TRIES = 5;
const TIMES = 12;
const PREPARED = `SELECT name, custom_plans::integer AS times FROM pg_prepared_statements
  WHERE name LIKE '%.%' ORDER BY name`;

test('a batch of one is not planned anew for each call', async (t) => {
  const { url } = await freshDatabase(t);
  const db = openDatabase({ url, max: 1, poolTimeoutMs: 5000, onError: () => undefined });
  t.after(() => db.close());
  const caller = systemCaller('test');
  const changed_by = changedBy(caller);
  const offerFor = { name_friendly: 'Offer', lumis_cost: 1 };
  const merchant = await createMerchant(db, caller, { merchant_name: 'Merchant' });
  const { merchant_id, api_key } = merchant;
  const key_id = String(api_key.split('_')[1]);
  const { offer_id } = await createOffer(db, caller, { ...offerFor, merchant_id });
  const looking = openLooking(db);
  const issuing = { ttl_minutes: 60, public_url: 'http://127.0.0.1:8000' };
  const by = { merchant_id, key_id, proven_hash: null };
  for (let i = 0; i < TIMES; i += 1) {
    const keyed = (operation: string, input: object) => ({
      ...claim(caller.actor, `${operation} ${i}`, operation, input),
      changed_by,
    });
    const points = { user_id: 1, quantity: 10, reason: 'test' };
    await adjust(db, [{ ...keyed('adjust', points), ...points }]);
    const wanted = { user_id: 1, offer_id };
    const take = async (name: string) => {
      const rows = [{ ...keyed(name, wanted), ...wanted }];
      const [answer] = await redeem(db, issuing, rows);
      assert.ok(answer?.done, JSON.stringify(answer));
      await redeem(db, issuing, rows); // repeated, it goes by the statement for many
      return answer.done;
    };
    const [kept, given] = [await take('redeem'), await take('redeem another')];
    await findKeys(db, [key_id]);
    await validate(db, [{ ...by, changed_by, scanned: kept.redemption_code as string }]);
    const one = { redemption_id: kept.redemption_id };
    await confirm(db, [{ ...keyed('confirm', one), ...by, ...one }]);
    await reverse(db, [{ ...keyed('reverse', one), ...by, ...one, reason: 'test', restock: true }]);
    const other = { redemption_id: given.redemption_id, user_id: 1, reason: null };
    await cancel(db, [{ ...keyed('cancel', other), ...other }]);
    await findOffer(db, 1, offer_id);
    await looking.read(db, [lookAt(1, { sort: 'newest', limit: 20 })]);
  }
  const statements = await db.query<{ name: string; times: number }>({
    name: '',
    text: PREPARED,
    values: [],
  });
  const names = statements.map(({ name }) => name);
  for (const name of ['redeem', 'redeem_alone', 'confirm', 'cancel', 'reverse', 'validate']) {
    assert.ok(names.includes(`redemptions.${name}`), `${name} is among ${names}`);
  }
  assert.ok(names.includes('offers.standings') && names.includes('merchants.prove_keys'));
  assert.deepEqual(
    statements.filter(({ times }) => times > TRIES),
    [],
  );
});
