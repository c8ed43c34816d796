import { LANDING_TOKEN, randomBytes } from '../core/ids.ts';

// Crockford's base 32: no I, L, O or U, so that nothing looks like something else.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const VALUE = new Map([...ALPHABET].map((symbol, value) => [symbol, value]));
const PREFIX = 'LUMS';
const SYMBOLS = 15; // 75 random bits; the 16th symbol is the check

/** A new redemption code, `LUMS-XXXX-XXXX-XXXX-XXXC`: 75 random bits and a check symbol. */
export function newCode(): string {
  const values = [...randomBytes(SYMBOLS)].map((byte) => byte & 31);
  return format([...values, checkValue(values)]);
}

/**
 * The canonical form of a code as people type it: any case, spaces and dashes anywhere, with or
 * without the prefix, O for 0 and I or L for 1. Undefined when it is not a code: other characters,
 * another length, or a check symbol that does not fit (a mistyped code costs no query).
 */
export function parseCode(input: string): string | undefined {
  if (input.length > 100 || /[^\x20-\x7e\t\r\n]/.test(input)) return undefined;
  let text = input.replace(/[\s-]/g, '').toUpperCase();
  // before the look-alikes are folded: the prefix itself has an L
  if (text.length === PREFIX.length + SYMBOLS + 1 && text.startsWith(PREFIX)) {
    text = text.slice(PREFIX.length);
  }
  const folded = text.replace(/O/g, '0').replace(/[IL]/g, '1');
  const values = [...folded].map((symbol) => VALUE.get(symbol));
  if (values.length !== SYMBOLS + 1 || values.includes(undefined)) return undefined;
  const known = values as number[];
  return checkValue(known.slice(0, SYMBOLS)) === known[SYMBOLS] ? format(known) : undefined;
}

/** What a merchant's scan holds: a code, a landing token, or a landing URL and its token. */
export interface Scan {
  code: string | null;
  token: string | null;
  /** the whole URL when it is not below our own: it must then be the very one that was issued */
  url: string | null;
}

/**
 * Reads what was scanned or typed; undefined when it can be nothing of ours. `publicUrl` is where
 * this server is reached: its own pages are known by their token alone, since a code may have been
 * issued while the server was reached under another address.
 */
export function parseScan(input: string, publicUrl?: string): Scan | undefined {
  const text = input.length > 2000 ? '' : input.trim();
  const code = parseCode(text);
  if (code) return { code, token: null, url: null };
  if (LANDING_TOKEN.test(text)) return { code: null, token: text, url: null };
  // the page's own language switch may have put a query behind it
  const [, url, token] = /^(https?:\/\/[^\s?#]+\/r\/([\w-]{22}))(?:\?[^\s#]*)?$/i.exec(text) ?? [];
  if (url && token && LANDING_TOKEN.test(token)) {
    return { code: null, token, url: url === `${publicUrl}/r/${token}` ? null : url };
  }
  return undefined;
}

function format(values: number[]): string {
  const symbols = values.map((value) => ALPHABET[value]).join('');
  return `${PREFIX}-${symbols.match(/.{4}/g)?.join('-')}`;
}

/**
 * Sum of value × 2^(15 − position) in GF(32), x^5 + x^2 + 1; the check symbol itself has weight 1.
 * All sixteen weights differ, so every single wrong symbol and every swap of two is found.
 */
function checkValue(values: number[]): number {
  return double(values.reduce((sum, value) => double(sum) ^ value, 0));
}

function double(value: number): number {
  const shifted = value << 1;
  return shifted & 32 ? shifted ^ 0b100101 : shifted;
}
