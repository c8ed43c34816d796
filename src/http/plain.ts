import { createServer } from 'node:http';
import type { Server, Socket } from 'node:net';

/** The first byte of every TLS connection: a handshake record. */
const TLS_HANDSHAKE = 22;
/** Whoever connects and says nothing is sent away after this. */
const SILENCE_MS = 10_000;

/**
 * Makes an HTTPS server answer plain HTTP on its own port too, by sending it on to HTTPS: whoever
 * types an address without https:// would see nothing but a broken connection. Call it before the
 * server listens. Gives back what closes the connections that have not said which they are.
 */
export function sendPlainHttpOn(server: Server, publicUrl: string): () => void {
  const secure = server.listeners('connection') as ((socket: Socket) => void)[];
  const undecided = new Set<Socket>();
  const plain = createServer((request, reply) => {
    const path = request.url?.startsWith('/') ? request.url : '/';
    // never a permanent one: without its certificate this port speaks HTTP again
    reply.writeHead(307, {
      location: publicUrl + path,
      'cache-control': 'no-store',
      connection: 'close',
    });
    reply.end();
  });
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const leave = () => socket.destroy();
    undecided.add(socket);
    socket.setTimeout(SILENCE_MS, leave);
    socket.on('error', leave);
    socket.once('close', () => undecided.delete(socket));
    socket.once('data', (first: Buffer) => {
      socket.pause();
      socket.unshift(first);
      socket.setTimeout(0);
      socket.off('timeout', leave);
      if (first[0] === TLS_HANDSHAKE) {
        // from here on it is the HTTPS server's
        undecided.delete(socket);
        socket.off('error', leave);
        for (const listener of secure) listener.call(server, socket);
      } else {
        plain.emit('connection', socket);
      }
      process.nextTick(() => socket.resume());
    });
  });
  return () => {
    for (const socket of undecided) socket.destroy();
  };
}
