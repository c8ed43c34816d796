/** A way to a server on which things go wrong as planned, on real sockets. */

import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** What becomes of one request. Nothing set: it passes, and so does its answer. */
export interface Trouble {
  /** the connection is reset before anything is passed on */
  refuse?: boolean;
  /** the request arrives, its answer never comes */
  swallow?: boolean;
  /** the request arrives; of its answer this many bytes pass, then the connection is reset */
  cutAfterBytes?: number;
  /** the answer is held back */
  delayMs?: number;
  /** something on the way answers this, as it stands, and nothing is passed on */
  say?: string;
}

export interface Way {
  /** with `/api/v1` */
  url: string;
  /** what becomes of the next requests, in order; after the last one everything passes */
  troubles: Trouble[];
  /** what was asked, in order */
  seen: { method: string; url: string; headers: IncomingMessage['headers'] }[];
  /** connections that are open now */
  open(): number;
}

/** A proxy before the server on this port, closed with the test. */
export async function proxyTo(t: TestContext, port: number): Promise<Way> {
  const troubles: Trouble[] = [];
  const seen: Way['seen'] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request) => {
    const { method = '', url = '', headers } = request;
    seen.push({ method, url, headers });
    // either side may be gone at any moment
    pass(request, troubles.shift() ?? {}, port, sockets).catch(() => request.socket.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1`;
  return { url, troubles, seen, open: () => sockets.size };
}

async function pass(
  request: IncomingMessage,
  trouble: Trouble,
  port: number,
  sockets: Set<Socket>,
): Promise<void> {
  const { socket } = request;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (trouble.refuse) return void socket.resetAndDestroy();
  if (trouble.say !== undefined) return void socket.end(trouble.say);
  const upstream = connect(port, '127.0.0.1');
  sockets.add(upstream);
  upstream.on('close', () => sockets.delete(upstream));
  upstream.on('error', () => socket.destroy());
  socket.on('close', () => upstream.destroy());
  const headers = { ...request.headers, connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  upstream.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
  upstream.write(Buffer.concat(chunks));
  let left = trouble.cutAfterBytes ?? Number.POSITIVE_INFINITY;
  for await (const bytes of upstream.iterator({
    destroyOnReturn: false,
  }) as AsyncIterable<Buffer>) {
    if (trouble.swallow) continue;
    if (trouble.delayMs) await sleep(trouble.delayMs);
    socket.write(bytes.subarray(0, Math.min(left, bytes.length)));
    left -= bytes.length;
    if (left <= 0) {
      // what was written must get out before the reset
      if (trouble.cutAfterBytes) await sleep(20);
      socket.resetAndDestroy();
      return;
    }
  }
  if (!trouble.swallow) socket.end();
}

/** An answer as text, closed by its end. */
export function saying(status: number, body: string, headers: Record<string, string> = {}): string {
  const all = { 'content-type': 'text/html', connection: 'close', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Said\r\n${lines.join('')}\r\n${body}`;
}
