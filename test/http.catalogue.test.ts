/** The catalogue over HTTP: one page for all who ask, each with their own availability and ETag. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Value } from 'typebox/value';
import { Page } from '../src/contract/common.ts';
import { CatalogueOffer } from '../src/contract/offer.ts';
import { freePort } from '../src/db/embedded/port.ts';
import { openDatabase } from '../src/db/pool.ts';
import { lookAt, openLooking } from '../src/offers/looking.ts';
import { testApp } from './support/app.ts';

const PATH = '/rewards/offers';

test('a page that many share is what each of them would see alone', async (t) => {
  const { call, member, offer, grant } = await testApp(t, { corsOrigins: ['https://app.example'] });
  const dear = await offer({ name_friendly: 'Dear "ñ" \u2028', lumis_cost: 500 });
  const once = await offer({ name_friendly: 'Once', lumis_cost: 5, max_redemptions_per_user: 1 });
  const gone = await offer({ name_friendly: 'Gone', lumis_cost: 5, stock_quantity: 0 });
  await offer({ is_active: false });
  for (const [id, points] of [
    [1, 1000],
    [2, 100],
  ] as const) {
    await grant(id, points);
  }
  const [rich, poor, none] = await Promise.all([member(1), member(2), member(3)]);
  const taken = { token: rich, body: { offer_id: once } };
  assert.equal((await call('POST', '/rewards/redemptions', taken)).status, 201);

  const askers = Array.from({ length: 30 }, (_, i) => [rich, poor, none][i % 3] as string);
  const pages = await Promise.all(askers.map((token) => call('GET', PATH, { token })));
  for (const [i, { status, body, headers }] of pages.entries()) {
    assert.equal(status, 200);
    assert.ok(Value.Check(Page(CatalogueOffer), body), JSON.stringify(body));
    assert.deepEqual(body, pages[i % 3]?.body);
    assert.equal(headers.etag, pages[i % 3]?.headers.etag);
    assert.equal(headers['content-type'], 'application/json; charset=utf-8');
    assert.equal(headers['cache-control'], 'private, no-cache');
    assert.match(String(headers.vary), /origin.*authorization/i);
  }
  const reasons = pages
    .slice(0, 3)
    .map(({ body }) => [
      ...body.data.map((one: { offer_id: string; availability: { reasons: string[] } }) => [
        { [dear]: 'dear', [once]: 'once', [gone]: 'gone' }[one.offer_id],
        ...one.availability.reasons,
      ]),
    ]);
  assert.deepEqual(reasons, [
    [['gone', 'out_of_stock'], ['once', 'limit_member'], ['dear']],
    [['gone', 'out_of_stock'], ['once'], ['dear', 'insufficient_points']],
    [
      ['gone', 'out_of_stock', 'insufficient_points'],
      ['once', 'insufficient_points'],
      ['dear', 'insufficient_points'],
    ],
  ]);
  // one offer says the same as its place in the list
  const alone = await call('GET', `${PATH}/${once}`, { token: rich });
  assert.deepEqual(alone.body, pages[0]?.body.data[1]);
  const within = await call('GET', `${PATH}?affordable=true`, { token: poor });
  assert.deepEqual(
    within.body.data.map((one: { offer_id: string }) => one.offer_id),
    [gone, once],
  );
});

test('without the database the one who looks is told so, and nothing else breaks', async () => {
  const url = `postgres://nobody@127.0.0.1:${await freePort(0)}/none`;
  const db = openDatabase({ url, max: 4, poolTimeoutMs: 2000, onError: () => undefined });
  // page and members are read at once, and both fail: a fault that nobody hears ends the process
  const looking = openLooking(db).read(db, [lookAt(1, { sort: 'newest', limit: 20 })]);
  await assert.rejects(looking, { code: 'overloaded' });
  await db.close();
});

test('what a client has already is 304, until anything of it changes', async (t) => {
  const { call, member, offer, grant } = await testApp(t);
  const offerId = await offer({ lumis_cost: 60, stock_quantity: 5 });
  await grant(1, 100);
  const [token, other] = [await member(1), await member(2)];
  for (const path of [PATH, `${PATH}/${offerId}`]) {
    const first = await call('GET', path, { token });
    const tag = String(first.headers.etag);
    const again = (known: string, as = token) =>
      call('GET', path, { token: as, headers: { 'if-none-match': known } });
    for (const known of [tag, `"x", W/${tag}`, '*']) {
      const same = await again(known);
      assert.equal(same.status, 304, known);
      assert.equal(same.body, '');
      assert.equal(same.headers.etag, tag);
    }
    assert.equal((await again('"x"')).status, 200);
    assert.equal((await again(tag, other)).status, 200, 'another member has other points');
    await call('POST', '/rewards/redemptions', { token, body: { offer_id: offerId } });
    const changed = await again(tag);
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.etag, tag);
    await grant(1, 60);
  }
});
