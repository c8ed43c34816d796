import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { App } from './app.ts';

/** How long a connection that was opened may take to bring its first request, once we are closing. */
const PATIENCE_MS = 100;

/**
 * Lets the server close at once. Browsers open connections for later; Node closes those that have
 * carried a request and are idle, but waits for those that never carried one.
 */
export function closeUnusedConnections(app: App, isTls: boolean): void {
  const unused = new Set<Socket>();
  app.server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  app.server.on('request', ({ socket }: IncomingMessage) => unused.delete(socket));
  app.addHook('preClose', async () => {
    const sweep = setInterval(() => {
      for (const socket of unused) socket.destroy();
    }, PATIENCE_MS).unref();
    app.server.once('close', () => clearInterval(sweep));
  });
}
