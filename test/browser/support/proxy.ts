/** A connection that misbehaves: a TCP proxy between a page and its server. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What happens to a request whose first line matches. */
export interface Fault {
  /** such as `/^POST .*\/confirm/`, against "POST /path HTTP/1.1" */
  match: RegExp;
  /**
   * - `cut`: the server gets it and answers, and the connection ends before the answer
   * - `hang`: the server gets it, and the answer never comes
   * - `refuse`: the connection ends before the server gets it
   */
  how: 'cut' | 'hang' | 'refuse';
  /** how many requests; 1 unless it says otherwise */
  times?: number;
}

export interface FaultProxy {
  port: number;
  /** applies to the next requests that match */
  break(fault: Fault): void;
  /** all is well again; connections that hang are ended */
  mend(): void;
  /** nobody can connect, and all connections end */
  down(): void;
  up(): void;
  /** how many requests were broken so far */
  broken(): number;
  /** sends new connections to another port */
  lead(port: number): void;
  close(): Promise<void>;
}

/** Long enough for an answer to be written by the server, which is how `cut` loses it. */
const CUT_AFTER_MS = 400;
const REQUEST_LINE = /(?:^|\r\n)((?:GET|POST|PATCH|DELETE) \S+ HTTP\/1\.1)\r\n/g;

/** Listens on a free port of 127.0.0.1, or on `port`, and passes everything on to `target`. */
export async function openProxy(target: number, port = 0): Promise<FaultProxy> {
  let faults: (Fault & { left: number })[] = [];
  let isDown = false;
  let broken = 0;
  let to = target;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const take = (text: string): Fault['how'] | undefined => {
    for (const [, line = ''] of text.matchAll(REQUEST_LINE)) {
      const fault = faults.find(({ match, left }) => left > 0 && match.test(line));
      if (!fault) continue;
      fault.left -= 1;
      broken += 1;
      return fault.how;
    }
    return undefined;
  };
  const server = createServer((client) => {
    keep(client);
    if (isDown) return void client.destroy();
    const upstream = connect(to, '127.0.0.1');
    keep(upstream);
    let isDeaf = false;
    client.on('data', (chunk) => {
      const how = take(chunk.toString('latin1'));
      if (how === 'refuse') return void client.destroy();
      if (how) isDeaf = true;
      if (how === 'cut') setTimeout(() => client.destroy(), CUT_AFTER_MS).unref();
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => isDeaf || client.write(chunk));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => isDeaf || client.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    break: (fault) => faults.push({ ...fault, left: fault.times ?? 1 }),
    mend: () => {
      faults = [];
      cutAll();
    },
    down: () => {
      isDown = true;
      cutAll();
    },
    up: () => {
      isDown = false;
    },
    broken: () => broken,
    lead: (other) => {
      to = other;
    },
    close: async () => {
      server.close();
      cutAll();
    },
  };
}
