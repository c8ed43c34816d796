import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import { createClient } from 'redis';
import type { RateLimits } from '../config.ts';
import { Failure } from '../core/failure.ts';
import type { Log } from '../core/log.ts';

export type LimitName = keyof RateLimits;

/**
 * Seconds of each window, and how many times the configured number fits into it: 20 validations a
 * second with a burst of 40 are 40 in any two seconds.
 */
const WINDOWS: Record<LimitName, { seconds: number; times: number }> = {
  redeem: { seconds: 60, times: 1 },
  read: { seconds: 60, times: 1 },
  validate: { seconds: 2, times: 2 },
  confirm: { seconds: 2, times: 2 },
  misses: { seconds: 60, times: 1 },
  authFailures: { seconds: 60, times: 1 },
  landing: { seconds: 60, times: 1 },
  admin: { seconds: 60, times: 1 },
};

/** Counts requests by name and caller, over all nodes when there is a Redis. */
export interface Limits {
  /** Counts one; throws `rate_limited` when that is one too many. Tells the RateLimit headers. */
  take(name: LimitName, key: string, tell?: TellHeader): Promise<unknown>;
  /** Throws `rate_limited` when the window is already full; counts nothing. */
  check(name: LimitName, key: string): Promise<void>;
  close(): Promise<void>;
}

export type TellHeader = (name: string, value: string) => unknown;

const UNLIMITED = Promise.resolve();

/** Opens the limiters. Without Redis, or while it does not answer, each node counts by itself. */
export async function openLimits(
  limits: RateLimits,
  redisUrl: string | undefined,
  log: Log,
): Promise<Limits> {
  const redis = redisUrl ? createClient({ url: redisUrl, disableOfflineQueue: true }) : undefined;
  redis?.on('error', (error) =>
    log.warn({ err: error }, 'redis is away: rate limits are per node'),
  );
  // not awaited to succeed: the shop opens without Redis too
  redis?.connect().catch(() => undefined);
  const limited = new Map(
    (Object.keys(WINDOWS) as LimitName[]).map((name) => [name, limitedOf(name, limits, redis)]),
  );
  return {
    take(name, key, tell) {
      const one = limited.get(name);
      if (!one) return UNLIMITED;
      return one.limiter.consume(key).then(
        (result) => tell && tellHeaders(tell, one, result),
        (result) => {
          if (!(result instanceof RateLimiterRes)) throw result;
          if (tell) tellHeaders(tell, one, result);
          throw tooMany(result);
        },
      );
    },
    async check(name, key) {
      const limiter = limited.get(name)?.limiter;
      const result = await limiter?.get(key);
      if (limiter && result && result.consumedPoints >= limiter.points) throw tooMany(result);
    },
    async close() {
      if (redis?.isOpen) redis.destroy();
    },
  };
}

/** A limiter, and what the header fields of the IETF's draft say of it each time. */
interface Limited {
  limiter: RateLimiterAbstract;
  name: LimitName;
  policy: string;
}

function limitedOf(
  name: LimitName,
  limits: RateLimits,
  redis: object | undefined,
): Limited | undefined {
  if (limits[name] === 0) return undefined;
  const { seconds, times } = WINDOWS[name];
  const options = { points: limits[name] * times, duration: seconds };
  const policy = `"${name}";q=${options.points};w=${seconds}`;
  // in a memory of its own: to write a longer key anew for each request would cost more than to count
  const alone = new RateLimiterMemory({ ...options, keyPrefix: '' });
  if (!redis) return { limiter: alone, name, policy };
  const shared = new RateLimiterRedis({
    ...options,
    keyPrefix: `lumis:${name}`,
    storeClient: redis,
    useRedisPackage: true,
    // else a command waits until Redis can be reached again
    rejectIfRedisNotReady: true,
    insuranceLimiter: alone,
  });
  return { limiter: shared, name, policy };
}

function tellHeaders(tell: TellHeader, { name, policy }: Limited, result: RateLimiterRes): void {
  tell('ratelimit-policy', policy);
  const reset = Math.ceil(result.msBeforeNext / 1000);
  tell('ratelimit', `"${name}";r=${result.remainingPoints};t=${reset}`);
}

function tooMany(result: RateLimiterRes): Failure {
  const retryAfterSeconds = Math.max(1, Math.ceil(result.msBeforeNext / 1000));
  return new Failure('rate_limited', { retryAfterSeconds });
}
