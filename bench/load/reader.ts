/** Reads HTTP responses from a socket's bytes, one at a time: only what servers of ours send. */

import type { Size } from '../load.ts';

export interface Response {
  status: number;
  etag: string | undefined;
  size: Size;
  /** the body, decoded only by who wants it */
  text(): string;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);
const ETAG = ['etag', 'ETag', 'Etag'];
const LENGTH = ['content-length', 'Content-Length'];

/**
 * Takes a connection's bytes as they come and calls back for each whole response. Bodies come with
 * a Content-Length, or not at all (204, 304); chunked ones are a fault, as nothing measured sends
 * any.
 */
export class ResponseReader {
  readonly #onResponse: (response: Response) => void;
  #left: Buffer = NOTHING;

  constructor(onResponse: (response: Response) => void) {
    this.#onResponse = onResponse;
  }

  feed(chunk: Buffer): void {
    this.#left = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
    for (let end = this.#readOne(); end > 0; end = this.#readOne()) {
      this.#left = end === this.#left.length ? NOTHING : this.#left.subarray(end);
    }
  }

  /** Where the response at the beginning ends; 0 while it is not whole. */
  #readOne(): number {
    const bytes = this.#left;
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd < 0) return 0;
    const head = bytes.toString('latin1', 0, headEnd + 2);
    const status = Number(head.slice(9, 12));
    const bodyAt = headEnd + 4;
    const bodyLength = hasBody(status) ? lengthOf(head) : 0;
    if (bytes.length < bodyAt + bodyLength) return 0;
    const end = bodyAt + bodyLength;
    const text = () => bytes.toString('utf8', bodyAt, end);
    const size = { head: bodyAt, body: bodyLength };
    this.#onResponse({ status, etag: fieldOf(head, ETAG), size, text });
    return end;
  }
}

const hasBody = (status: number) => status !== 204 && status !== 304 && status >= 200;

function lengthOf(head: string): number {
  const length = fieldOf(head, LENGTH);
  if (length === undefined) throw new Error(`a response without Content-Length:\n${head}`);
  return Number(length);
}

/** A header field's value, by its names as servers write them, all of them as long. */
function fieldOf(head: string, names: readonly string[]): string | undefined {
  for (const name of names) {
    const at = head.indexOf(`\r\n${name}: `);
    const from = at + name.length + 4;
    if (at >= 0) return head.slice(from, head.indexOf('\r\n', from));
  }
  return undefined;
}
