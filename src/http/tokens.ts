import {
  type CryptoKey,
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
  SignJWT,
} from 'jose';
import { Failure } from '../core/failure.ts';
import type { MemberClaims } from '../members/members.ts';

export interface TokenOptions {
  secret: string | undefined;
  jwksUrl: string | undefined;
  issuer: string | undefined;
  audience: string | undefined;
}

/** What a bearer token proves: the member, and whether they are an administrator. */
export interface Identity {
  claims: MemberClaims;
  isAdmin: boolean;
  /** Unix time in seconds */
  expiresAt: number;
}

/** Characters of verified tokens that are remembered: about a hundred thousand of the usual size. */
const KNOWN_LENGTH_MAX = 32_000_000;
/** How long one signed by a key set: short beside the ten minutes for which the set is believed. */
const KNOWN_MS = 60_000;
const ASYMMETRIC = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
const TOKEN_LENGTH_MAX = 8192;
const USER_ID_MAX = 2_147_483_647;

/**
 * Remembers what verified tokens prove: a wallet sends the same one with every request, and looking
 * it up costs a hundredth of verifying it. Only the whole text counts, never beyond its end; and one
 * of a key set is verified again every minute, since a key may be taken out of it.
 */
function rememberTokens(
  verify: (token: string) => Promise<Identity & { until: number }>,
): (token: string) => Promise<Identity> {
  const known = new Map<string, Identity & { until: number }>();
  let length = 0;
  const forget = (token: string) => {
    if (known.delete(token)) length -= token.length;
  };
  return async (token) => {
    const held = known.get(token);
    if (held && Date.now() < held.until) return held;
    const identity = await verify(token);
    forget(token);
    for (const [oldest] of known) {
      if (length + token.length <= KNOWN_LENGTH_MAX) break;
      forget(oldest);
    }
    length += token.length;
    known.set(token, identity);
    return identity;
  };
}

/**
 * Verifies member tokens: HS256 with our secret, or the keys of a JWKS, never one with the other's.
 * `sub` is the user id as a number or decimal string; `exp` is required. Throws `unauthorized`.
 */
export function createTokenVerifier(options: TokenOptions): (token: string) => Promise<Identity> {
  // imported once: a key given as bytes is imported again for every token
  const secret = options.secret ? importSecret(options.secret) : undefined;
  const remote = options.jwksUrl ? createRemoteJWKSet(new URL(options.jwksUrl)) : undefined;
  const checks = {
    requiredClaims: ['sub', 'exp'],
    ...(options.issuer ? { issuer: options.issuer } : {}),
    ...(options.audience ? { audience: options.audience } : {}),
  };
  return rememberTokens(async (token) => {
    try {
      if (token.length > TOKEN_LENGTH_MAX) throw new Failure('unauthorized');
      const symmetric = decodeProtectedHeader(token).alg === 'HS256';
      const key = symmetric ? await secret : remote;
      if (!key) throw new Failure('unauthorized');
      const algorithms = symmetric ? ['HS256'] : ASYMMETRIC;
      const { payload } = await jwtVerify(token, key as JWTVerifyGetKey, { ...checks, algorithms });
      const identity = identityOf(payload);
      const end = identity.expiresAt * 1000;
      // spread last: of all that begin with a spread, V8 forgets what they have in common
      return { until: symmetric ? end : Math.min(end, Date.now() + KNOWN_MS), ...identity };
    } catch (error) {
      // a key server that does not answer is our trouble, not the member's
      const unreachable = isKeyServerFault(error);
      throw new Failure(unreachable ? 'overloaded' : 'unauthorized', { cause: error });
    }
  });
}

function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  return crypto.subtle.importKey('raw', bytes, algorithm, false, ['verify']);
}

function isKeyServerFault(error: unknown): boolean {
  return (
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    // what jose throws when the answer is no 200 or no JSON
    (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC') ||
    (error instanceof TypeError && error.message.includes('fetch'))
  );
}

function identityOf(payload: JWTPayload): Identity {
  const sub = String(payload.sub);
  const user_id = /^[1-9]\d{0,9}$/.test(sub) ? Number(sub) : 0;
  if (user_id < 1 || user_id > USER_ID_MAX) throw new Failure('unauthorized');
  const text = (name: string) => {
    const value = payload[name];
    if (typeof value !== 'string') return null;
    // well-formed after the cut, which may halve a pair: PostgreSQL takes no half of one in JSON
    return value.replaceAll('\0', '').slice(0, 255).toWellFormed();
  };
  const claims = {
    user_id,
    display_name: text('name'),
    email: text('email'),
    locale: text('locale'),
  };
  return { claims, isAdmin: payload.role === 'admin', expiresAt: payload.exp as number };
}

/** Signs tokens that the verifier of the same options takes: for the demo's members. */
export function createTokenSigner(
  options: Omit<TokenOptions, 'jwksUrl' | 'secret'> & { secret: string },
) {
  const secret = new TextEncoder().encode(options.secret);
  return async (userId: number, seconds: number) => {
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const token = new SignJWT()
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(String(userId))
      .setIssuedAt()
      .setExpirationTime(exp);
    if (options.issuer) token.setIssuer(options.issuer);
    if (options.audience) token.setAudience(options.audience);
    const expires_at = `${new Date(exp * 1000).toISOString().slice(0, 19)}.000000Z`;
    return { token: await token.sign(secret), expires_at };
  };
}
