/** What a filled database calls its rows: ids and credentials are computed, never looked up. */

import { createHash } from 'node:crypto';
import { credentialText } from '../../src/core/credential.ts';
import { deviceToken } from '../../src/devices/token.ts';
import { parseCode } from '../../src/redemptions/code.ts';

/** How much a filled database holds. */
export interface Size {
  offers: number;
  merchants: number;
  members: number;
  /** all of them, the pending ones included */
  redemptions: number;
  pending: number;
  /** stored idempotency keys, of the youngest redemptions; none when left out */
  keys?: number;
}

export type SizeName = '100k' | '1m' | '10m';

export const SIZES: Record<SizeName, Size> = {
  '100k': {
    offers: 10_000,
    merchants: 1_000,
    members: 1_000_000,
    redemptions: 100_000,
    pending: 50_000,
  },
  '1m': {
    offers: 10_000,
    merchants: 1_000,
    members: 1_000_000,
    redemptions: 1_000_000,
    pending: 300_000,
  },
  '10m': {
    offers: 10_000,
    merchants: 1_000,
    members: 1_000_000,
    redemptions: 10_000_000,
    pending: 1_000_000,
  },
};

/** Everything before the twelve digits of an id's number. */
export const ID_PREFIX = {
  offer: '00000000-0000-4000-8001-',
  merchant: '00000000-0000-4000-8002-',
  redemption: '00000000-0000-4000-8003-',
  branch: '00000000-0000-4000-8004-',
} as const;

const id = (kind: keyof typeof ID_PREFIX) => (n: number) =>
  `${ID_PREFIX[kind]}${n.toString(16).padStart(12, '0')}`;

/** The id of offer `n`, from 1 to `offers`. It belongs to merchant 1 + (n − 1) % merchants. */
export const offerId = id('offer');
/** The id of merchant `n`, from 1 to `merchants`. */
export const merchantId = id('merchant');
/** The id of redemption `n`, from 1 to `redemptions`; up to `pending` they are pending. */
export const redemptionId = id('redemption');
/** The id of the one branch of merchant `n`. */
export const branchId = id('branch');

/** The number of the offer of redemption `n`. */
export const offerOf = (n: number, size: Size): number => 1 + (n % size.offers);
/** The number of the merchant of redemption `n`. */
export const merchantOf = (n: number, size: Size): number =>
  1 + ((n % size.offers) % size.merchants);
/** How many members have redemptions: so many that each has ten, whatever the size. */
export const activeOf = ({ members, redemptions }: Size): number =>
  Math.max(1, Math.min(members, Math.ceil(redemptions / 10)));
/** The number of the member of redemption `n`: each active one has one in `activeOf` on end. */
export const memberOf = (n: number, size: Size): number => {
  const active = activeOf(size);
  const place = (n * 7919 + Math.floor(n / active) * 104_729) % active;
  return 1 + place * Math.floor(size.members / active);
};

/**
 * Whether offer `n` can be redeemed. The others, one in 97, have ended, have not started or are
 * inactive.
 */
export const isOpen = (n: number): boolean => n % 97 !== 0;

/** The secret part of every key and every device, so that bcrypt is paid once per process. */
export const BENCH_SECRET = 'BenchBenchBenchBenchBenchBench00';
const numbered = (prefix: string, n: number) => `${prefix}${String(n).padStart(7, '0')}`;

/** The id in the one key of merchant `n`. */
export const keyId = (n: number): string => numbered('bench', n);
/** The one key of merchant `n`: what its till sends as Bearer. */
export const merchantKey = (n: number): string =>
  credentialText('lmk', { id: keyId(n), secret: BENCH_SECRET });
/** The id of the one device of merchant `n`. */
export const deviceId = (n: number): string => numbered('phone', n);
/** The token of the one device of merchant `n`: what the scanner sends as Bearer. */
export const deviceKey = (n: number): string =>
  deviceToken({ id: deviceId(n), secret: BENCH_SECRET });

export const CODE_SYMBOLS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** What base 64 writes: its 64 letters stand for the code's 32 symbols, twice over. */
export const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The code of redemption `n`. */
export function redemptionCode(n: number): string {
  const text = createHash('md5').update(`code ${n}`).digest('base64');
  const symbols = [...text.slice(0, 15)].map((letter) => CODE_SYMBOLS[BASE64.indexOf(letter) % 32]);
  return withCheck(symbols.join('')).code;
}

/** What the QR of redemption `n` carries. */
export function landingToken(n: number): string {
  return createHash('md5').update(`token ${n}`).digest('base64url');
}

/** Completes 15 symbols with the only check symbol that the engine accepts, and says its value. */
export function withCheck(symbols: string): { code: string; value: number } {
  for (const [value, check] of [...CODE_SYMBOLS].entries()) {
    const code = parseCode(symbols + check);
    if (code) return { code, value };
  }
  throw new Error(`${symbols} are not 15 symbols of a code`);
}
