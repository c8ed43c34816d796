import { failureOf, isOf, jsonOf, textOf } from './answer.ts';
import type { Clock } from './clock.ts';
import { LumisError, NetworkError } from './errors.ts';
import type { Call, Connection, Method } from './request.ts';
import { createWatchdog, jittered, pause } from './wait.ts';

interface Sending {
  fetch: Connection['fetch'];
  clock: Clock;
  timeoutMs: number;
  deadlineMs: number;
  retries: number;
}

const RETRY_AFTER_SECONDS_MAX = 5;
const BACKOFF_MS = 300;
/** Less than that is not worth another try. */
const TRY_MS_MIN = 250;
const KEY = /^[\x20-\x7e]{1,255}$/;
/** Problems that pass: too slow, too many, too busy. */
const PASSING = [408, 429, 503];

/**
 * What sends a call: it tries, repeats with the same key while that is safe and there is time, and
 * gives the answer. Rejects with a LumisError, or with the reason of the caller's signal.
 */
export function sender(sending: Sending): Connection['send'] {
  return async <T>(method: Method, path: string, call: Call = {}): Promise<T> => {
    const { key, signal, timeoutMs = sending.timeoutMs } = call;
    if (key !== undefined && !KEY.test(key)) throw new TypeError('key: 1 to 255 printable ASCII');
    const isRepeatable = method === 'GET' || key !== undefined || call.isSafe;
    const target = path + queryOf(call.query);
    const endsAt = performance.now() + Math.max(sending.deadlineMs, timeoutMs);
    let { isRepeat } = call;
    for (let tries = 1; ; tries += 1) {
      signal?.throwIfAborted();
      const left = Math.min(timeoutMs, endsAt - performance.now());
      try {
        return await once(sending, method, target, { ...call, isRepeat, timeoutMs: left });
      } catch (error) {
        if (!(error instanceof LumisError) || !isRepeatable || tries > sending.retries) throw error;
        const wait = waitAfter(error, tries);
        if (wait === undefined || performance.now() + wait + TRY_MS_MIN > endsAt) throw error;
        isRepeat ||= !error.isAnswered;
        await pause(wait, signal);
      }
    }
  };
}

/** One try. */
async function once<T>(
  { fetch, clock }: Sending,
  method: Method,
  path: string,
  { signal, body, key, as = 'json', isRepeat, timeoutMs = 0 }: Call,
): Promise<T> {
  const dog = createWatchdog(signal);
  const sentAt = Date.now();
  // outside of the try: a credential that is no header is the caller's fault, not the network's
  const asked = fetch(path, {
    method,
    signal: dog.signal,
    headers: {
      ...(key !== undefined && { 'idempotency-key': key }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  let response: Response;
  let text: string;
  try {
    dog.wind(timeoutMs);
    response = await asked;
    const receivedAt = Date.now();
    text = await textOf(response);
    // one from a cache is of another time
    if (isOf(response, 'json') && !response.headers.has('age')) {
      clock.learn(response.headers.get('date'), sentAt, receivedAt);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw lossOf(dog.isLate, cause);
  } finally {
    dog.end();
  }
  // to nothing else does the API answer nothing
  if (response.status === 204 && method === 'DELETE') return undefined as T;
  const value = as === 'json' ? jsonOf(response, text) : isOf(response, as) ? text : undefined;
  if (!response.ok || value === undefined) throw failureOf(response, text, !!isRepeat);
  return value as T;
}

/** The error for a request that had no answer. */
function lossOf(isLate: boolean, cause: unknown): NetworkError {
  const { navigator } = globalThis as { navigator?: { onLine?: boolean } };
  if (isLate) return new NetworkError('timeout', { detail: 'No answer in time.', cause });
  if (navigator?.onLine === false)
    return new NetworkError('offline', { detail: 'Offline.', cause });
  return new NetworkError('lost', { detail: 'The connection was lost.', cause });
}

/** Milliseconds until the next try; undefined where another one would not help, or not soon. */
function waitAfter(error: LumisError, tries: number): number | undefined {
  const { status, code, retryAfterSeconds = 0 } = error;
  const isPassing =
    error instanceof NetworkError || PASSING.includes(status) || code === 'idempotency_in_progress';
  if (!isPassing || retryAfterSeconds > RETRY_AFTER_SECONDS_MAX) return undefined;
  return retryAfterSeconds * 1000 + jittered(BACKOFF_MS * 2 ** tries);
}

/** `?a=1&b=2` of everything that is set. */
function queryOf(query: object = {}): string {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(Object.fromEntries(set)).toString();
  return text && `?${text}`;
}
