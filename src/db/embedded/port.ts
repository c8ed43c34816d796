/** A port for the embedded server that nothing else listens on. */

import { createServer } from 'node:net';
import { OWN_SERVER } from './binaries.ts';

const PORTS_TRIED = 200;

/**
 * `first`, or the next port after it that is free on 127.0.0.1; for 0 any free one.
 * Free at the moment only: the server may still find it taken.
 */
export async function freePort(first: number): Promise<number> {
  for (let port = first; port < Math.min(first + PORTS_TRIED, 65_536); port += 1) {
    const found = await tryPort(port);
    if (found !== undefined) {
      return found;
    }
  }
  throw new Error(`No free port from ${first} on 127.0.0.1 for PostgreSQL. ${OWN_SERVER}`);
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', () => settle(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      const taken = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => settle(taken));
    });
  });
}
