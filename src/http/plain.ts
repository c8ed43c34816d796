import { createServer } from 'node:http';
import type { Server, Socket } from 'node:net';

/** The first byte of every TLS connection: a handshake record. */
const TLS_HANDSHAKE = 22;
/** Whoever connects and says nothing, or begins a request and goes no further, is sent away. */
const SILENCE_MS = 10_000;

/**
 * Makes an HTTPS server answer plain HTTP on its own port too, by sending it on to HTTPS: whoever
 * types an address without https:// would see nothing but a broken connection. Call it before the
 * server listens. Gives back what closes the connections that are not HTTPS, or not yet.
 */
export function sendPlainHttpOn(server: Server, publicUrl: string): () => void {
  const secure = server.listeners('connection') as ((socket: Socket) => void)[];
  // by their peer: when the handshake is done, another object stands for the same connection
  const unsecured = new Map<string, Socket>();
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
  server.on('secureConnection', (socket: Socket) => unsecured.delete(peerOf(socket)));
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const leave = () => socket.destroy();
    const peer = peerOf(socket);
    unsecured.set(peer, socket);
    socket.setTimeout(SILENCE_MS, leave);
    socket.on('error', leave);
    socket.once('close', () => unsecured.delete(peer));
    socket.once('data', (first: Buffer) => {
      socket.pause();
      socket.unshift(first);
      if (first[0] === TLS_HANDSHAKE) {
        // from here on it is the HTTPS server's, which has a patience of its own
        socket.setTimeout(0);
        socket.off('timeout', leave);
        socket.off('error', leave);
        for (const listener of secure) listener.call(server, socket);
      } else {
        plain.emit('connection', socket);
      }
      process.nextTick(() => socket.resume());
    });
  });
  return () => {
    for (const socket of unsecured.values()) socket.destroy();
  };
}

const peerOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
