import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type ClientOptions,
  type CounterEvent,
  connect,
  createClient,
  LumisError,
  NetworkError,
  newKey,
  type StreamEvent,
  type StreamState,
  type WatchOptions,
} from '../sdk/index.ts';
import { createParser, type Position, type RawEvent } from '../sdk/sse.ts';
import { watch } from '../sdk/stream.ts';
import { testApp } from './support/app.ts';
import { proxyTo, saying } from './support/proxy.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Events, and where the stream is then, of these bytes cut into these pieces. */
function parsed(bytes: Uint8Array, sizes: readonly number[] = [], id?: string) {
  const position: Position = { id, retryMs: 1000 };
  const parse = createParser(position);
  const events: RawEvent[] = [];
  let at = 0;
  for (const size of sizes) {
    events.push(...parse(bytes.subarray(at, at + size)));
    at += size;
  }
  events.push(...parse(bytes.subarray(at)));
  return { events, position };
}

const sizes = fc.array(fc.nat(7), { maxLength: 300 });

test('the parser reads what was written, however its bytes are cut', () => {
  const text = fc.string({ unit: 'binary' }).map((raw) => raw.replace(/[\r\n\0]/g, ' '));
  const lineEnd = fc.constantFrom('\n', '\r', '\r\n');
  const event = fc.record({
    id: fc.option(text, { nil: undefined }),
    type: fc.stringMatching(/^[a-z.]{1,20}$/),
    lines: fc.array(text, { minLength: 1, maxLength: 4 }),
    comment: fc.option(text, { nil: undefined }),
    end: lineEnd,
  });
  const property = fc.property(
    fc.array(event, { maxLength: 8 }),
    fc.boolean(),
    sizes,
    (events, hasMark, cuts) => {
      const written = events.map(({ id, type, lines, comment, end }) => {
        const fields = [
          ...(comment === undefined ? [] : [`:${comment}`]),
          ...(id === undefined ? [] : [`id: ${id}`]),
          `event: ${type}`,
          ...lines.map((line) => `data: ${line}`),
        ];
        return `${fields.join(end)}${end}${end}`;
      });
      let last: string | undefined;
      const expected = events.map(({ id = last, type, lines }) => {
        last = id;
        return { id, type, data: lines.join('\n').toWellFormed() };
      });
      for (const one of expected) one.id = one.id?.toWellFormed();
      const bytes = bytesOf((hasMark ? '\ufeff' : '') + written.join(''));
      const { events: read, position } = parsed(bytes, cuts);
      assert.deepEqual(read, expected);
      assert.equal(position.id, last?.toWellFormed());
    },
  );
  fc.assert(property, { numRuns: 300 });
});

test('the parser finds the same in any bytes, whole or cut', () => {
  const piece = fc.constantFrom(
    ...[
      '\r',
      '\n',
      '\r\n',
      ':',
      ' ',
      'data',
      'data:',
      'id',
      'id: 7',
      'event:x',
      'retry:5',
      'retry: no',
    ],
    ...['\0', 'é', '\u{1F600}', '\ufeff', '\u2028', '\u0085', '\v'],
  );
  const junk = fc.oneof(
    fc.array(piece, { maxLength: 60 }).map((pieces) => bytesOf(pieces.join(''))),
    fc.uint8Array({ maxLength: 200 }),
  );
  const property = fc.property(junk, sizes, (bytes, cuts) => {
    assert.deepEqual(parsed(bytes, cuts), parsed(bytes));
  });
  fc.assert(property, { numRuns: 1000 });
});

test('the parser keeps to the standard', () => {
  const read = (text: string, id?: string) => {
    const { events, position } = parsed(bytesOf(text), [], id);
    return [...events.map((e) => [e.id, e.type, e.data]), position.id, position.retryMs];
  };
  // one space is taken away, no more; a field without a colon is empty
  assert.deepEqual(read('data:  a\ndata\ndata:b\n\n'), [
    [undefined, 'message', ' a\n\nb'],
    undefined,
    1000,
  ]);
  // nothing without data, but the id holds; comments and unknown fields are nothing
  assert.deepEqual(read('id: 1\nevent: x\n\n:data: no\nfoo: bar\n\ndata: y\n\n'), [
    ['1', 'message', 'y'],
    '1',
    1000,
  ]);
  // what is not complete is not there, and its id does not count
  assert.deepEqual(read('id: 1\ndata: a\n\nid: 2\ndata: b\n'), [['1', 'message', 'a'], '1', 1000]);
  assert.deepEqual(read('id: 2\ndata: b', '1'), ['1', 1000]);
  // an id with NUL is none, an empty one forgets; retry is digits alone
  assert.deepEqual(read('id: a\0\ndata: x\n\n', '9'), [['9', 'message', 'x'], '9', 1000]);
  assert.deepEqual(read('id: a\0\nretry: 1e3\nretry: 50\n\nid\ndata\n\n', '9'), [
    ['', 'message', ''],
    '',
    50,
  ]);
  assert.deepEqual(read('\ufeffdata: a\r\rdata: b\r\n\r\n'), [
    [undefined, 'message', 'a'],
    [undefined, 'message', 'b'],
    undefined,
    1000,
  ]);
  // a CR ends the event at once, without waiting for what comes
  assert.equal(parsed(bytesOf('data: a\r\r')).events.length, 1);
  const parse = createParser({ id: undefined, retryMs: 0 });
  const long = bytesOf('x'.repeat(100_000));
  assert.throws(() => {
    for (let i = 0; i < 20; i += 1) parse(long);
  }, /too large/);
});

type Answer = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

/** A server of streams that answers as it is told, and what was asked of it. */
async function streamServer(t: TestContext, answer: Answer) {
  const asked: IncomingMessage[] = [];
  let open = 0;
  const server = createServer((request, response) => {
    asked.push(request);
    open += 1;
    response.on('close', () => {
      open -= 1;
    });
    answer(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { asked, baseUrl, open: () => open };
}

const STREAM = { 'content-type': 'text/event-stream' };
const frame = (id: number) => `id: ${id}\nevent: tick\ndata: {"n":${id}}\n\n`;

/** Watches until `count` events are there, the stream has ended, or five seconds are over. */
async function follow(
  options: ClientOptions,
  count: number,
  more: Partial<WatchOptions<StreamEvent>> = {},
) {
  const stop = new AbortController();
  const events: StreamEvent[] = [];
  const states: StreamState[] = [];
  const clock = setTimeout(() => stop.abort(), 5000);
  const error = await watch(connect(options), '/events', {
    signal: stop.signal,
    onState: (state) => states.push(state),
    onEvent: (event) => {
      events.push(event);
      if (events.length >= count) stop.abort();
    },
    ...more,
  }).catch((reason: unknown) => reason);
  clearTimeout(clock);
  return { events, states, error, ids: events.map(({ id }) => id) };
}

test('it goes on where it was: nothing twice, nothing left out', async (t) => {
  const { asked, baseUrl } = await streamServer(t, ({ headers }, response) => {
    const after = Number(headers['last-event-id'] ?? 0);
    response.writeHead(200, STREAM).write('retry: 1\n\n');
    // two whole ones, and one that is cut before its end
    response.write(frame(after + 1) + frame(after + 2) + frame(after + 3).slice(0, -1));
    setTimeout(() => response.socket?.resetAndDestroy(), 30);
  });
  const { ids, states, error } = await follow({ baseUrl, token: 'T', locale: 'en' }, 6);
  assert.equal(error, undefined);
  assert.deepEqual(ids, ['1', '2', '3', '4', '5', '6']);
  assert.deepEqual(states, ['open', 'waiting', 'open', 'waiting', 'open']);
  assert.deepEqual(
    asked.map(({ headers }) => headers['last-event-id']),
    [undefined, '2', '4'],
  );
  const { authorization, accept, 'accept-language': language } = asked[2]?.headers ?? {};
  assert.deepEqual([authorization, accept, language], ['Bearer T', 'text/event-stream', 'en']);
});

test('a heartbeat may move the place; a stream may begin at one', async (t) => {
  const { asked, baseUrl } = await streamServer(t, (_, response, nth) => {
    response.writeHead(200, STREAM).write(nth === 1 ? ': here\nid: 77\n\n' : frame(78));
    if (nth === 1) response.end('data: {"half":');
  });
  const { ids } = await follow({ baseUrl }, 1, { lastEventId: '40' });
  assert.deepEqual(ids, ['78']);
  assert.deepEqual(
    asked.map(({ headers }) => headers['last-event-id']),
    ['40', '77'],
  );
});

test('what is refused for good ends it; what passes is waited for', async (t) => {
  const json = { 'content-type': 'application/problem+json' };
  for (const [status, code] of [
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [404, 'not_found'],
  ] as const) {
    const { asked, baseUrl } = await streamServer(t, (_, response) => {
      const type = `urn:lumis:problem:${code}`;
      response.writeHead(status, json).end(JSON.stringify({ type, code, status, detail: 'No' }));
    });
    const { error, states } = await follow({ baseUrl }, 1);
    assert.ok(error instanceof LumisError && !(error instanceof NetworkError));
    assert.deepEqual([error.code, error.status, states, asked.length], [code, status, [], 1]);
  }
  const busy = JSON.stringify({ type: 'urn:lumis:problem:rate_limited', code: 'rate_limited' });
  const times: number[] = [];
  const { baseUrl } = await streamServer(t, (_, response, nth) => {
    times.push(performance.now());
    if (nth === 1) response.writeHead(200, STREAM).end('retry: 1\n\n');
    else if (nth === 2) response.writeHead(404, { 'content-type': 'text/plain' }).end('no route');
    else if (nth === 3) response.writeHead(200, { 'content-type': 'text/html' }).end('Wi-Fi');
    else if (nth === 4) response.writeHead(429, { ...json, 'retry-after': '1' }).end(busy);
    else response.writeHead(200, STREAM).write(frame(1));
  });
  const { ids, states } = await follow({ baseUrl }, 1);
  assert.deepEqual([ids, states], [['1'], ['open', 'waiting', 'open']]);
  const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  // at least 250 ms, twice that each time, by chance up to half less; and what Retry-After says
  const least = [125, 250, 500, 2000];
  assert.deepEqual(
    waits.map((wait, i) => wait > (least[i] ?? 0)),
    [true, true, true, true],
    String(waits),
  );
});

test('a connection that says nothing is given up, one with heartbeats is not', async (t) => {
  const { asked, baseUrl } = await streamServer(t, (_, response, nth) => {
    if (nth === 1) return; // not even headers
    response.writeHead(200, STREAM).write('retry: 1\n\n');
    if (nth === 2) return;
    const beat = setInterval(() => response.write(':\n'), 100);
    response.on('close', () => clearInterval(beat));
    setTimeout(() => response.write(frame(1)), 900);
  });
  const { ids, states } = await follow({ baseUrl, timeoutMs: 300 }, 1, { silenceMs: 400 });
  assert.deepEqual([ids, states], [['1'], ['waiting', 'open', 'waiting', 'open']]);
  assert.equal(asked.length, 3);
});

test('it ends when it is told to, and leaves no connection behind', async (t) => {
  const { baseUrl, open } = await streamServer(t, (_, response) => {
    response.writeHead(200, STREAM).write(frame(1) + frame(2) + frame(3));
  });
  const { ids, error } = await follow({ baseUrl }, 2);
  assert.deepEqual([ids, error], [['1', '2'], undefined], 'nothing after the signal');
  const fault = new Error('in the page');
  const thrown = await follow({ baseUrl }, 1, {
    onEvent: () => {
      throw fault;
    },
  });
  assert.equal(thrown.error, fault, 'faults of the caller are not swallowed');
  const stop = new AbortController();
  const waiting = watch(connect({ baseUrl: 'http://127.0.0.1:9' }), '/', {
    signal: stop.signal,
    onEvent: () => undefined,
    onState: () => setTimeout(() => stop.abort(), 20),
  });
  await waiting;
  await watch(connect({ baseUrl }), '/', { signal: stop.signal, onEvent: () => assert.fail() });
  const twoLines = watch(connect({ baseUrl, token: 'two\nlines' }), '/', {
    onEvent: () => assert.fail(),
  });
  await assert.rejects(twoLines, TypeError);
  await sleep(50);
  assert.equal(open(), 0);
});

test('it comes back at once when the browser says that the network is there', async (t) => {
  const page = new EventTarget();
  const listening = {
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  };
  Object.assign(globalThis, listening);
  t.after(() => {
    for (const name of Object.keys(listening)) Reflect.deleteProperty(globalThis, name);
  });
  const { baseUrl } = await streamServer(t, (_, response, nth) => {
    if (nth === 1) response.writeHead(200, STREAM).end('retry: 4000\n\n');
    else response.writeHead(200, STREAM).write(frame(1));
  });
  const began = performance.now();
  setTimeout(() => page.dispatchEvent(new Event('online')), 300);
  assert.deepEqual((await follow({ baseUrl }, 1)).ids, ['1']);
  assert.ok(performance.now() - began < 1500);
});

test('what is not JSON, or has no end, is passed over', async (t) => {
  const { baseUrl } = await streamServer(t, (_, response, nth) => {
    response.writeHead(200, STREAM).write('retry: 1\n\n');
    if (nth === 1) response.write(`data: not json\n\n${frame(1)}data: ${'x'.repeat(2_000_000)}`);
    else response.write(frame(2));
  });
  const { ids, states } = await follow({ baseUrl }, 2);
  assert.deepEqual(
    [ids, states],
    [
      ['1', '2'],
      ['open', 'waiting', 'open'],
    ],
  );
});

/** Waits until it is so, five seconds at most. */
async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!isSo()) {
    if (performance.now() > deadline) assert.fail(`still not: ${isSo}`);
    await sleep(20);
  }
}

test('a member sees the confirmation by itself, also over a bad network', async (t) => {
  const api = await testApp(t);
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const proxy = await proxyTo(t, (api.app.server.address() as AddressInfo).port);
  const { merchant_id, api_key } = await api.merchant();
  const offer_id = await api.offer({ merchant_id });
  await api.grant(1, 100);
  const member = createClient({ baseUrl: proxy.url, token: await api.member(1) });
  const counter = createClient({ baseUrl: proxy.url, token: api_key });
  const { redemption_id } = await member.rewards.redeem({ offer_id }, { key: newKey() });
  proxy.troubles.push({ refuse: true }, { cutAfterBytes: 900 }, { say: saying(502, 'Bad') });
  const stop = new AbortController();
  t.after(() => stop.abort());
  const seen: string[] = [];
  const told: string[] = [];
  const all = [
    member.rewards.watch(redemption_id, {
      signal: stop.signal,
      onEvent: ({ type, data }) => seen.push(`${type} ${data.redemption_status}`),
    }),
  ];
  await until(() => seen.length > 0);
  let isReady = false;
  const onEvent = (event: CounterEvent) => {
    if (event.type === 'ready') isReady = true;
    else if (event.type !== 'reset') told.push(`${event.type} ${event.data.redemption_id}`);
  };
  all.push(counter.merchant.watch({ signal: stop.signal, onEvent }));
  await until(() => isReady);
  await counter.merchant.confirm(redemption_id, { key: newKey() });
  await until(() => seen.length === 2 && told.length === 1);
  assert.deepEqual(seen, ['redemption.created pending', 'redemption.confirmed confirmed']);
  assert.deepEqual(told, [`redemption.confirmed ${redemption_id}`]);
  const day = await counter.merchant.day();
  assert.deepEqual([day.count, day.lumis], [1, 10]);
  const { data: story } = await member.rewards.timeline(redemption_id);
  assert.deepEqual(
    story.map(({ action }) => action),
    ['created', 'confirmed'],
  );
  const stranger = createClient({ baseUrl: proxy.url, token: await api.member(2) });
  const ignored = { onEvent: () => assert.fail('an event of somebody else') };
  await assert.rejects(stranger.rewards.watch(redemption_id, ignored), { code: 'not_found' });
  stop.abort();
  await Promise.all(all);
});
