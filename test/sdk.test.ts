import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { createClock } from '../sdk/clock.ts';
import {
  type ClientOptions,
  createClient,
  LumisError,
  NetworkError,
  newKey,
  type Redeemed,
} from '../sdk/index.ts';
import { type TestApp, testApp } from './support/app.ts';
import { proxyTo, saying, type Way } from './support/proxy.ts';

const GATEWAY_PAGE = saying(502, '<html><h1>502 Bad Gateway</h1></html>');
const CUT: Way['troubles'][number] = { cutAfterBytes: 0 };

interface Place {
  api: TestApp;
  proxy: Way;
  client(options?: ClientOptions): ReturnType<typeof createClient>;
  /** a member with points, an offer of 10 of one merchant, and clients for both */
  shop(points?: number): Promise<{
    member: ReturnType<typeof createClient>;
    counter: ReturnType<typeof createClient>;
    /** the counter's */
    api_key: string;
    offer_id: string;
    userId: number;
  }>;
}

let members = 0;

async function place(t: TestContext, changes = {}): Promise<Place> {
  const api = await testApp(t, changes);
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.app.server.address() as AddressInfo;
  const proxy = await proxyTo(t, port);
  const client = (options: ClientOptions = {}) => createClient({ baseUrl: proxy.url, ...options });
  return {
    api,
    proxy,
    client,
    async shop(points = 100) {
      const { merchant_id, api_key } = await api.merchant();
      const offer_id = await api.offer({ merchant_id });
      const userId = ++members;
      if (points > 0) await api.grant(userId, points);
      const member = client({ token: await api.member(userId) });
      return { member, counter: client({ token: api_key }), api_key, offer_id, userId };
    },
  };
}

/** The error that a call rejects with. */
async function errorOf(call: Promise<unknown>): Promise<LumisError> {
  const error = await call.then(
    (value) => assert.fail(`it answered ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof LumisError, String(error));
  return error;
}

/** What the server would say. */
const problem = (status: number, code: string, headers = {}) => {
  const body = { type: `urn:lumis:problem:${code}`, title: '', status, detail: '…', code };
  const kind = { 'content-type': 'application/problem+json', ...headers };
  return saying(status, JSON.stringify(body), kind);
};

const shown = ({ code, status, isAnswered }: LumisError) => [code, status, isAnswered];

test('from the catalogue to the confirmation and back', async (t) => {
  const { shop } = await place(t);
  const { member, counter, offer_id } = await shop();
  const offers = await member.rewards.offers({ affordable: true, q: undefined, limit: 5 });
  assert.deepEqual(
    offers.data.map((offer) => offer.offer_id),
    [offer_id],
  );
  assert.equal((await member.rewards.offer(offer_id)).availability.can_redeem, true);
  const redeemed = await member.rewards.redeem({ offer_id }, { key: newKey() });
  assert.equal(redeemed.balance, 90);
  const { redemption_id, redemption_code = '' } = redeemed;
  assert.match(await member.rewards.qrSvg(redemption_id), /^<svg [\s\S]*<\/svg>\s*$/);
  assert.equal(
    (await counter.merchant.validate({ code: redemption_code })).redemption_id,
    redemption_id,
  );
  await counter.merchant.confirm(redemption_id, { key: newKey() });
  const again = await errorOf(counter.merchant.confirm(redemption_id, { key: newKey() }));
  assert.deepEqual(shown(again), ['already_redeemed', 409, true]);
  assert.ok(again.problem?.redeemed_at);
  assert.equal((await counter.merchant.stats()).today_redemptions, 1);
  const reason = { reason: 'Wrong order' };
  const reversed = await counter.merchant.reverse(redemption_id, reason, { key: newKey() });
  assert.equal(reversed.lumis_refunded, 10);
  assert.equal((await member.rewards.balance()).balance, 100);
  const second = await member.rewards.redeem({ offer_id }, { key: newKey() });
  const cancelled = await member.rewards.cancel(second.redemption_id, { key: newKey() });
  assert.equal(cancelled.redemption_status, 'cancelled');
  const over = await member.rewards.redemptions({ status: 'cancelled' });
  assert.equal(over.data.length, 2);
  assert.equal((await errorOf(member.rewards.qrSvg(redemption_id))).code, 'not_found');
});

/** Calls every function below, with anything, and below what they return. */
async function callAll(group: object): Promise<void> {
  for (const value of Object.values(group)) {
    const call = async () => (typeof value === 'function' ? value('x', 'x', 'x') : value);
    const more = await call().catch(() => undefined);
    if (typeof more === 'object' && more !== null) await callAll(more);
  }
}

test('every route has its method, and every method its route', async (t) => {
  const { api } = await place(t);
  const called = new Set<string>();
  const refused = '{"type":"urn:lumis:problem:not_found","code":"not_found"}';
  const headers = { 'content-type': 'application/problem+json' };
  const everything = createClient({
    fetch: async (url, { method }) => {
      called.add(`${method ?? 'GET'} ${url.replace(/\?.*/, '')}`);
      return new Response(refused, { status: 404, headers });
    },
  });
  await callAll(everything);
  const routes = api.app.routeTable
    .filter(({ method, url }) => method !== 'HEAD' && url.startsWith('/api/v1/'))
    .map(({ method, url }) => `${method} ${url.replace(/:\w+/g, 'x')}`)
    // the SVG is enough
    .filter((route) => !route.endsWith('/qr.png'));
  const demo = ['GET /demo/members', 'POST /demo/sign-in', 'POST /demo/pairing'];
  const expected = [...routes, ...demo.map((route) => route.replace(' ', ' /api/v1'))];
  assert.deepEqual([...called].sort(), [...new Set(expected)].sort());
});

test('a lost answer is asked for again with the same key, and the thing happens once', async (t) => {
  const { shop, proxy } = await place(t);
  const { member, counter, offer_id } = await shop();
  proxy.troubles.push(CUT, { say: GATEWAY_PAGE });
  const key = newKey();
  const { redemption_id, balance } = await member.rewards.redeem({ offer_id }, { key });
  assert.equal(balance, 90);
  assert.deepEqual(
    proxy.seen.map(({ headers }) => headers['idempotency-key']),
    [key, key, key],
  );
  proxy.troubles.push({ cutAfterBytes: 300 });
  const confirmed = await counter.merchant.confirm(redemption_id, { key: newKey() });
  assert.equal(confirmed.redemption_status, 'confirmed');
  assert.equal((await member.rewards.redemptions()).data.length, 1);
});

test('whatever goes wrong on the way: the same key finds out, and it is done once', async (t) => {
  const { shop, proxy, client, api } = await place(t);
  const trouble = fc.oneof(
    fc.constant({}),
    fc.constant({ refuse: true }),
    fc.constant({ swallow: true }),
    fc.nat(1500).map((cutAfterBytes) => ({ cutAfterBytes })),
    fc.nat(120).map((delayMs) => ({ delayMs })),
    fc.constant({ say: GATEWAY_PAGE }),
    fc.constant({ say: saying(200, '<html>Wi-Fi</html>') }),
    fc.constant({
      say: saying(200, '{"redemption_id":"1', { 'content-type': 'application/json' }),
    }),
  );
  const { offer_id } = await shop(0);
  const story = fc.asyncProperty(fc.array(trouble, { maxLength: 4 }), async (troubles) => {
    const userId = ++members;
    await api.grant(userId, 100);
    const token = await api.member(userId);
    const { rewards } = client({ token, timeoutMs: 150, deadlineMs: 1200 });
    proxy.troubles.splice(0, proxy.troubles.length, ...troubles);
    const key = newKey();
    const first = await rewards.redeem({ offer_id }, { key }).catch((error) => {
      assert.ok(error instanceof NetworkError && !error.isAnswered, String(error));
    });
    proxy.troubles.length = 0;
    const calm = client({ token }).rewards;
    const second: Redeemed = await calm.redeem({ offer_id }, { key, isRepeat: !first });
    if (first) assert.deepEqual(second, first);
    assert.equal((await calm.balance()).balance, 90);
    assert.equal((await calm.redemptions()).data.length, 1);
  });
  await fc.assert(story, { numRuns: 20, endOnFailure: true });
});

test('a refusal is an answer, in the language that was asked for', async (t) => {
  const { shop, api, client, proxy } = await place(t);
  const { member, offer_id, userId } = await shop(4);
  const spanish = await errorOf(member.rewards.redeem({ offer_id }, { key: newKey() }));
  assert.deepEqual(shown(spanish), ['insufficient_points', 409, true]);
  assert.deepEqual([spanish.detail, spanish.message], Array(2).fill('No alcanzan los Lümis.'));
  assert.equal(spanish.problem?.missing_lumis, 6);
  let locale = 'en';
  let token: string | undefined;
  const later = client({ token: () => token, locale: () => locale });
  assert.deepEqual(shown(await errorOf(later.rewards.balance())), ['unauthorized', 401, true]);
  token = await api.member(userId);
  const english = await errorOf(later.rewards.redeem({ offer_id }, { key: newKey() }));
  assert.equal(english.detail, 'There are not enough Lümis.');
  locale = 'es';
  const invalid = await errorOf(later.rewards.offers({ limit: 1000 }));
  assert.deepEqual(shown(invalid), ['invalid_request', 400, true]);
  assert.equal(invalid.problem?.errors?.[0]?.field, 'query.limit');
  assert.equal(proxy.seen.length, 4, 'refusals are not asked for again');
});

test('a refusal after a lost answer leaves open what happened', async (t) => {
  const { shop, proxy, client } = await place(t);
  const { member, offer_id } = await shop();
  const tooMany = { say: problem(429, 'rate_limited', { 'retry-after': '8' }) };
  proxy.troubles.push(CUT, tooMany);
  const key = newKey();
  const doubtful = await errorOf(member.rewards.redeem({ offer_id }, { key }));
  assert.deepEqual(shown(doubtful), ['rate_limited', 429, false]);
  assert.equal(doubtful.retryAfterSeconds, 8);
  assert.equal(proxy.seen.length, 2, 'it does not wait that long');
  // in a later call only the caller knows that there was one before
  const stranger = client({ token: 'not a token'.replaceAll(' ', '.') });
  const call = (isRepeat: boolean) =>
    errorOf(stranger.rewards.redeem({ offer_id }, { key, isRepeat }));
  assert.deepEqual(shown(await call(true)), ['unauthorized', 401, false]);
  assert.deepEqual(shown(await call(false)), ['unauthorized', 401, true]);
  const told = await member.rewards.redeem({ offer_id }, { key, isRepeat: true });
  assert.equal(told.balance, 90);
});

test('faults of the server leave open what happened', async (t) => {
  const { shop, proxy } = await place(t);
  const { member, offer_id } = await shop();
  for (const [status, code, tries] of [
    [503, 'overloaded', 3],
    [409, 'idempotency_in_progress', 3],
    [500, 'internal', 1],
  ] as const) {
    proxy.seen.length = 0;
    proxy.troubles.splice(0, 3, ...Array(tries).fill({ say: problem(status, code) }));
    const error = await errorOf(member.rewards.redeem({ offer_id }, { key: newKey() }));
    assert.deepEqual([...shown(error), proxy.seen.length], [code, status, false, tries]);
  }
});

test('limits of the server: a short wait is waited for, a long one is told', async (t) => {
  const limits = { redeem: 1, read: 0, validate: 1, confirm: 0, misses: 0, authFailures: 0 };
  const { shop } = await place(t, { rateLimits: { ...limits, landing: 0, admin: 0 } });
  const { member, counter, offer_id } = await shop();
  const { redemption_code: code = '' } = await member.rewards.redeem(
    { offer_id },
    { key: newKey() },
  );
  const refused = await errorOf(member.rewards.redeem({ offer_id }, { key: newKey() }));
  assert.deepEqual(shown(refused), ['rate_limited', 429, true]);
  assert.ok(refused.retryAfterSeconds && refused.retryAfterSeconds > 5);
  const began = performance.now();
  for (let i = 0; i < 3; i += 1) await counter.merchant.validate({ code });
  assert.ok(performance.now() - began > 900, 'two in two seconds, so the third one waited');
});

test('every try has its time, and all together have theirs', async (t) => {
  const { shop, proxy } = await place(t);
  const { offer_id } = await shop();
  const impatient = createClient({ baseUrl: proxy.url, timeoutMs: 300, deadlineMs: 1600 });
  proxy.troubles.push(...Array(9).fill({ swallow: true }));
  const began = performance.now();
  const error = await errorOf(impatient.rewards.redeem({ offer_id }, { key: newKey() }));
  const took = performance.now() - began;
  assert.deepEqual([error instanceof NetworkError, ...shown(error)], [true, 'timeout', 0, false]);
  assert.ok(took > 590 && took < 2500, `${took} ms`);
  assert.ok(proxy.seen.length >= 2, `${proxy.seen.length} tries`);
  const shorter = createClient({ baseUrl: proxy.url, timeoutMs: 800, deadlineMs: 1600 });
  const again = performance.now();
  assert.equal((await errorOf(shorter.rewards.balance())).code, 'timeout');
  assert.ok(performance.now() - again < 1800, 'the last try has what is left');
  Object.defineProperty(globalThis, 'navigator', { value: { onLine: false }, configurable: true });
  t.after(() => Reflect.deleteProperty(globalThis, 'navigator'));
  proxy.troubles.splice(0, 9, ...Array(3).fill({ refuse: true }));
  assert.equal((await errorOf(impatient.rewards.balance())).code, 'offline');
  // the answer begins in time and does not end: that is no answer either
  proxy.troubles.splice(0, 9, ...Array(3).fill({ delayMs: 500 }));
  const slow = await errorOf(impatient.rewards.balance());
  assert.equal(slow.code, 'timeout');
  proxy.troubles.length = 0;
  await assert.rejects(impatient.rewards.balance({ timeoutMs: 5000 }), { code: 'unauthorized' });
});

test('what has no key and moves something is sent once', async (t) => {
  const { api, client, proxy } = await place(t);
  const staff = client({ token: await api.admin() });
  proxy.troubles.push(CUT);
  const lost = await errorOf(staff.admin.merchants.create({ merchant_name: 'Una sola vez' }));
  assert.deepEqual(shown(lost), ['lost', 0, false]);
  assert.equal(proxy.seen.length, 1);
  const { data } = await staff.admin.merchants.list();
  assert.equal(data.length, 1, 'it was done all the same');
  proxy.troubles.push({ refuse: true });
  await assert.rejects(client().devices.pair({ pairing_code: 'lmp_x' }), { code: 'lost' });
  assert.equal(proxy.seen.length, 3);
});

test('a signal ends a call at once, whether it is asked, answered or waiting', async (t) => {
  const { shop, proxy } = await place(t);
  const { member, offer_id } = await shop();
  const reason = new Error('gone');
  await assert.rejects(member.rewards.balance({ signal: AbortSignal.abort(reason) }), reason);
  assert.equal(proxy.seen.length, 0);
  const after = async (ms: number, call: (signal: AbortSignal) => Promise<unknown>) => {
    const stop = new AbortController();
    const began = performance.now();
    setTimeout(() => stop.abort(reason), ms);
    await assert.rejects(call(stop.signal), reason);
    assert.ok(performance.now() - began < ms + 250);
  };
  proxy.troubles.push({ swallow: true });
  await after(50, (signal) => member.rewards.redeem({ offer_id }, { key: newKey(), signal }));
  proxy.troubles.push({ refuse: true });
  await after(100, (signal) => member.rewards.offers({}, { signal }));
  assert.equal(proxy.seen.length, 2, 'nothing is sent after that');
});

test('pages of something on the way are no answers', async (t) => {
  const { shop, proxy, client } = await place(t);
  const { api_key, member, offer_id } = await shop();
  const { redemption_id } = await member.rewards.redeem({ offer_id }, { key: newKey() });
  const { merchant } = client({ token: api_key, retries: 1 });
  const confirm = () => errorOf(merchant.confirm(redemption_id, { key: newKey() }));
  const json = { 'content-type': 'application/json' };
  let elsewhere = 0;
  const thief = createServer(() => {
    elsewhere += 1;
  });
  await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve));
  t.after(() => thief.close());
  const location = `http://127.0.0.1:${(thief.address() as AddressInfo).port}/`;
  for (const [say, ...expected] of [
    [GATEWAY_PAGE, 'lost', 502, false],
    [saying(200, '<html>Accept the terms of this Wi-Fi</html>'), 'lost', 200, false],
    [saying(200, '{"redemption_status":"confirmed"}'), 'lost', 200, false],
    [saying(302, '', { location }), 'lost', 0, false],
    [saying(401, '<html>Sign in to the proxy</html>'), 'lost', 401, false],
    [saying(404, '{"message":"no route"}', json), 'lost', 404, false],
    [saying(200, '{"redemption_id":', json), 'lost', 200, false],
    [saying(200, '', json), 'lost', 200, false],
    [saying(204, ''), 'lost', 204, false],
    [saying(200, '{}', { ...json, 'content-length': '900' }), 'lost', 0, false],
    ['HTTP/1.1 whatever\r\n\r\n', 'lost', 0, false],
    ['', 'lost', 0, false],
  ] as const) {
    proxy.seen.length = 0;
    proxy.troubles.push({ say }, { say });
    assert.deepEqual(shown(await confirm()), expected, say);
    assert.equal(proxy.seen.length, 2, say);
  }
  assert.equal(elsewhere, 0, 'no redirection is followed');
  assert.equal((await member.rewards.redemption(redemption_id)).redemption_status, 'pending');
  const closed = createClient({ baseUrl: location, timeoutMs: 500, retries: 0 });
  thief.close();
  assert.equal((await errorOf(closed.config())).isAnswered, false);
  const again = client({ token: 'x', retries: 0 });
  proxy.troubles.push({ say: GATEWAY_PAGE });
  assert.equal((await errorOf(again.rewards.balance())).status, 502);
});

test('an answer without end is let go', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n');
    const more = () => {
      while (!socket.destroyed && socket.write(' '.repeat(65_536)));
    };
    socket.on('drain', more);
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createClient({ baseUrl, retries: 0, timeoutMs: 20_000 });
  const error = await errorOf(client.config());
  assert.equal(error.code, 'lost');
  assert.match(String(error.cause), /too large/);
  const left = () => new Promise<number>((resolve) => server.getConnections((_, n) => resolve(n)));
  for (let i = 0; i < 200 && (await left()) > 0; i += 1) await sleep(50);
  assert.equal(await left(), 0);
});

test('what can never be sent is the fault of the caller, and is not sent', async (t) => {
  const { proxy, client } = await place(t);
  for (const key of ['', 'ñ', 'a\nb', 'x'.repeat(256)]) {
    await assert.rejects(client().rewards.cancel('1', { key }), TypeError);
  }
  await assert.rejects(client({ token: 'two\nlines' }).rewards.balance(), TypeError);
  assert.equal(proxy.seen.length, 0);
  // an id is no path
  await errorOf(client().rewards.offer('../balance?x=#é/'));
  assert.equal(proxy.seen[0]?.url, '/api/v1/rewards/offers/..%2Fbalance%3Fx%3D%23%C3%A9%2F');
});

test('keys are new', () => {
  const keys = Array.from({ length: 1000 }, newKey);
  assert.equal(new Set(keys).size, 1000);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});

test("the server's clock is known to half a second at once, and better with each answer", () => {
  const answers = fc.array(fc.record({ gap: fc.nat(5000), out: fc.nat(300), back: fc.nat(300) }), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(fc.integer({ min: -1e8, max: 1e8 }), answers, (offset, list) => {
      const clock = createClock();
      let now = Date.parse('2026-11-22T12:00:00.123Z');
      let width = Number.POSITIVE_INFINITY;
      for (const { gap, out, back } of list) {
        const sentAt = now + gap;
        const second = Math.floor((sentAt + out + offset) / 1000) * 1000;
        now = sentAt + out + back;
        clock.learn(new Date(second).toUTCString(), sentAt, now);
        width = Math.min(width, (1000 + out + back) / 2 + 1);
        assert.ok(Math.abs(clock.offsetMs - offset) <= width);
      }
      clock.learn(null, now, now);
      clock.learn('yesterday', now, now + 10);
      assert.ok(Math.abs(clock.offsetMs - offset) <= width);
      // one of the clocks is set: the next answer counts alone
      clock.learn(new Date(now + offset + 3_600_000).toUTCString(), now, now + 10);
      assert.ok(Math.abs(clock.offsetMs - offset - 3_600_000) <= 1010);
    }),
  );
  assert.equal(createClock().offsetMs, 0);
});

test('the offset is read from real answers', async (t) => {
  const { shop } = await place(t);
  const { member } = await shop();
  assert.equal(member.clockOffsetMs, 0);
  for (let i = 0; i < 5; i += 1) {
    await member.rewards.balance();
    await sleep(230);
  }
  assert.ok(Math.abs(member.clockOffsetMs) < 600, `${member.clockOffsetMs} ms`);
});
