/** Expressions of SQL that more than one table's rows are made of; `n` names a column. */

import { BASE64, CODE_SYMBOLS, ID_PREFIX, withCheck } from './names.ts';

/** How old the oldest redemption is. */
export const DAYS = 80;
/** How long ago the first of the pending ones was issued. */
export const PENDING_HOURS = 3;
/** What each member was given: more than any benchmark spends. */
export const GRANT = 5_000_000;
export const PUBLIC_URL = 'https://lumis.example.com';
export const WALLET = 'LumisWallet/2.4 (Android 14; SM-A155M) okhttp/4.12.0';
export const TILL = 'CajaExpress/7.1 (Windows NT 10.0)';

const NAMES = [
  'Café con medialuna',
  'Entrada de cine',
  'Almuerzo del día',
  'Corte de pelo',
  'Lavado de auto',
  'Libro de bolsillo',
  'Helado doble',
  'Pase de gimnasio',
];
export const CATEGORIES = ['food', 'cinema', 'beauty', 'services', 'books', 'sport'];

const array = (words: readonly string[]) => `ARRAY[${words.map((word) => `'${word}'`).join(', ')}]`;

export const uuidOf = (kind: keyof typeof ID_PREFIX, n: string) =>
  `('${ID_PREFIX[kind]}' || lpad(to_hex(${n}), 12, '0'))::uuid`;
export const keyOf = (n: string) => `'bench' || lpad((${n})::text, 7, '0')`;
export const nameOf = (offer: string) =>
  `(${array(NAMES)})[1 + ${offer} % ${NAMES.length}] || ' ' || ${offer}`;
export const categoryOf = (n: string) => `(${array(CATEGORIES)})[1 + ${n} % ${CATEGORIES.length}]`;
export const priceOf = (offer: string) => `(50 + ${offer} * 37 % 451)::integer`;
export const isForfeit = (offer: string) => `${offer} % 10 = 7`;

const SYMBOLS = 15;

/** The first symbols of the code whose md5 is `md5`, as names.ts says it: all but the check. */
export const symbolsOf = (md5: string) =>
  `translate(substr(encode(decode(${md5}, 'hex'), 'base64'), 1, ${SYMBOLS}),
    '${BASE64}', '${CODE_SYMBOLS}${CODE_SYMBOLS}')`;

/**
 * The code of these symbols, which were made from `md5`. The check symbol is linear in the bits of
 * the others, so that each of its bits is the parity of some of them: which ones, the engine's own
 * parser is asked.
 */
export function codeOf(symbols: string, md5: string): string {
  const parities = [0, 1, 2, 3, 4].map((bit) => {
    const mask = CHECKS.map((check) => (check >> bit) & 1).join('');
    const bits = `('x' || substr(${md5}, 1, 23))::bit(92)`;
    return `(bit_count(${bits} & B'${mask}00') % 2)::integer * ${2 ** bit}`;
  });
  return `'LUMS-' || substr(${symbols}, 1, 4) || '-' || substr(${symbols}, 5, 4) || '-'
      || substr(${symbols}, 9, 4) || '-' || substr(${symbols}, 13)
      || substr('${CODE_SYMBOLS}', 1 + ${parities.join(' + ')}, 1)`;
}

/** The token whose md5 is `md5`. */
export const tokenOf = (md5: string) =>
  `translate(substr(encode(decode(${md5}, 'hex'), 'base64'), 1, 22), '+/', '-_')`;

/** By bit of the base 64 letters: the check symbol when it alone is set. */
const CHECKS = Array.from({ length: SYMBOLS * 6 }, (_, bit) => {
  const value = bit % 6 === 0 ? 0 : 2 ** (5 - (bit % 6)); // a letter's first bit is not used
  const symbol = CODE_SYMBOLS[value] as string;
  return withCheck(symbol.padStart(Math.floor(bit / 6) + 1, '0').padEnd(SYMBOLS, '0')).value;
});
