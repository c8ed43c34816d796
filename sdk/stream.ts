import { failureOf, isOf, textOf } from './answer.ts';
import { LumisError, NetworkError } from './errors.ts';
import type { CallOptions, Connection } from './request.ts';
import { createParser, type Position, type RawEvent } from './sse.ts';
import { createWatchdog, jittered, pause } from './wait.ts';

export interface StreamEvent<Type extends string = string, Data = unknown> {
  /** give it as `lastEventId` to go on from here */
  id: string | undefined;
  type: Type;
  data: Data;
}

/** `open`: connected. `waiting`: not connected now, and trying. */
export type StreamState = 'open' | 'waiting';

export interface WatchOptions<Event extends StreamEvent> extends CallOptions {
  /** go on after this event; without it the stream begins as its path says */
  lastEventId?: string | undefined;
  onEvent: (event: Event) => void;
  /** told on every change, the first time when it is connected or when that failed */
  onState?: ((state: StreamState) => void) | undefined;
  /** how long nothing may come before the connection counts as dead; 35000 */
  silenceMs?: number | undefined;
}

/** Twice the server's heartbeat of 15 s, and some. */
const SILENCE_MS = 35_000;
const RETRY_MS = 1000;
const RETRY_MS_MIN = 250;
const WAIT_MS_MAX = 30_000;
const RETRY_AFTER_MS_MAX = 300_000;
/** A connection that lived that long was a good one: the next wait is a short one again. */
const GOOD_MS = 5000;

/**
 * Follows a stream of events until `signal` aborts; then it resolves. Connections that break are
 * made again, from the last event on, with longer and longer waits up to 30 s. It rejects with a
 * LumisError when the server refuses for good (401, 403, 404 …), and with what `onEvent` throws.
 */
export async function watch<Event extends StreamEvent>(
  connection: Connection,
  path: string,
  options: WatchOptions<Event>,
): Promise<void> {
  const { signal, onEvent, onState } = options;
  const position: Position = { id: options.lastEventId, retryMs: RETRY_MS };
  let state: StreamState | undefined;
  const report = (next: StreamState) => {
    if (next !== state && !signal?.aborted) onState?.(next);
    state = next;
  };
  let failures = 0;
  while (!signal?.aborted) {
    const end = { retryAfterMs: 0 };
    const startedAt = performance.now();
    for await (const event of listen(connection, path, options, position, end)) {
      if (signal?.aborted) return;
      if (event === 'open') report('open');
      else deliver(event, onEvent);
    }
    if (signal?.aborted) return;
    report('waiting');
    failures = performance.now() - startedAt > GOOD_MS ? 0 : failures + 1;
    const wait = Math.max(position.retryMs, RETRY_MS_MIN) * 2 ** Math.max(0, failures - 1);
    const asked = Math.min(end.retryAfterMs, RETRY_AFTER_MS_MAX);
    await pause(asked + jittered(Math.min(wait, WAIT_MS_MAX)), signal);
  }
}

/** One connection: `open`, then its events. It ends when the connection does, however that is. */
async function* listen(
  connection: Connection,
  path: string,
  {
    signal,
    timeoutMs = connection.timeoutMs,
    silenceMs = SILENCE_MS,
  }: Pick<WatchOptions<never>, 'signal' | 'timeoutMs' | 'silenceMs'>,
  position: Position,
  end: { retryAfterMs: number },
): AsyncGenerator<RawEvent | 'open'> {
  const dog = createWatchdog(signal);
  // outside of the try: a credential that is no header is the caller's fault, not the network's
  const asked = connection.fetch(path, {
    signal: dog.signal,
    headers: {
      accept: 'text/event-stream',
      ...(position.id && { 'last-event-id': position.id }),
    },
  });
  try {
    dog.wind(timeoutMs);
    const response = await asked;
    if (response.status !== 200 || !isOf(response, 'text/event-stream') || !response.body) {
      throw failureOf(response, await textOf(response), false);
    }
    yield 'open';
    const reader = response.body.getReader();
    const parse = createParser(position);
    for (;;) {
      dog.wind(silenceMs);
      const { done, value } = await reader.read();
      if (done) return;
      yield* parse(value);
    }
  } catch (error) {
    // what is thrown where the events are used does not come by here
    if (isFinal(error)) throw error;
    if (error instanceof LumisError) end.retryAfterMs = (error.retryAfterSeconds ?? 0) * 1000;
  } finally {
    dog.end();
  }
}

/** A refusal of Lümis itself that waiting does not change. A proxy's page is none. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof LumisError) || error instanceof NetworkError) return false;
  return error.status < 500 && error.status !== 408 && error.status !== 429;
}

function deliver<Event extends StreamEvent>(
  { id, type, data }: RawEvent,
  onEvent: (event: Event) => void,
): void {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return; // not one of ours
  }
  onEvent({ id, type, data: value } as Event);
}
