import { createClock } from './clock.ts';
import { sender } from './send.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
type Maybe<T> = T | (() => T | undefined) | undefined;

export interface ClientOptions {
  /** where the API is, e.g. `https://lumis.example/api/v1`; a page of its own origin needs none */
  baseUrl?: string | undefined;
  /** a member's JWT, a merchant key or a device's token; as a function it is asked every time */
  token?: Maybe<string>;
  /** the language of `detail`: `es` (as without it) or `en` */
  locale?: Maybe<string>;
  /** instead of the platform's own */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** for one try, until its answer is there whole; 4000 */
  timeoutMs?: number | undefined;
  /** for all tries of a call together; 12000 */
  deadlineMs?: number | undefined;
  /** how often a call that can be repeated is, at most; 2 */
  retries?: number | undefined;
}

/** What every call takes. */
export interface CallOptions {
  /** ends the call: it rejects with the signal's reason, and nobody knows whether it was done */
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

/** What a call takes that moves something. */
export interface KeyedOptions extends CallOptions {
  /** the Idempotency-Key, from `newKey()`; the same one when you repeat */
  key: string;
  /** an earlier call with this key had no answer: a refusal to look at this one decides nothing */
  isRepeat?: boolean | undefined;
}

export interface Call extends CallOptions {
  query?: object | undefined;
  body?: unknown;
  key?: string | undefined;
  isRepeat?: boolean | undefined;
  /** a POST that moves nothing, and may be repeated without a key */
  isSafe?: boolean | undefined;
  /** what comes back as text instead of JSON, e.g. `image/svg+xml` */
  as?: string | undefined;
}

/** A way to one installation, for one caller. */
export interface Connection {
  /** Asks, repeats where that is safe, and gives the answer; rejects with a LumisError. */
  send<T>(method: Method, path: string, call?: Call): Promise<T>;
  /** One bare request with credential and language; the stream's way. */
  fetch(path: string, init: { headers?: Record<string, string> } & RequestInit): Promise<Response>;
  readonly timeoutMs: number;
  /** how far the server's clock is ahead of this one, in milliseconds */
  readonly clockOffsetMs: number;
}

/** Opens nothing yet: it only remembers where and who. */
export function connect(options: ClientOptions = {}): Connection {
  const { timeoutMs = 4000, deadlineMs = 12_000, retries = 2 } = options;
  const base = (options.baseUrl ?? '/api/v1').replace(/\/+$/, '');
  const clock = createClock();
  const bare: Connection['fetch'] = (path, init) => {
    const token = given(options.token);
    const locale = given(options.locale);
    const headers = new Headers(init.headers);
    // with a scheme of its own, as Basic has, or as a bearer's
    if (token) headers.set('authorization', token.includes(' ') ? token : `Bearer ${token}`);
    if (locale) headers.set('accept-language', locale);
    const go = options.fetch ?? fetch;
    // The API never redirects; whatever does must not get the credential, nor look like success.
    const strict = { ...init, headers, cache: 'no-store' as const, redirect: 'error' as const };
    return go(base + path, strict);
  };
  return {
    send: sender({ fetch: bare, clock, timeoutMs, deadlineMs, retries }),
    fetch: bare,
    timeoutMs,
    get clockOffsetMs() {
      return clock.offsetMs;
    },
  };
}

const given = (value: Maybe<string>) => (typeof value === 'function' ? value() : value);

/** A path with its values escaped: at`/rewards/offers/${id}`. */
export const at = (parts: TemplateStringsArray, ...values: (string | number)[]) =>
  String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value)));
