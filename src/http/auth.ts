import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OwnDevice, Scope } from '../contract/device.ts';
import type { Caller, Circumstances, MerchantCredential } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import type { Database } from '../db/pool.ts';
import { authenticateDevice } from '../devices/authenticate.ts';
import { isOfDevice } from '../devices/token.ts';
import type { MemberClaims } from '../members/members.ts';
import {
  authenticateBasic,
  authenticateKey,
  type Proof,
  rememberKeys,
} from '../merchants/authenticate.ts';
import type { Prover } from '../merchants/proof.ts';
import type { Grouped } from './grouped.ts';
import type { LimitName, Limits } from './limits.ts';
import type { Identity } from './tokens.ts';

/** Whom a route is for. */
export type Audience = 'member' | 'merchant' | 'admin' | 'public';

declare module 'fastify' {
  interface FastifyContextConfig {
    audience?: Audience;
    limit?: LimitName;
    /** the scope that opens a merchant's route to its devices; without it they are forbidden */
    device?: Scope;
    /** its deciding statement asks whether the merchant still may, so its key need not be looked up */
    asksItself?: boolean;
  }
  interface FastifyRequest {
    /** set on every route that is not public */
    caller: Caller;
    /** set on member and admin routes */
    userId: number;
    /** set on member and admin routes: when the token ends, Unix time in seconds */
    expiresAt: number;
    /** set on merchant routes */
    merchant: MerchantCredential;
    /** set on merchant routes that a device called */
    device: OwnDevice | undefined;
  }
}

export interface AuthOptions {
  db: Database;
  grouped: Grouped;
  verify: (token: string) => Promise<Identity>;
  prover: Prover;
  limits: Limits;
}

const AGENT_LENGTH_MAX = 500;

/**
 * The hook before every route: who is it, may they, and not too often. Failures are counted by
 * address: too many are told to wait, and no hash is computed for them any more. What proves itself
 * without a hash goes on passing, since many shops and members share an address.
 */
export function createGate(options: AuthOptions) {
  const { limits } = options;
  const memory: Memory = { seen: new WeakSet(), keyOf: rememberKeys(options.grouped.keys.submit) };
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { audience, limit } = request.routeOptions.config;
    const ip = addressOf(request);
    if (audience && audience !== 'public') {
      try {
        await identify(options, request, audience, ip, memory);
      } catch (error) {
        const denied = error instanceof Failure && error.code === 'unauthorized';
        if (denied && request.headers.authorization) {
          await limits.take('authFailures', ip ?? 'unknown');
        }
        throw error;
      }
    }
    if (limit) {
      const counted = request.caller ? callerKey(request.caller) : (ip ?? 'unknown');
      await limits.take(limit, counted, (name, value) => reply.header(name, value));
    }
  };
}

/** What was looked up before. */
interface Memory {
  seen: WeakSet<MemberClaims>;
  keyOf: Proof['keyOf'];
}

async function identify(
  options: AuthOptions,
  request: FastifyRequest,
  audience: Audience,
  ip: string | null,
  { seen, keyOf }: Memory,
): Promise<void> {
  const [, scheme = '', credential = ''] =
    /^(\S+) +(\S+) *$/.exec(request.headers.authorization ?? '') ?? [];
  const circumstances = circumstancesOf(request);
  if (audience === 'merchant' && scheme.toLowerCase() === 'bearer' && isOfDevice(credential)) {
    return identifyDevice(options.db, request, circumstances, credential);
  }
  if (audience === 'merchant') {
    const beforeHashing = () => options.limits.check('authFailures', ip ?? 'unknown');
    const { grouped, prover } = options;
    const { asksItself } = request.routeOptions.config;
    const proof = { keyOf: asksItself ? keyOf : grouped.keys.submit, prover, beforeHashing };
    const merchant = await merchantOf(options.db, proof, scheme.toLowerCase(), credential);
    const details = merchant.key_id ? { key_id: merchant.key_id } : { key_id: 'basic' };
    request.merchant = merchant;
    const actor = { type: 'merchant' as const, id: merchant.merchant_id };
    request.caller = { actor, ...circumstances, details };
    return;
  }
  if (scheme.toLowerCase() !== 'bearer') throw new Failure('unauthorized');
  const { claims, isAdmin, expiresAt } = await options.verify(credential);
  if (audience === 'admin' && !isAdmin) throw new Failure('forbidden');
  const type = audience === 'admin' ? ('admin' as const) : ('user' as const);
  request.userId = claims.user_id;
  request.expiresAt = expiresAt;
  request.caller = { actor: { type, id: String(claims.user_id) }, ...circumstances };
  // the verifier gives the same claims again as long as it remembers the token
  if (type === 'user' && !seen.has(claims)) {
    await options.grouped.members.submit(claims);
    seen.add(claims);
  }
}

async function identifyDevice(
  db: Database,
  request: FastifyRequest,
  circumstances: Circumstances,
  token: string,
): Promise<void> {
  const { device, credential } = await authenticateDevice(db, token);
  const { merchant_id, device_id, branch_id } = device;
  request.device = device;
  request.merchant = credential;
  const actor = { type: 'merchant' as const, id: merchant_id };
  request.caller = { actor, ...circumstances, details: { device_id, branch_id } };
  const { device: scope } = request.routeOptions.config;
  if (!scope || !device.scopes.includes(scope)) throw new Failure('forbidden');
}

function merchantOf(
  db: Database,
  proof: Proof,
  scheme: string,
  credential: string,
): Promise<MerchantCredential> {
  if (scheme === 'bearer') return authenticateKey(proof, credential);
  if (scheme !== 'basic') throw new Failure('unauthorized');
  const [, merchantId = '', secret = ''] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(credential, 'base64').toString('utf8')) ?? [];
  return authenticateBasic(db, proof, merchantId, secret);
}

/** Whose requests are counted together: a member's, an administrator's, one key's or device's. */
export function callerKey({ actor, details }: Caller): string {
  return [actor.type, actor.id, details?.key_id, details?.device_id].filter(Boolean).join(':');
}

/** How a request came, for the audit log. */
export function circumstancesOf(request: FastifyRequest): Circumstances {
  const agent = request.headers['user-agent']?.slice(0, AGENT_LENGTH_MAX) ?? null;
  return { ip: addressOf(request), agent, request_id: request.id };
}

/** The client's address; null when a trusted proxy passed on something that is none. */
export function addressOf(request: FastifyRequest): string | null {
  const ip = request.ip?.replace(/%.*$/, '') ?? '';
  return isIP(ip) ? ip : null;
}
