/** Whose stream it is, how long it lasts, how many there may be, and how it ends. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import Fastify from 'fastify';
import { SignJWT } from 'jose';
import { openStreams } from '../src/http/stream.ts';
import { JWT_SECRET, testApp } from './support/app.ts';
import {
  type EventClient,
  listenOn,
  openEvents,
  redeemed,
  secondNode,
  until,
} from './support/events.ts';

const ABSENT = '0193e0a4-7c1e-7b9a-9d1f-5a3c2b1d0e9f';

async function shop(t: TestContext) {
  const a = await testApp(t, { corsOrigins: ['https://app.example.com'] });
  const b = await secondNode(t, a);
  const merchant = await a.merchant();
  const offer_id = await a.offer({ merchant_id: merchant.merchant_id });
  await a.grant(1, 1000);
  return { a, b, ...merchant, offer_id };
}

/** How long after `change` the stream was ended. */
async function endsAfter(client: EventClient, change: () => Promise<unknown>): Promise<number> {
  await change();
  const began = performance.now();
  await client.ended();
  return Math.round(performance.now() - began);
}

test('only its member may watch a redemption', async (t) => {
  const { a, b, api_key, offer_id } = await shop(t);
  const { id, token } = await redeemed(a, offer_id);
  const url = `${b.url}/rewards/redemptions/${id}/events`;
  const other = await a.member(2);
  for (const [path, credential, status] of [
    [url, other, 404],
    [url, api_key, 401],
    [`${b.url}/rewards/redemptions/${ABSENT}/events`, token, 404],
    [`${b.url}/rewards/redemptions/x/events`, token, 400],
    [`${b.url}/merchant/events`, token, 401],
  ] as const) {
    const answer = await openEvents(t, path, credential);
    assert.equal(answer.status, status, path);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
  }
});

test('a stream has the headers of every answer, and of a stream', async (t) => {
  const { a, b, offer_id } = await shop(t);
  const { id, token } = await redeemed(a, offer_id);
  const url = `${b.url}/rewards/redemptions/${id}/events`;
  const { headers } = await openEvents(t, url, token, { origin: 'https://app.example.com' });
  assert.match(headers.get('content-type') ?? '', /^text\/event-stream/);
  assert.match(headers.get('cache-control') ?? '', /no-store/);
  assert.equal(headers.get('x-accel-buffering'), 'no');
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
  assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/);
  assert.match(headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
  assert.equal(headers.get('access-control-allow-origin'), 'https://app.example.com');
  const authorization = `Bearer ${token}`;
  const head = await fetch(url, { method: 'HEAD', headers: { authorization } });
  assert.deepEqual([head.status, await head.text()], [200, '']);
});

test('a stream ends with its token', async (t) => {
  const { a, b, offer_id } = await shop(t);
  const { id } = await redeemed(a, offer_id);
  const token = await new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('1')
    .setExpirationTime('3s')
    .sign(new TextEncoder().encode(JWT_SECRET));
  const url = `${b.url}/rewards/redemptions/${id}/events`;
  const client = await openEvents(t, url, token);
  await client.count(1);
  const took = await endsAfter(client, async () => undefined);
  t.diagnostic(`a token of 3 s: ended after ${took} ms`);
  assert.equal((await openEvents(t, url, token)).status, 401);
});

test('a credential that ends on one node ends its streams on the other', async (t) => {
  const { a, b, merchant_id } = await shop(t);
  const staff = await a.admin();
  const merchant = `/admin/merchants/${merchant_id}`;
  const post = async (path: string, body: object) => {
    const answer = await a.call('POST', path, { token: staff, body });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  const { branch_id } = await post(`${merchant}/branches`, { branch_name: 'Centro' });
  const phone = async () => {
    const { pairing_code } = await post(`${merchant}/pairings`, { branch_id });
    return post('/devices/pair', { pairing_code, device_name: 'Caja' });
  };
  const remove = async (path: string) => {
    const { status } = await a.call('DELETE', path, { token: staff });
    assert.equal(status, 204, path);
  };
  const watch = async (token: string) => {
    const client = await openEvents(t, `${b.url}/merchant/events`, token);
    assert.equal(client.status, 200);
    await client.count(1);
    return client;
  };
  const key = await post(`${merchant}/keys`, {});
  const [lost, rolled, closed, left] = [await phone(), await phone(), await phone(), await phone()];
  const took: Record<string, number> = {};
  const end = async (what: string, token: string, change: () => Promise<unknown>) => {
    const client = await watch(token);
    took[what] = await endsAfter(client, change);
  };
  await end('key', key.api_key, () => remove(`${merchant}/keys/${key.key_id}`));
  await end('device', lost.device_token, () => remove(`${merchant}/devices/${lost.device_id}`));
  await end('token replaced', rolled.device_token, async () => {
    const { pairing_code } = await post(`${merchant}/devices/${rolled.device_id}/roll`, {});
    await post('/devices/pair', { pairing_code });
  });
  const device_token = left.device_token;
  await end('signed out', device_token, async () => {
    const { status } = await a.call('DELETE', '/merchant/device', { token: device_token });
    assert.equal(status, 204);
  });
  await end('branch', closed.device_token, () => remove(`${merchant}/branches/${branch_id}`));
  const another = await post(`${merchant}/keys`, {});
  await end('merchant', another.api_key, () => remove(merchant));
  t.diagnostic(`ended after: ${JSON.stringify(took)} ms`);
  assert.ok(Math.max(...Object.values(took)) < 10_000);
});

test('five streams for each caller; a free place is free at once', async (t) => {
  const { a, b, offer_id, api_key } = await shop(t);
  const { id, token } = await redeemed(a, offer_id);
  const url = `${b.url}/rewards/redemptions/${id}/events`;
  const five = await Promise.all([1, 2, 3, 4, 5].map(() => openEvents(t, url, token)));
  assert.ok(five.every(({ status }) => status === 200));
  const sixth = await openEvents(t, url, token);
  assert.equal(sixth.status, 429);
  assert.match(sixth.headers.get('retry-after') ?? '', /^\d+$/);
  assert.equal((await openEvents(t, `${b.url}/merchant/events`, api_key)).status, 200);
  five[0]?.stop();
  await until('a place', async () => (await openEvents(t, url, token)).status === 200);
});

test('a quiet stream is heard from, and says where to go on from', async (t) => {
  const app = Fastify();
  const streams = openStreams(() => undefined, 500);
  let place: string | undefined;
  app.get('/quiet', (request, reply) => {
    const actor = { type: 'user' as const, id: '1' };
    request.caller = { actor, ip: null, agent: null, request_id: '' };
    streams.open(request, reply, { position: () => place });
    return reply;
  });
  app.addHook('preClose', async () => streams.close());
  t.after(() => app.close());
  const base = await listenOn(app as never);
  const client = await openEvents(t, base.replace('/api/v1', '/quiet'), 'x');
  await until('a heartbeat', () => client.comments.length > 0);
  assert.equal(client.lastEventId(), undefined);
  place = '7-0';
  await until('a place', () => client.lastEventId() === '7-0');
  assert.deepEqual(client.events, []);
});

/** Reads nothing after the first bytes. */
function sleepyReader(port: number) {
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /flood HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.once('data', () => socket.pause());
  socket.on('error', () => undefined);
  return socket;
}

test('who reads too slowly is cut; the others get everything', async (t) => {
  const app = Fastify();
  let open = 0;
  const streams = openStreams((count) => {
    open = count;
  });
  const frame = { event: 'flood', data: { text: 'x'.repeat(50_000) } };
  let sent = 0;
  app.get('/flood', (request, reply) => {
    const actor = { type: 'user' as const, id: String(open) };
    request.caller = { actor, ip: null, agent: null, request_id: '' };
    const stream = streams.open(request, reply);
    const timer = setInterval(() => {
      sent += 1;
      stream.send({ ...frame, id: String(sent) });
    }, 2);
    stream.onEnd(() => clearInterval(timer));
    return reply;
  });
  app.addHook('preClose', async () => streams.close());
  t.after(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as { port: number };
  const sleepy = sleepyReader(port);
  await until('the stream', () => open === 1);
  await until('the cut', () => open === 0, 30_000);
  t.diagnostic(`cut after ${sent} frames of 50 kB`);
  sleepy.destroy();
  sent = 0;
  const reader = await openEvents(t, `http://127.0.0.1:${port}/flood`, 'x');
  await reader.count(1000, 60_000);
  assert.deepEqual(
    reader.events.map(({ id }) => Number(id)).slice(0, 1000),
    Array.from({ length: 1000 }, (_, i) => i + 1),
  );
});

test('200 open streams hold no connection, and end at once with the server', async (t) => {
  const api = await testApp(t);
  const base = await listenOn(api.app);
  const { merchant_id, api_key } = await api.merchant();
  const offer_id = await api.offer({ merchant_id });
  const clients: EventClient[] = [];
  for (let user = 1; user <= 39; user += 1) {
    await api.grant(user, 10);
    const { id, token } = await redeemed(api, offer_id, user);
    const url = `${base}/rewards/redemptions/${id}/events`;
    const five = [1, 2, 3, 4, 5].map(() => openEvents(t, url, token));
    clients.push(...(await Promise.all(five)));
  }
  for (let i = 0; i < 5; i += 1) {
    clients.push(await openEvents(t, `${base}/merchant/events`, api_key));
  }
  await Promise.all(clients.map((client) => client.count(1)));
  assert.equal(clients.length, 200);
  assert.match((await api.app.inject('/metrics')).body, /lumis_http_streams_open 200/);
  const seen: number[] = [];
  for (let i = 0; i < 30; i += 1) {
    const { total, idle, waiting } = api.db.usage();
    seen.push(total - idle + waiting);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const busy = seen.filter((count) => count > 0).length;
  t.diagnostic(
    `connections in use: at most ${Math.max(...seen)}, in ${busy} of ${seen.length} looks`,
  );
  assert.ok(seen.includes(0) && Math.max(...seen) <= 3, String(seen));
  const began = performance.now();
  await api.app.close();
  const took = Math.round(performance.now() - began);
  t.diagnostic(`closed with 200 streams in ${took} ms`);
  await Promise.all(clients.map((client) => client.ended(1000)));
  assert.ok(took < 5000);
});
