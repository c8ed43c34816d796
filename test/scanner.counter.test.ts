import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, merchant, newKey } from '../sdk/index.ts';
import { readCode } from '../web/scanner/code.ts';
import { type Counter, createCounter } from '../web/scanner/counter.ts';
import { createMemory, type Keep } from '../web/scanner/memory.ts';
import type { Verdict } from '../web/scanner/verdict.ts';
import { type TestApp, testApp } from './support/app.ts';
import { proxyTo, type Way } from './support/proxy.ts';

interface Shop {
  api: TestApp;
  proxy: Way;
  api_key: string;
  merchant_id: string;
  /** a new redemption of this merchant */
  redeem(): Promise<{ redemption_id: string; redemption_code: string; qr_landing_url: string }>;
  /** a phone at the counter; a second one with the same `kept` is the same phone after a reload */
  phone(kept?: Map<string, unknown>): Phone;
}

interface Phone {
  counter: Counter;
  network: { isOnline: boolean };
  kept: Map<string, unknown>;
  scan(text: string): boolean;
  /** waits for a verdict of this kind */
  verdict<Kind extends Verdict['kind']>(kind: Kind): Promise<Verdict & { kind: Kind }>;
}

const MEMBER = 1;
const HANG_MS = 1500;

async function shop(t: TestContext, changes?: Parameters<typeof testApp>[1]): Promise<Shop> {
  const api = await testApp(t, changes);
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const proxy = await proxyTo(t, (api.app.server.address() as AddressInfo).port);
  const { merchant_id, api_key } = await api.merchant();
  const offer_id = await api.offer({ merchant_id });
  await api.grant(MEMBER, 1000);
  const token = await api.member(MEMBER);
  // a key's first use costs its bcrypt
  await api.call('POST', '/merchant/validate', { token: api_key, body: { code: 'x' } });
  return {
    api,
    proxy,
    api_key,
    merchant_id,
    redeem: async () =>
      (await api.call('POST', '/rewards/redemptions', { token, body: { offer_id } })).body,
    phone: (kept = new Map()) => phone(t, proxy.url, api_key, kept),
  };
}

function phone(t: TestContext, baseUrl: string, token: string, kept: Map<string, unknown>): Phone {
  const network = { isOnline: true };
  const connection = connect({ baseUrl, token, retries: 0, timeoutMs: HANG_MS });
  const keep: Keep = {
    read: (name) => structuredClone(kept.get(name)),
    write: (name, value) => Boolean(kept.set(name, structuredClone(value))),
  };
  const counter = createCounter({
    api: merchant(connection),
    memory: createMemory(keep),
    newKey,
    now: () => Date.now() + connection.clockOffsetMs,
    isOnline: () => network.isOnline,
  });
  t.after(() => counter.stop());
  return {
    counter,
    network,
    kept,
    scan: (text) => counter.read(readCode(text, new URL(baseUrl).origin)),
    async verdict(kind) {
      for (let waited = 0; waited < 10_000; waited += 10) {
        const { verdict } = counter.state();
        if (verdict?.kind === kind) return verdict as never;
        await sleep(10);
      }
      assert.fail(`no ${kind}, but ${JSON.stringify(counter.state())}`);
    },
  };
}

/** How often it was confirmed, as the audit log has it. */
async function confirmations({ api }: Shop, id: string): Promise<number> {
  const path = `/admin/audit?redemption_id=${id}&action=confirmed`;
  const { body } = await api.call('GET', path, { token: await api.admin() });
  return body.data.length;
}
const confirmRequests = ({ proxy }: Shop) =>
  proxy.seen.filter(({ url }) => url.endsWith('/confirm'));

test('scan, confirm, next; the same code again is known as confirmed here', async (t) => {
  const here = await shop(t);
  const { qr_landing_url, redemption_code, redemption_id } = await here.redeem();
  const { counter, scan, verdict } = here.phone();
  assert.ok(scan(qr_landing_url));
  assert.ok(!scan(redemption_code), 'one at a time');
  const valid = await verdict('valid');
  assert.equal(valid.redemption.redemption_id, redemption_id);
  assert.equal(await confirmations(here, redemption_id), 0, 'valid is not delivered');
  counter.confirm();
  counter.confirm();
  await verdict('confirmed');
  assert.equal(confirmRequests(here).length, 1, 'two taps, one request');
  assert.ok(!scan(qr_landing_url), 'it still lies under the camera');
  counter.close();
  assert.ok(!scan(qr_landing_url), 'and for three seconds more');
  assert.ok(scan(redemption_code), 'typed it is another key');
  await verdict('used_here');
});

test('an unknown code does not poison the next, whose answer is its own', async (t) => {
  const here = await shop(t);
  const { redemption_code } = await here.redeem();
  const { counter, scan, verdict } = here.phone();
  scan('LUMS-0000-0000-0000-0000');
  await verdict('unknown');
  counter.close();
  scan(redemption_code);
  await verdict('valid');
  counter.close();
  scan('https://example.com/menu');
  assert.equal(counter.state().verdict?.kind, 'not_ours');
  assert.equal(here.proxy.seen.length, 2, 'and another site is no question to the server');
});

test('a late answer of an earlier scan touches nothing', async (t) => {
  const here = await shop(t);
  const first = await here.redeem();
  const { counter, scan, verdict } = here.phone();
  here.proxy.troubles.push({}, { delayMs: 200 });
  scan(first.redemption_code);
  await verdict('valid');
  counter.confirm();
  counter.close();
  assert.equal(counter.state().verdict?.kind, 'confirming', 'nobody leaves while it confirms');
  await verdict('confirmed');
});

test('a lost answer is looked up with the same key until it is known', async (t) => {
  const here = await shop(t);
  const { redemption_code, redemption_id } = await here.redeem();
  const { counter, scan, verdict, kept } = here.phone();
  scan(redemption_code);
  await verdict('valid');
  here.proxy.troubles.push({ cutAfterBytes: 0 }, { swallow: true });
  counter.confirm();
  assert.equal((kept.get('pending') as unknown[]).length, 1, 'kept before the request leaves');
  await verdict('unsure');
  await verdict('confirmed');
  const keys = confirmRequests(here).map(({ headers }) => headers['idempotency-key']);
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  assert.equal(await confirmations(here, redemption_id), 1);
  assert.deepEqual(kept.get('pending'), []);
});

test('a page that dies in mid-confirm finds its key again', async (t) => {
  const here = await shop(t);
  const { redemption_code, redemption_id } = await here.redeem();
  const before = here.phone();
  before.scan(redemption_code);
  await before.verdict('valid');
  here.proxy.troubles.push({ swallow: true });
  before.counter.confirm();
  const kept = structuredClone(before.kept); // the tab was killed here
  before.counter.stop();
  const after = here.phone(kept);
  after.counter.resume();
  await after.verdict('confirmed');
  const keys = confirmRequests(here).map(({ headers }) => headers['idempotency-key']);
  assert.equal(new Set(keys).size, 1);
  assert.equal(await confirmations(here, redemption_id), 1);
});

test('a confirmation of long ago waits for a tap; the same code again takes its key', async (t) => {
  const here = await shop(t);
  const { redemption_code, redemption_id } = await here.redeem();
  const old = { redemption_id, key: newKey(), offer_name: 'x', lumis_spent: 1, shown: '' };
  const began_at = Date.now() - 3_600_000;
  const kept = new Map<string, unknown>([
    ['pending', [{ ...old, began_at, code_expires_at: '2100-01-01T00:00:00Z' }]],
  ]);
  const { counter, scan, verdict } = here.phone(kept);
  counter.resume();
  await sleep(50);
  assert.equal(counter.state().verdict?.kind, 'unsure');
  assert.equal(confirmRequests(here).length, 0);
  counter.close();
  assert.equal(counter.state().pendings.length, 1, 'left for later, not forgotten');
  scan(redemption_code);
  await verdict('valid');
  counter.confirm();
  await verdict('confirmed');
  assert.equal(confirmRequests(here)[0]?.headers['idempotency-key'], old.key);
  assert.equal(counter.state().pendings.length, 0);
});

test('offline it reads and keeps; back online nothing moves until somebody taps', async (t) => {
  const here = await shop(t);
  const { redemption_code, qr_landing_url, redemption_id } = await here.redeem();
  const { counter, scan, verdict, network } = here.phone();
  scan(redemption_code);
  await verdict('valid');
  network.isOnline = false;
  counter.confirm();
  assert.equal((await verdict('valid')).notice, 'offline');
  counter.close();
  scan(qr_landing_url);
  await verdict('offline');
  counter.close();
  assert.equal(counter.state().tray.length, 1);
  const asked = here.proxy.seen.length;
  network.isOnline = true;
  await sleep(100);
  assert.equal(here.proxy.seen.length, asked);
  counter.retry(counter.state().tray[0]?.key);
  await verdict('valid');
  assert.equal(counter.state().tray.length, 0);
  assert.equal(await confirmations(here, redemption_id), 0, 'never by itself');
});

test('a server that is gone is neither yes nor no', async (t) => {
  const here = await shop(t);
  const { redemption_code } = await here.redeem();
  const { counter, scan, verdict } = here.phone();
  here.proxy.troubles.push({ refuse: true });
  scan(redemption_code);
  await verdict('no_answer');
  assert.equal(counter.state().tray.length, 1);
  counter.retry();
  await verdict('valid');
  assert.equal(counter.state().tray.length, 0);
});

test('another merchant’s code is unknown; cancelled, expired and a lost race say not to', async (t) => {
  const here = await shop(t);
  const [theirs, mine] = [await here.redeem(), await here.redeem()];
  const other = await here.api.merchant();
  const body = { code: 'x' };
  await here.api.call('POST', '/merchant/validate', { token: other.api_key, body });
  const stranger = phone(t, here.proxy.url, other.api_key, new Map());
  stranger.scan(theirs.redemption_code);
  await stranger.verdict('unknown');
  const { counter, scan, verdict } = here.phone();
  scan(mine.redemption_code);
  await verdict('valid');
  const token = await here.api.member(MEMBER);
  await here.api.call('POST', `/rewards/redemptions/${mine.redemption_id}/cancel`, { token });
  counter.confirm();
  await verdict('cancelled');
  assert.equal(counter.state().pendings.length, 0);
});

test('a phone whose access was taken stops at once', async (t) => {
  const here = await shop(t);
  const { redemption_code } = await here.redeem();
  const { counter, scan, verdict } = here.phone();
  scan(redemption_code);
  await verdict('valid');
  const path = `/admin/merchants/${here.merchant_id}`;
  await here.api.call('DELETE', path, { token: await here.api.admin() });
  counter.confirm();
  for (let i = 0; i < 500 && !counter.state().is_access_lost; i += 1) await sleep(10);
  assert.ok(counter.state().is_access_lost);
  assert.equal(counter.state().verdict, undefined);
});

test('a confirmation that the server had no time for was not made, and never goes out alone', async (t) => {
  const free = {
    redeem: 0,
    read: 0,
    validate: 0,
    misses: 0,
    authFailures: 0,
    landing: 0,
    admin: 0,
  };
  const here = await shop(t, { rateLimits: { ...free, confirm: 1 } });
  const { redemption_code, redemption_id } = await here.redeem();
  const { counter, scan, verdict, kept } = here.phone();
  scan(redemption_code);
  await verdict('valid');
  // another phone of the merchant uses up what one may ask for in two seconds
  const other = { token: here.api_key, body: {} };
  const path = `/merchant/redemptions/${crypto.randomUUID()}/confirm`;
  await Promise.all([1, 2].map(() => here.api.call('POST', path, other)));
  counter.confirm();
  assert.ok((await verdict('valid')).wait_until, 'it says how long to wait');
  counter.close();
  assert.deepEqual(counter.state().pendings, []);
  const later = here.phone(kept);
  later.counter.resume();
  assert.equal(later.counter.state().verdict, undefined);
  assert.equal(await confirmations(here, redemption_id), 0);
});
