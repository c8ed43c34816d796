/** A client of server-sent events over a real socket, and a node of the server that listens. */

import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InjectOptions } from 'fastify';
import { createLog } from '../../src/core/log.ts';
import { openDatabase } from '../../src/db/pool.ts';
import type { App } from '../../src/http/app.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { buildServer } from '../../src/http/server.ts';
import { startWorker, type Worker } from '../../src/jobs/worker.ts';
import type { TestApp } from './app.ts';

export interface Arrived {
  id: string | undefined;
  event: string;
  data: any;
  /** performance.now() when it came */
  at: number;
}

export interface EventClient {
  status: number;
  headers: Headers;
  /** every event so far */
  events: Arrived[];
  /** comments so far */
  comments: string[];
  /** what the next one would send as Last-Event-ID */
  lastEventId(): string | undefined;
  isOpen(): boolean;
  /** Waits until this many events have come. */
  count(events: number, ms?: number): Promise<Arrived[]>;
  /** Waits until the server has ended it. */
  ended(ms?: number): Promise<void>;
  stop(): void;
}

/** Lets the server listen on a free port; its base address. */
export async function listenOn(app: App): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/api/v1`;
}

/** Waits for a condition, and says what did not come. */
export async function until(what: string, condition: () => unknown, ms = 15_000): Promise<void> {
  for (const end = Date.now() + ms; !(await condition()); await sleep(10)) {
    if (Date.now() > end) throw new Error(`it did not come within ${ms} ms: ${what}`);
  }
}

/** Opens a stream; closed when the test ends. */
export async function openEvents(
  t: TestContext,
  url: string,
  token: string,
  headers: Record<string, string> = {},
): Promise<EventClient> {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const answer = await fetch(url, {
    headers: { authorization: `Bearer ${token}`, ...headers },
    signal: abort.signal,
  });
  const events: Arrived[] = [];
  const comments: string[] = [];
  let last = headers['last-event-id'];
  let open = answer.status === 200;
  const read = async () => {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const frames = text.split('\n\n');
      text = frames.pop() ?? '';
      for (const frame of frames) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(frame)?.[1];
        last = field('id') ?? last;
        const data = field('data');
        if (frame.startsWith(':')) comments.push(frame);
        if (data === undefined) continue;
        const event = field('event') ?? 'message';
        events.push({ id: field('id'), event, data: JSON.parse(data), at: performance.now() });
      }
    }
  };
  if (open) {
    const done = () => {
      open = false;
    };
    read().then(done, done);
  }
  return {
    status: answer.status,
    headers: answer.headers,
    events,
    comments,
    lastEventId: () => last,
    isOpen: () => open,
    async count(wanted, ms) {
      await until(`${wanted} events`, () => events.length >= wanted, ms).catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(events)}`);
      });
      return events;
    },
    ended: (ms) => until('the end of the stream', () => !open, ms),
    stop: () => abort.abort(),
  };
}

/** Another process's server on the same database, listening: its base address, and its pool. */
export async function secondNode(t: TestContext, { config }: TestApp) {
  const db = openDatabase({
    url: config.databaseUrl,
    max: 12,
    poolTimeoutMs: 30_000,
    onError: () => undefined,
  });
  const log = createLog('silent');
  const metrics = createMetrics(db);
  const app = await buildServer({ config, db, log, metrics, version: 'test', demo: false });
  t.after(async () => {
    await app.close();
    await db.close();
  });
  return { app, db, metrics, url: await listenOn(app) };
}

/** A worker on this database, until the test ends. */
export async function workerOn(t: TestContext, { db, config }: TestApp): Promise<Worker> {
  const deps = {
    db,
    log: createLog('silent'),
    count: () => undefined,
    violations: () => undefined,
  };
  const worker = await startWorker(config.databaseUrl, deps);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= worker.stop();
    return stopped;
  };
  t.after(stop);
  return { stop };
}

/** A member with points who has redeemed; the redemption and who holds it. */
export async function redeemed(api: TestApp, offer_id: string, userId = 1) {
  const token = await api.member(userId);
  const { status, body } = await api.call('POST', '/rewards/redemptions', {
    token,
    body: { offer_id },
  });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return { id: body.redemption_id as string, code: body.redemption_code as string, token };
}

/** A merchant confirms, or takes back. */
export async function confirmed(api: TestApp, token: string, id: string): Promise<void> {
  const { status, body } = await api.call('POST', `/merchant/redemptions/${id}/confirm`, { token });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

/** What a request without a socket is told; of a stream, what comes in its first moment. */
export async function injected(app: App, request: { method: any; url: string } & object) {
  if (!/\/events(\?|$)/.test(request.url)) {
    const { statusCode, headers, body } = await app.inject(request as InjectOptions);
    return { statusCode, headers, body };
  }
  const options = { ...request, payloadAsStream: true } as InjectOptions;
  const reply = await app.inject(options);
  let body = '';
  const ended = new Promise((resolve) => reply.stream().once('close', resolve));
  reply.stream().on('data', (chunk) => {
    body += chunk;
  });
  await Promise.race([ended, sleep(50)]);
  reply.raw.res.destroy();
  return { statusCode: reply.statusCode, headers: reply.headers, body };
}
