/** What the wallet reads from outside, and needs no browser: addresses and tokens. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { countOf, queryOf, readCost, readFilter, writeFilter } from '../web/wallet/state/filter.ts';
import { readToken } from '../web/wallet/state/token.ts';

const MERCHANT = '0193e0a4-7c1e-7b9a-9d1f-5a3c2b1d0e9f';
const SECRET = new TextEncoder().encode('a secret of at least thirty-two bytes');

test('a filter stands in the URL and comes back from it', () => {
  const filter = fc.record(
    {
      q: fc
        .string({ minLength: 1, maxLength: 50 })
        .map((text) => text.trim())
        .filter(Boolean),
      category: fc.string({ minLength: 1, maxLength: 50 }),
      merchant_id: fc.uuid(),
      min_cost: fc.nat(2_000_000_000),
      max_cost: fc.nat(2_000_000_000),
      affordable: fc.constant(true),
      sort: fc.constantFrom('cost_desc' as const, 'newest' as const),
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  fc.assert(fc.property(filter, (one) => assert.deepEqual(readFilter(writeFilter(one)), one)));
});

test('what makes no sense in a URL is left out', () => {
  const nonsense = `?q=%20&category=&merchant_id=x&min_cost=-5&max_cost=1e9&affordable=yes&sort=up`;
  assert.deepEqual(readFilter(nonsense), {});
  assert.deepEqual(readFilter('?token=abc&utm_source=mail'), {});
  assert.equal(readFilter(`?q=${'x'.repeat(500)}`).q?.length, 200);
  assert.equal(readFilter('?max_cost=99999999999').max_cost, undefined);
  assert.equal(readFilter('?max_cost=9999999999').max_cost, 2_147_483_647);
  assert.equal(writeFilter({}), '');
});

test('costs are read as people write them', () => {
  assert.equal(readCost('1,250'), 1250);
  assert.equal(readCost(' 1 250 '), 1250);
  assert.equal(readCost('0'), 0);
  for (const none of ['', null, 'x', '-1', '1e3', '１２']) assert.equal(readCost(none), undefined);
});

test('the order narrows nothing, and the cheapest come first', () => {
  assert.equal(countOf({ sort: 'newest' }), 0);
  assert.equal(countOf({ merchant_id: MERCHANT, affordable: true, sort: 'newest' }), 2);
  assert.deepEqual(queryOf({ affordable: true }), { sort: 'cost_asc', affordable: true });
  assert.deepEqual(queryOf({ sort: 'newest' }), { sort: 'newest' });
});

test("a member's token says who they are", async () => {
  const token = await new SignJWT({ name: '  Iñaki Ríos 🌞 ' })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('42')
    .setExpirationTime(2_000_000_000)
    .sign(SECRET);
  const claims = { user_id: '42', expires_at: 2_000_000_000_000, name: 'Iñaki Ríos 🌞' };
  assert.deepEqual(readToken(token), claims);
});

test('what is no token of a member is none', async () => {
  const sign = (claims: object) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(SECRET);
  assert.equal(readToken(await sign({ sub: 'ana' })), undefined);
  assert.equal(readToken(await sign({})), undefined);
  assert.deepEqual(readToken(await sign({ sub: '7', exp: 'soon', name: 5 })), {
    user_id: '7',
    expires_at: undefined,
    name: undefined,
  });
  for (const none of [
    undefined,
    null,
    5,
    '',
    'x',
    'a.b',
    'a.b.c',
    'e30.bnVsbA.x',
    'x'.repeat(9000),
  ]) {
    assert.equal(readToken(none), undefined);
  }
  fc.assert(fc.property(fc.string(), (text) => readToken(`x.${text}.y`) === undefined));
});
