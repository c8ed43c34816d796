import type { Problem } from '../src/contract/common.ts';
import { LumisError, NetworkError } from './errors.ts';

/** No answer of the API is near that; a page of something on the way may be. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

/** Refusals to look at it at all, which say nothing of an earlier try under the same key. */
const NOT_LOOKED_AT = [401, 403, 429];

/** The body as text. Rejects when it is cut off, or larger than any answer of ours. */
export async function textOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > BODY_BYTES_MAX) {
      await reader.cancel().catch(() => undefined);
      throw new Error('The answer is too large.');
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** Whether the answer says that it is of this kind, e.g. `json`. */
export const isOf = (response: Response, kind: string) =>
  (response.headers.get('content-type') ?? '').includes(kind);

/** The JSON of an answer; undefined for anything else, also when its end is missing. */
export function jsonOf(response: Response, text: string): unknown {
  if (!isOf(response, 'json')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The error that an answer stands for. What is not a problem of Lümis's own is no answer.
 * `isDoubtful`: an earlier try under the same key may have been done.
 */
export function failureOf(response: Response, text: string, isDoubtful: boolean): LumisError {
  const { status } = response;
  const retryAfterSeconds = retryAfterOf(response);
  const problem = jsonOf(response, text) as Problem | undefined;
  if (status < 400 || !String(problem?.type).startsWith('urn:lumis:')) {
    const detail = `No answer of Lümis: ${status} ${response.headers.get('content-type')}`;
    return new NetworkError('lost', { detail, status, retryAfterSeconds });
  }
  const { code, detail } = problem as Problem;
  const isAnswered =
    status < 500 &&
    code !== 'idempotency_in_progress' &&
    !(isDoubtful && NOT_LOOKED_AT.includes(status));
  return new LumisError({ status, code, detail, isAnswered, problem, retryAfterSeconds });
}

/** Retry-After in seconds; proxies also send it as a date. */
function retryAfterOf({ headers }: Response): number | undefined {
  const said = headers.get('retry-after');
  if (!said) return undefined;
  const now = Date.parse(headers.get('date') ?? '') || Date.now();
  const seconds = /^\d+$/.test(said) ? Number(said) : (Date.parse(said) - now) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
