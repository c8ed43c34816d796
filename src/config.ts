import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { resolve } from 'node:path';

/** What a window may hold at most: no server answers as many requests in a minute. */
export const RATE_LIMIT_MAX = 100_000_000;

/** Everything the environment says, checked once. This file is its only reader. */
export interface Config {
  /** the database, or undefined for the embedded one */
  databaseUrl: string | undefined;
  /** for migrations, worker and LISTEN when `databaseUrl` is a transaction pooler */
  databaseDirectUrl: string | undefined;
  databasePoolMax: number;
  databasePoolTimeoutMs: number;
  redisUrl: string | undefined;
  host: string;
  port: number;
  /** where members and merchants reach us; QRs lead there; no trailing slash */
  publicUrl: string;
  trustedProxies: string[];
  corsOrigins: string[];
  businessTimeZone: string;
  redemptionTtlMinutes: number;
  /** undefined only with the embedded database, which brings its own */
  jwtSecret: string | undefined;
  jwtIssuer: string | undefined;
  jwtAudience: string | undefined;
  jwksUrl: string | undefined;
  rateLimits: RateLimits;
  logLevel: string;
  /** where the embedded database and its secrets live */
  dataDirectory: string;
}

/** Requests per window; 0 switches a limit off. The windows are in http/limits.ts. */
export interface RateLimits {
  redeem: number;
  read: number;
  validate: number;
  confirm: number;
  misses: number;
  authFailures: number;
  landing: number;
  admin: number;
}

/** Wrong configuration: all faults at once. The command line ends with exit code 78. */
export class ConfigFault extends Error {
  readonly faults: string[];
  constructor(faults: string[]) {
    super(`configuration: ${faults.length} fault(s)\n${faults.map((f) => `  - ${f}`).join('\n')}`);
    this.name = 'ConfigFault';
    this.faults = faults;
  }
}

/** SHA-256 of secrets that were published and must never sign a token again. */
const BURNT_SECRETS = ['e47555a37f50d650dc24d4e6b57c3dc62322f2249afe851e7d2849f3910b8493'];
const SECRET_BYTES_MIN = 32;

type Environment = Record<string, string | undefined>;

/** Reads the configuration. Throws ConfigFault with everything that is missing or wrong. */
export function readConfig(
  environment: Environment = process.env,
  purpose: 'serve' | 'command' = 'serve',
): Config {
  const faults: string[] = [];
  const read = reader(environment, faults);
  const databaseUrl = read.url('DATABASE_URL', ['postgres:', 'postgresql:']);
  const port = read.integer('PORT', 8000, 0, 65_535);
  const host = read.text('HOST') ?? '127.0.0.1';
  const jwtSecret = read.text('JWT_SECRET');
  const jwksUrl = read.url('JWKS_URL', ['https:', 'http:']);
  // commands beside the server sign and verify nothing
  const signs = purpose === 'serve' && databaseUrl !== undefined && jwksUrl === undefined;
  faults.push(...secretFaults(jwtSecret, signs));
  const config: Config = {
    databaseUrl,
    databaseDirectUrl: read.url('DATABASE_DIRECT_URL', ['postgres:', 'postgresql:']),
    databasePoolMax: read.integer('DATABASE_POOL_MAX', 50, 2, 1000),
    databasePoolTimeoutMs: read.integer('DATABASE_POOL_TIMEOUT_MS', 30_000, 100, 600_000),
    redisUrl: read.url('REDIS_URL', ['redis:', 'rediss:']),
    host,
    port,
    publicUrl: (read.url('PUBLIC_URL', ['https:', 'http:']) ?? `http://localhost:${port}`).replace(
      /\/+$/,
      '',
    ),
    trustedProxies: read.list('TRUSTED_PROXIES', isNetwork, 'addresses or networks: 10.0.0.0/8'),
    corsOrigins: read.list(
      'CORS_ORIGINS',
      (item) => ORIGIN.test(item),
      'origins: https://app.example.com',
    ),
    businessTimeZone: read.timeZone('BUSINESS_TIME_ZONE', 'America/Panama'),
    redemptionTtlMinutes: read.integer('REDEMPTION_TTL_MINUTES', 1440, 1, 5_256_000),
    jwtSecret,
    jwtIssuer: read.text('JWT_ISSUER'),
    jwtAudience: read.text('JWT_AUDIENCE'),
    jwksUrl,
    rateLimits: {
      redeem: read.integer('RATE_LIMIT_REDEEM', 5, 0, RATE_LIMIT_MAX),
      read: read.integer('RATE_LIMIT_READ', 60, 0, RATE_LIMIT_MAX),
      validate: read.integer('RATE_LIMIT_VALIDATE', 20, 0, RATE_LIMIT_MAX),
      confirm: read.integer('RATE_LIMIT_CONFIRM', 10, 0, RATE_LIMIT_MAX),
      misses: read.integer('RATE_LIMIT_MISSES', 10, 0, RATE_LIMIT_MAX),
      authFailures: read.integer('RATE_LIMIT_AUTH_FAILURES', 10, 0, RATE_LIMIT_MAX),
      landing: read.integer('RATE_LIMIT_LANDING', 30, 0, RATE_LIMIT_MAX),
      admin: read.integer('RATE_LIMIT_ADMIN', 300, 0, RATE_LIMIT_MAX),
    },
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    dataDirectory: resolve(read.text('LUMIS_DATA') ?? '.lumis'),
  };
  if (faults.length > 0) throw new ConfigFault(faults);
  return config;
}

const ORIGIN = /^https?:\/\/[^\s/?#]+$/;
/** An address, a network such as 10.0.0.0/8, or one of the names that stand for several. */
function isNetwork(item: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(item)) return true;
  const [address = '', prefix = '0', ...rest] = item.split('/');
  const bits = isIP(address) === 4 ? 32 : 128;
  return isIP(address) > 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits && !rest.length;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

function secretFaults(secret: string | undefined, required: boolean): string[] {
  if (secret === undefined) {
    return required
      ? [
          'JWT_SECRET is required with DATABASE_URL (or JWKS_URL); make one: openssl rand -base64 48',
        ]
      : [];
  }
  const digest = createHash('sha256').update(secret).digest('hex');
  if (BURNT_SECRETS.includes(digest)) {
    return ['JWT_SECRET is a published value that anybody can sign with; make a new one'];
  }
  return Buffer.byteLength(secret) < SECRET_BYTES_MIN
    ? [`JWT_SECRET has ${Buffer.byteLength(secret)} bytes; it needs ${SECRET_BYTES_MIN} or more`]
    : [];
}

function reader(environment: Environment, faults: string[]) {
  const text = (name: string) => environment[name]?.trim() || undefined;
  return {
    text,
    list(name: string, isOfShape: (item: string) => boolean, example: string): string[] {
      const items = (text(name) ?? '').split(/[\s,]+/).filter(Boolean);
      const wrong = items.filter((item) => !isOfShape(item));
      if (wrong.length > 0) faults.push(`${name} must list ${example}; not "${wrong.join(' ')}"`);
      return items;
    },
    integer(name: string, fallback: number, min: number, max: number): number {
      const given = text(name);
      if (given === undefined) return fallback;
      const value = Number(given);
      if (/^\d+$/.test(given) && value >= min && value <= max) return value;
      faults.push(`${name} must be a whole number from ${min} to ${max}, not "${given}"`);
      return fallback;
    },
    url(name: string, protocols: string[]): string | undefined {
      const given = text(name);
      if (given === undefined) return undefined;
      // never echoed: a database URL holds a password
      if (!URL.canParse(given) || !protocols.includes(new URL(given).protocol)) {
        faults.push(`${name} must be a URL that begins with ${protocols.join(' or ')}//`);
      }
      return given;
    },
    oneOf(name: string, values: string[], fallback: string): string {
      const given = text(name) ?? fallback;
      if (!values.includes(given)) faults.push(`${name} must be one of ${values.join(', ')}`);
      return given;
    },
    timeZone(name: string, fallback: string): string {
      const given = text(name) ?? fallback;
      try {
        new Intl.DateTimeFormat('en', { timeZone: given });
      } catch {
        faults.push(`${name} must be an IANA time zone such as ${fallback}, not "${given}"`);
      }
      return given;
    },
  };
}
