import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestApp, testApp } from './support/app.ts';

async function redeemed(api: TestApp, userId: number, offer_id: string) {
  const token = await api.member(userId);
  const reply = await api.call('POST', '/rewards/redemptions', { token, body: { offer_id } });
  assert.equal(reply.status, 201, JSON.stringify(reply.body));
  return { token, redemption: reply.body };
}

test('from the catalogue to the confirmation and back', async (t) => {
  const api = await testApp(t);
  const { merchant_id, api_key } = await api.merchant();
  const offer_id = await api.offer({ merchant_id, lumis_cost: 50, stock_quantity: 2 });
  await api.grant(1, 120);
  const { token, redemption } = await redeemed(api, 1, offer_id);
  assert.equal(redemption.balance, 70);
  assert.match(redemption.redemption_code, /^LUMS(-[0-9A-Z]{4}){4}$/);
  const own = `/rewards/redemptions/${redemption.redemption_id}`;

  const seen = await api.call('GET', '/rewards/offers', { token });
  assert.equal(seen.body.data[0].stock_quantity, 1);
  const points = await api.call('GET', '/rewards/balance', { token });
  assert.deepEqual([points.body.balance, points.body.held], [70, 50]);

  // scanned as a code, as a landing URL, as its token
  const token22 = redemption.qr_landing_url.split('/').at(-1);
  for (const code of [
    redemption.redemption_code.toLowerCase(),
    redemption.qr_landing_url,
    token22,
  ]) {
    const verdict = await api.call('POST', '/merchant/validate', {
      token: api_key,
      body: { code },
    });
    assert.deepEqual([verdict.status, verdict.body.redemption_id], [200, redemption.redemption_id]);
  }
  const at = `/merchant/redemptions/${redemption.redemption_id}`;
  const confirmed = await api.call('POST', `${at}/confirm`, { token: api_key });
  assert.equal(confirmed.body.redemption_status, 'confirmed');
  const second = await api.call('POST', `${at}/confirm`, { token: api_key });
  assert.deepEqual(
    [second.status, second.body.code, second.body.redeemed_at],
    [409, 'already_redeemed', confirmed.body.validated_at],
  );
  const used = await api.call('GET', own, { token });
  assert.equal(used.body.redemption_status, 'confirmed');
  assert.equal('redemption_code' in used.body, false);
  const list = await api.call('GET', '/rewards/redemptions', { token });
  assert.deepEqual(list.body.data, [used.body]);
  assert.deepEqual([used.body.source, used.body.legacy_id], ['lumis', null]);
  assert.equal((await api.call('GET', `${own}/qr.png`, { token })).status, 404);
  assert.equal((await api.call('POST', `${own}/cancel`, { token })).body.code, 'already_redeemed');

  const stats = await api.call('GET', '/merchant/stats', { token: api_key });
  assert.deepEqual([stats.body.today_redemptions, stats.body.total_lumis_redeemed], [1, 50]);
  const reversed = await api.call('POST', `${at}/reverse`, {
    token: api_key,
    body: { reason: 'frío', restock: false },
  });
  assert.deepEqual([reversed.status, reversed.body.restocked], [200, false]);
  const back = await api.call('GET', '/rewards/balance', { token });
  assert.deepEqual([back.body.balance, back.body.held], [120, 0]);
  const offer = await api.call('GET', `/admin/offers/${offer_id}`, { token: await api.admin() });
  assert.deepEqual([offer.body.stock_quantity, offer.body.stock_held], [1, 0]);
  const again = await api.call('POST', '/merchant/validate', {
    token: api_key,
    body: { code: redemption.redemption_code },
  });
  assert.deepEqual([again.status, again.body.code], [409, 'reversed']);
});

test('a cancelled redemption gives back points and stock; an expired one is told as expired', async (t) => {
  const api = await testApp(t);
  const { merchant_id, api_key } = await api.merchant();
  const offer_id = await api.offer({ merchant_id, stock_quantity: 5 });
  const forfeit = await api.offer({ merchant_id, on_expiry: 'forfeit' });
  await api.grant(1, 100);
  const first = await redeemed(api, 1, offer_id);
  const cancelled = await api.call(
    'POST',
    `/rewards/redemptions/${first.redemption.redemption_id}/cancel`,
    { token: first.token },
  );
  assert.deepEqual([cancelled.body.lumis_refunded, cancelled.body.balance], [10, 100]);
  for (const [offer, balance] of [
    [offer_id, 100],
    [forfeit, 90],
  ] as const) {
    const { token, redemption } = await redeemed(api, 1, offer);
    await api.db.query({
      name: '',
      text: `UPDATE rewards.user_redemptions SET code_expires_at = clock_timestamp()
             WHERE redemption_id = $1`,
      values: [redemption.redemption_id],
    });
    const code = redemption.redemption_code;
    const seen = await api.call('GET', `/rewards/redemptions/${redemption.redemption_id}`, {
      token,
    });
    assert.equal('redemption_code' in seen.body, false, 'not shown once it is due');
    const verdict = await api.call('POST', '/merchant/validate', {
      token: api_key,
      body: { code },
    });
    assert.deepEqual([verdict.status, verdict.body.code], [409, 'expired']);
    const points = await api.call('GET', '/rewards/balance', { token });
    assert.deepEqual([points.body.balance, points.body.held], [balance, 0]);
  }
});

test('pages neither repeat nor skip while rows arrive', async (t) => {
  const api = await testApp(t);
  for (let i = 0; i < 25; i += 1) await api.offer({ lumis_cost: 10 + (i % 3) });
  const token = await api.member(1);
  for (const sort of ['newest', 'cost_asc', 'cost_desc']) {
    const before = await api.db.query({
      name: '',
      text: 'SELECT count(*) AS n FROM rewards.redemption_offers',
      values: [],
    });
    const ids: string[] = [];
    let cursor = '';
    do {
      const query = `?sort=${sort}&limit=7${cursor && `&cursor=${cursor}`}`;
      const { body } = await api.call('GET', `/rewards/offers${query}`, { token });
      ids.push(...body.data.map((offer: { offer_id: string }) => offer.offer_id));
      cursor = body.next_cursor ?? '';
      await api.offer({ lumis_cost: 1 });
    } while (cursor);
    assert.equal(new Set(ids).size, ids.length, 'none twice');
    assert.ok(ids.length >= before[0].n, 'none left out');
  }
});

test('an offer answers why it cannot be redeemed, in list, detail and redeem alike', async (t) => {
  const api = await testApp(t);
  const token = await api.member(1);
  await api.grant(1, 15);
  const hour = (n: number) => new Date(Date.now() + n * 3_600_000).toISOString();
  const cases = {
    offer_inactive: await api.offer({ is_active: false }),
    offer_not_started: await api.offer({ valid_from: hour(1) }),
    offer_ended: await api.offer({ valid_to: hour(-1) }),
    out_of_stock: await api.offer({ stock_quantity: 0 }),
    insufficient_points: await api.offer({ lumis_cost: 40 }),
  };
  for (const [code, offer_id] of Object.entries(cases)) {
    const detail = await api.call('GET', `/rewards/offers/${offer_id}`, { token });
    assert.deepEqual(detail.body.availability.reasons, [code]);
    const refused = await api.call('POST', '/rewards/redemptions', { token, body: { offer_id } });
    assert.deepEqual([refused.status, refused.body.code], [409, code]);
    if (code === 'insufficient_points') assert.equal(refused.body.missing_lumis, 25);
  }
  const { body } = await api.call('GET', '/rewards/offers', { token });
  assert.deepEqual(
    body.data.map((offer: { offer_id: string }) => offer.offer_id).sort(),
    [cases.out_of_stock, cases.insufficient_points].sort(),
  );
  const affordable = await api.call('GET', '/rewards/offers?affordable=true', { token });
  assert.equal(affordable.body.data.length, 1);
});

test('an issued code keeps what it was issued with', async (t) => {
  const api = await testApp(t);
  const { merchant_id, api_key } = await api.merchant();
  const other = await api.merchant();
  const offer_id = await api.offer({ merchant_id, name_friendly: 'Antes', lumis_cost: 10 });
  await api.grant(1, 50);
  const { token, redemption } = await redeemed(api, 1, offer_id);
  const admin = await api.admin();
  const change = { name_friendly: 'Después', lumis_cost: 40, merchant_id: other.merchant_id };
  await api.call('PATCH', `/admin/offers/${offer_id}`, { token: admin, body: change });
  await api.call('DELETE', `/admin/offers/${offer_id}`, { token: admin });
  const seen = await api.call('GET', `/rewards/redemptions/${redemption.redemption_id}`, { token });
  assert.deepEqual([seen.body.offer_name, seen.body.lumis_spent], ['Antes', 10]);
  const body = { code: redemption.redemption_code };
  const foreign = await api.call('POST', '/merchant/validate', { token: other.api_key, body });
  assert.deepEqual([foreign.status, foreign.body.code], [404, 'unknown_code']);
  const at = `/merchant/redemptions/${redemption.redemption_id}/confirm`;
  assert.equal((await api.call('POST', at, { token: other.api_key })).status, 404);
  assert.equal((await api.call('POST', at, { token: api_key })).status, 200);
});

test('the landing page shows the state and changes nothing', async (t) => {
  const api = await testApp(t);
  const offer_id = await api.offer({ name_friendly: '<b>Café</b>' });
  await api.grant(1, 50);
  const { redemption } = await redeemed(api, 1, offer_id);
  const path = new URL(redemption.qr_landing_url).pathname;
  const get = (url: string) => api.app.inject({ url, headers: { 'accept-language': 'en' } });
  const page = await get(path);
  assert.equal(page.statusCode, 200);
  assert.match(page.body, /lang="en"/);
  assert.match(page.body, /&lt;b&gt;Café/);
  assert.doesNotMatch(page.body, new RegExp(redemption.redemption_code));
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'/);
  assert.equal(page.headers['cache-control'], 'no-store');
  assert.equal((await get('/r/unknown')).statusCode, 404);
  assert.equal((await get('/r/%2e%2e%2f')).statusCode, 404);
  assert.equal((await get('/')).statusCode, 200);
  for (const asset of ['/assets/page.css', '/assets/icon.svg', '/docs', '/healthz', '/readyz']) {
    assert.ok((await get(asset)).statusCode < 400, asset);
  }
  const metrics = await get('/metrics');
  assert.match(metrics.body, /lumis_outcomes_total\{verb="redeem",outcome="done"\} 1/);
});
