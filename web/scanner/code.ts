// Crockford's base 32, as the server writes codes: no I, L, O or U.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const SYMBOLS = 16; // the last one is the check
const PREFIX = 'LUMS';
const TOKEN = /^[\w-]{21}[AQgw]$/;
const LANDING_URL = /^(https?:\/\/[^\s/?#]+)(?:\/[^\s?#]*)?\/r\/([\w-]{21}[AQgw])\/?(?:[?#]\S*)?$/i;
const PAIRING = /^lmp_[0-9A-Za-z_-]{16,100}$/;
const LONGEST = 2000;

/** What a camera, a hand scanner or a person gave us. */
export type Reading =
  /** `key` tells one code from another, `send` is what the server judges, `shown` what people see */
  | { kind: 'redemption'; key: string; send: string; shown: string }
  /** a one-use code that pairs this phone with a merchant */
  | { kind: 'pairing'; code: string }
  /** symbols of a code, but too few, too many, or a check symbol that does not fit */
  | { kind: 'mistyped'; symbols: number }
  /** an address that is not a redemption's; never opened */
  | { kind: 'url' }
  | { kind: 'other' };

/**
 * Says what was read. `origin` is where this page comes from: one of its own landing pages is sent
 * by its token, which holds however people reach this server. Another origin's landing page goes
 * as it is, for the server alone knows which addresses it has printed.
 */
export function readCode(input: string, origin: string): Reading {
  const text = input.length > LONGEST ? '' : input.trim();
  const code = canonicalCode(text);
  if (code) return { kind: 'redemption', key: code, send: code, shown: code };
  const [, site = '', token = ''] = LANDING_URL.exec(text) ?? [];
  if (token || TOKEN.test(text)) {
    const known = token || text;
    const send = site && site.toLowerCase() !== origin.toLowerCase() ? withoutQuery(text) : known;
    return { kind: 'redemption', key: known, send, shown: `QR …${known.slice(-4)}` };
  }
  const pairing = pairingCode(text);
  if (pairing) return { kind: 'pairing', code: pairing };
  if (/^[a-z][a-z0-9+.-]*:\S+$/i.test(text) || /^www\.\S+$/i.test(text)) return { kind: 'url' };
  const symbols = foldedSymbols(text);
  return symbols ? { kind: 'mistyped', symbols: symbols.length } : { kind: 'other' };
}

/** The pairing code in a pairing URL or by itself; undefined when there is none. */
export function pairingCode(text: string): string | undefined {
  const code = /#(?:.*&)?pair=([^&\s]+)$/.exec(text)?.[1] ?? text;
  return PAIRING.test(code.trim()) ? code.trim() : undefined;
}

/** `LUMS-XXXX-XXXX-XXXX-XXXC`, or undefined when the check symbol or the length does not fit. */
export function canonicalCode(text: string): string | undefined {
  const symbols = foldedSymbols(text);
  if (symbols?.length !== SYMBOLS) return undefined;
  // sum of value × 2^(15 − position) in GF(32), x^5 + x^2 + 1: nothing is left of a true code
  const rest = [...symbols].reduce((sum, symbol) => double(sum) ^ ALPHABET.indexOf(symbol), 0);
  return rest === 0 ? `${PREFIX}-${symbols.match(/.{4}/g)?.join('-')}` : undefined;
}

/** The symbols without prefix, spaces and dashes; undefined when one is not of the alphabet. */
function foldedSymbols(text: string): string | undefined {
  if (text.length > 100) return undefined;
  // A hand scanner with another keyboard layout types ' for -; messengers write long dashes.
  let bare = text.replace(/[\s'\-\u00b4\u2010-\u2015\u2019\u2212]/g, '').toUpperCase();
  // before the look-alikes are folded: the prefix itself has an L
  if (bare.startsWith(PREFIX)) bare = bare.slice(PREFIX.length);
  const folded = bare.replace(/O/g, '0').replace(/[IL]/g, '1');
  return folded && [...folded].every((symbol) => ALPHABET.includes(symbol)) ? folded : undefined;
}

function double(value: number): number {
  const shifted = value << 1;
  return shifted & 32 ? shifted ^ 0b100101 : shifted;
}

const withoutQuery = (url: string) => url.replace(/[?#].*$/, '');
