import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Failure } from '../core/failure.ts';
import { callerKey } from './auth.ts';

/** One event, as server-sent events have it. */
export interface Frame {
  /** what the client sends as Last-Event-ID when it comes back */
  id?: string | undefined;
  event: string;
  data: object;
}

/** An open answer that goes on. */
export interface Stream {
  send(frame: Frame): void;
  /** Ends it; what was sent still arrives. */
  end(): void;
  /** Runs once, when it has ended for whatever reason. */
  onEnd(run: () => void): void;
}

export interface StreamOptions {
  /** Unix time in seconds after which it ends: a token's `exp` */
  expiresAt?: number | undefined;
  /** a place that heartbeats may tell as `id`, so that who comes back need not begin far behind */
  position?: () => string | undefined;
}

/** All streams of one server. */
export interface Streams {
  /**
   * Turns the reply into a stream. Throws `rate_limited` when this caller has too many, `overloaded`
   * when the server has. The handler returns the reply afterwards.
   */
  open(request: FastifyRequest, reply: FastifyReply, options?: StreamOptions): Stream;
  count(): number;
  /** Ends all, at once, and refuses new ones. */
  close(): void;
}

const PER_CALLER_MAX = 5;
const TOTAL_MAX = 5000;
/** A full caller's oldest stream gives way when it is older: a phone that lost its network leaves one. */
const GIVES_WAY_AFTER_MS = 60_000;
const RETRY_AFTER_SECONDS = 5;
const PULSE_MS = 1000;
const HEARTBEAT_MS = 15_000;
/** Bytes that wait in this process for a slow reader, and how long they may, before it is cut. */
const WAITING_BYTES_MAX = 1024 * 1024;
const STALLED_MS_MAX = 30_000;
/** How long a reader may take over what was sent before the end. */
const LINGER_MS = 500;
const PROBE_AFTER_MS = 5000;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  // nginx would keep events back until its buffer is full
  'x-accel-buffering': 'no',
  // a stream's connection is not used again: it ends with the stream, also when the server closes
  connection: 'close',
};

interface Open {
  caller: string;
  since: number;
  beat(now: number): void;
  end(): void;
}

/** Opens the house of streams; `onCount` is told how many there are. */
export function openStreams(
  onCount: (open: number) => void,
  heartbeatMs: number = HEARTBEAT_MS,
): Streams {
  const all = new Set<Open>();
  let pulse: NodeJS.Timeout | undefined;
  let closed = false;

  const admit = (caller: string) => {
    const own = [...all].filter((one) => one.caller === caller);
    const [oldest] = own;
    if (own.length >= PER_CALLER_MAX && oldest) {
      if (Date.now() - oldest.since < GIVES_WAY_AFTER_MS) {
        throw new Failure('rate_limited', { retryAfterSeconds: RETRY_AFTER_SECONDS });
      }
      oldest.end();
    }
    if (closed || all.size >= TOTAL_MAX) {
      throw new Failure('overloaded', { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
  };
  const keep = (one: Open) => {
    all.add(one);
    onCount(all.size);
    pulse ??= setInterval(() => {
      const now = Date.now();
      for (const each of all) each.beat(now);
    }, PULSE_MS);
  };
  const forget = (one: Open) => {
    if (!all.delete(one)) return;
    onCount(all.size);
    if (all.size > 0) return;
    clearInterval(pulse);
    pulse = undefined;
  };

  return {
    open(request, reply, options = {}) {
      const caller = callerKey(request.caller);
      admit(caller);
      return openOne({ request, reply, caller, options, heartbeatMs, keep, forget });
    },
    count: () => all.size,
    close() {
      closed = true;
      for (const one of all) one.end();
    },
  };
}

interface Opening {
  request: FastifyRequest;
  reply: FastifyReply;
  caller: string;
  options: StreamOptions;
  heartbeatMs: number;
  keep: (one: Open) => void;
  forget: (one: Open) => void;
}

function openOne(opening: Opening): Stream {
  const { request, reply, caller, options, heartbeatMs, keep, forget } = opening;
  const { raw } = reply;
  const { socket } = request.raw;
  const endings: (() => void)[] = [];
  let wroteAt = Date.now();
  let stalledSince: number | undefined;
  let ended = false;

  const write = (text: string) => {
    if (ended) return;
    wroteAt = Date.now();
    if (raw.write(text)) return;
    stalledSince ??= wroteAt;
    if (raw.writableLength > WAITING_BYTES_MAX) cut('a stream was read too slowly');
  };
  const finish = () => {
    ended = true;
    forget(one);
    for (const run of endings.splice(0)) run();
  };
  const cut = (why: string) => {
    request.log.info({ caller }, why);
    socket.destroy?.();
    finish();
  };
  const one: Open = {
    caller,
    since: Date.now(),
    beat(now) {
      if (stalledSince && now - stalledSince > STALLED_MS_MAX) cut('a stream stood still');
      else if (options.expiresAt !== undefined && now >= options.expiresAt * 1000) one.end();
      else if (now - wroteAt >= heartbeatMs) write(heartbeat(options.position?.()));
    },
    end() {
      if (ended) return;
      raw.end();
      setTimeout(() => socket.destroy?.(), LINGER_MS).unref();
      finish();
    },
  };

  keep(one);
  raw.on('drain', () => {
    stalledSince = undefined;
  });
  raw.on('error', () => undefined);
  raw.on('close', () => {
    if (!ended) finish();
  });
  begin(reply, socket);
  if (socket.destroyed)
    finish(); // gone before it began
  else if (request.method === 'HEAD') one.end();
  return {
    send: (frame) => write(written(frame)),
    end: one.end,
    onEnd: (run) => void (ended ? run() : endings.push(run)),
  };
}

/** The headers that hooks have set (security, CORS, limits), ours, and how soon to come back. */
function begin(reply: FastifyReply, socket: Socket): void {
  reply.headers(HEADERS);
  const headers = reply.getHeaders();
  reply.hijack();
  // an end that says nothing is noticed within half a minute
  socket.setKeepAlive?.(true, PROBE_AFTER_MS);
  reply.raw.writeHead(200, headers as Record<string, string>);
  reply.raw.write('retry: 1000\n\n');
}

function heartbeat(position: string | undefined): string {
  return position ? `: still here\nid: ${position}\n\n` : ': still here\n\n';
}

function written({ id, event, data }: Frame): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
