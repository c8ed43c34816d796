/** What validate says may be handed over. */
export interface HandOver {
  redemption_id: string;
  offer_name: string | null;
  lumis_spent: number;
  code_expires_at: string;
}

/** What confirm answers. */
export interface Done {
  redemption_id: string;
  offer_name: string | null;
  lumis_spent: number;
  validated_at: string;
}

/** A confirmation that was asked for and not yet answered; its key makes asking again harmless. */
export interface PendingConfirm extends HandOver {
  key: string;
  shown: string;
  /** server time, ms */
  began_at: number;
}

export type Verdict =
  /** may be handed over once it is confirmed; `notice` says why the last try did nothing */
  | { kind: 'valid'; redemption: HandOver; notice?: 'offline'; wait_until?: number }
  | { kind: 'confirming'; redemption: HandOver; is_slow: boolean }
  | { kind: 'confirmed'; redemption: Done }
  /** nobody knows whether the confirmation went through */
  | { kind: 'unsure'; pending: PendingConfirm; is_checking: boolean }
  | { kind: 'used'; redeemed_at?: string; redeemed_branch?: string }
  | { kind: 'used_here'; seconds: number }
  | { kind: 'expired'; expired_at?: string }
  | { kind: 'cancelled' | 'reversed' | 'wrong_branch' | 'unknown' | 'not_ours' | 'for_pairing' }
  | { kind: 'offline' | 'no_answer' | 'server' }
  /** server time in ms until which the server will not listen */
  | { kind: 'too_many'; wait_until: number };

/** What a verdict asks of the cashier: one colour, one shape, one sound, one vibration each. */
export type Family = 'ask' | 'deliver' | 'stop' | 'unsure';

/** The family of a verdict. Valid is not yet "deliver": that is only what was confirmed. */
export function familyOf({ kind }: Verdict): Family {
  if (kind === 'valid' || kind === 'confirming') return 'ask';
  if (kind === 'confirmed') return 'deliver';
  return UNSURE.has(kind) ? 'unsure' : 'stop';
}

const UNSURE = new Set<Verdict['kind']>(['unsure', 'offline', 'no_answer', 'server', 'too_many']);

/** What the client's errors look like; `isAnswered` false: the server may or may not have done it. */
export interface Failing {
  status?: number | undefined;
  code: string;
  problem?: object | undefined;
  retryAfterSeconds?: number | undefined;
  isAnswered?: boolean | undefined;
}

/** After so long without an answer the person at the counter is told that it takes long. */
export const SLOW_MS = 2000;

/** Whether the server no longer knows this phone, or lets it do nothing. */
export const hasLostAccess = ({ code }: Failing) => code === 'unauthorized' || code === 'forbidden';

/** How far back "you confirmed this" is said in seconds instead of a time of day. */
const HERE_S = 600;

/**
 * The verdict that an error of validate or confirm means. `now` is the server's time in ms;
 * `confirmedHere` holds the `validated_at` of what this phone confirmed lately.
 */
export function verdictOf(error: Failing, now: number, confirmedHere: string[]): Verdict {
  const facts = (error.problem ?? {}) as Record<string, unknown>;
  const text = (name: string) => (typeof facts[name] === 'string' ? { [name]: facts[name] } : {});
  if (error.code === 'rate_limited') {
    return { kind: 'too_many', wait_until: now + (error.retryAfterSeconds ?? 5) * 1000 };
  }
  if (error.code === 'offline') return { kind: 'offline' };
  if (error.isAnswered === false) return { kind: 'no_answer' };
  switch (error.code) {
    case 'already_redeemed': {
      const at = facts.redeemed_at;
      const seconds = Math.max(1, Math.round((now - Date.parse(String(at))) / 1000));
      return typeof at === 'string' && confirmedHere.includes(at) && seconds < HERE_S
        ? { kind: 'used_here', seconds }
        : { kind: 'used', ...text('redeemed_at'), ...text('redeemed_branch') };
    }
    case 'expired':
      return { kind: 'expired', ...text('expired_at') };
    case 'cancelled':
    case 'reversed':
    case 'wrong_branch':
      return { kind: error.code };
    case 'not_pending':
      return { kind: 'used' };
    default:
      return { kind: isRefusal(error) ? 'unknown' : 'server' };
  }
}

/** Another page's 404 is the server's fault; ours is a code that it does not know. */
const isRefusal = ({ code, status }: Failing) =>
  code === 'unknown_code' || code === 'not_found' || status === 400;
