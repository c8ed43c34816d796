/** Writes the requests of a load, by hand: a client library would cost more than the server. */

import { createHmac } from 'node:crypto';
import { isOpen, merchantKey, offerId, redemptionId } from '../fill.ts';
import { type LoadJob, TOKENS_DEFAULT, type Wish } from '../load.ts';
import { JWT_SECRET } from '../node.ts';
import type { Response } from './reader.ts';

/** A request ready to be sent, and what its sender must know about it. */
export interface Request {
  wish: Wish;
  text: string;
  /** what its answer teaches */
  learn?: (response: Response) => void;
}

/** A redemption that this load made. */
interface Made {
  redemption_id: string;
  code: string;
  member: number;
  merchant: number;
}

const TOKEN_SECONDS = 12 * 3600;
const OWN_MAX = 100_000;
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEAD = encode({ alg: 'HS256', typ: 'JWT' });

/**
 * A member's token, as `lumis token` makes it. The same within an hour, in every load: wallets keep
 * theirs too.
 */
export function memberToken(member: number): string {
  const hour = 3600 * Math.floor(Date.now() / 3_600_000);
  const claims = { sub: String(member), iat: hour, exp: hour + TOKEN_SECONDS };
  const signed = `${HEAD}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`;
}

/** Which members have tokens: evenly spread, so that their rows lie on as many pages as others'. */
export function memberAt(index: number, members: number, count: number): number {
  return 1 + (index % count) * Math.max(1, Math.floor(members / count));
}

export class Requests {
  readonly #job: LoadJob;
  readonly #weights: number;
  readonly #tokens = new Map<number, string>();
  readonly #keys = new Map<number, string>();
  readonly #etags = new Map<string, string>();
  readonly #made: Made[] = [];
  readonly #acknowledged: string[] | undefined;
  #sent = 0;
  #next: number | undefined;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#weights = job.wishes.reduce((sum, { weight = 1 }) => sum + weight, 0);
    this.#acknowledged = job.acknowledged ? [] : undefined;
    this.#next = job.wishes.find(({ from }) => from !== undefined)?.from;
    const { count } = this.#ofTokens();
    // before the clock runs
    for (let i = 0; i < count; i += 1) this.#tokenOf(memberAt(i, job.members, count));
  }

  /** Of the confirmed range, the first that was not sent. */
  get next(): number | undefined {
    return this.#next;
  }

  get acknowledged(): string[] | undefined {
    return this.#acknowledged;
  }

  /** The next request; undefined when the range of redemptions has been sent. */
  make(): Request | undefined {
    this.#sent += 1;
    const wish = this.#choose();
    switch (wish.kind) {
      case 'redeem':
        return this.#redeem(wish);
      case 'confirm':
        return this.#confirm(wish);
      case 'validate':
        return this.#validate(wish);
      case 'cancel':
        return this.#cancel(wish);
      case 'raw':
        return { wish, text: httpText(wish.path ?? '/', undefined, wish.body, undefined) };
      default:
        return this.#read(wish);
    }
  }

  #choose(): Wish {
    const { wishes } = this.#job;
    let at = Math.random() * this.#weights;
    for (const wish of wishes) {
      at -= wish.weight ?? 1;
      if (at < 0) return wish;
    }
    return wishes[0] as Wish;
  }

  #redeem(wish: Wish): Request {
    const member = this.#member();
    const body = `{"offer_id":"${offerId(this.#offer(wish))}"}`;
    const path = '/api/v1/rewards/redemptions';
    return {
      wish,
      text: httpText(path, this.#tokenOf(member), body, this.#key()),
      learn: ({ status, text }) => {
        if (status !== 201 || !(this.#acknowledged || this.#usesOwn())) return;
        const { redemption_id, redemption_code: code, merchant_id } = JSON.parse(text());
        this.#acknowledged?.push(redemption_id);
        if (this.#made.length >= OWN_MAX || !this.#usesOwn()) return;
        const merchant = Number.parseInt(merchant_id.slice(-12), 16);
        this.#made.push({ redemption_id, code, member, merchant });
      },
    };
  }

  #usesOwn(): boolean {
    return this.#job.wishes.length > 1;
  }

  #confirm(wish: Wish): Request | undefined {
    const { from, to = 0, merchant } = wish;
    if (from === undefined) {
      const own = this.#made.shift();
      return own ? this.#confirmOne(wish, own.redemption_id, own.merchant) : this.#redeem(wish);
    }
    const n = this.#next ?? from;
    if (n > to) return undefined;
    this.#next = n + 1;
    const { offers, merchants } = this.#job;
    return this.#confirmOne(wish, redemptionId(n), merchant ?? 1 + ((n % offers) % merchants));
  }

  #confirmOne(wish: Wish, id: string, merchant: number): Request {
    const path = `/api/v1/merchant/redemptions/${id}/confirm`;
    const learn = ({ status }: Response) => {
      if (status === 200) this.#acknowledged?.push(id);
    };
    return { wish, text: httpText(path, this.#keyOf(merchant), '', this.#key()), learn };
  }

  #validate(wish: Wish): Request {
    // out of the way of those that confirm or cancel, as long as it is being looked at
    const own = this.#made.shift();
    if (!own) return this.#redeem(wish);
    const learn = () => void this.#made.push(own);
    const body = `{"code":"${own.code}"}`;
    const text = httpText('/api/v1/merchant/validate', this.#keyOf(own.merchant), body, undefined);
    return { wish, text, learn };
  }

  #cancel(wish: Wish): Request {
    const own = this.#made.shift();
    if (!own) return this.#redeem(wish);
    const path = `/api/v1/rewards/redemptions/${own.redemption_id}/cancel`;
    return { wish, text: httpText(path, this.#tokenOf(own.member), '', this.#key()) };
  }

  #read(wish: Wish): Request {
    const member = this.#member();
    const base = '/api/v1/rewards/';
    const { kind } = wish;
    const path =
      kind === 'offer'
        ? `${base}offers/${offerId(this.#offer(wish))}`
        : `${base}${kind}${wish.path ?? ''}`;
    const token = this.#tokenOf(member);
    if (!wish.ifChanged) return { wish, text: httpText(path, token, undefined, undefined) };
    const subject = `${kind} ${member}`;
    return {
      wish,
      text: httpText(path, token, undefined, undefined, this.#etags.get(subject)),
      learn: ({ etag }) => {
        if (etag) this.#etags.set(subject, etag);
      },
    };
  }

  #offer({ offer = 'spread' }: Wish): number {
    if (offer !== 'spread') return offer;
    const n = 1 + Math.floor(Math.random() * this.#job.offers);
    return isOpen(n) ? n : n - 1;
  }

  #ofTokens(): { count: number; each: boolean } {
    const { members, tokens = {} } = this.#job;
    return { count: Math.min(members, tokens.count ?? TOKENS_DEFAULT), each: tokens.each === true };
  }

  #member(): number {
    const { count, each } = this.#ofTokens();
    const index = each ? this.#sent - 1 : Math.floor(Math.random() * count);
    return memberAt(index, this.#job.members, count);
  }

  #tokenOf(member: number): string {
    const token = this.#tokens.get(member) ?? memberToken(member);
    this.#tokens.set(member, token);
    return token;
  }

  #keyOf(merchant: number): string {
    const key = this.#keys.get(merchant) ?? merchantKey(merchant);
    this.#keys.set(merchant, key);
    return key;
  }

  #key(): string {
    return `${this.#job.run}-${this.#sent}`;
  }
}

/** GET, or POST where there is a body, be it empty. All ASCII, so characters are bytes. */
function httpText(
  path: string,
  bearer: string | undefined,
  body: string | undefined,
  key: string | undefined,
  etag?: string,
): string {
  const method = body === undefined ? 'GET' : 'POST';
  let text = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: lumis-bench\r\n`;
  if (bearer) text += `authorization: Bearer ${bearer}\r\n`;
  if (key) text += `idempotency-key: ${key}\r\n`;
  if (etag) text += `if-none-match: ${etag}\r\n`;
  if (body) text += 'content-type: application/json\r\n';
  if (body !== undefined) text += `content-length: ${body.length}\r\n`;
  return `${text}\r\n${body ?? ''}`;
}
