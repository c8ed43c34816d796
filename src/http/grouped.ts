import { auditRefusals, type Refused } from '../audit/refuse.ts';
import type { Cancelled, Confirmed, Redeemed, Validated } from '../contract/redemption.ts';
import type { Answer } from '../core/answer.ts';
import { type Group, openGroup } from '../group-commit/group.ts';
import { identifyClaim } from '../idempotency/claim.ts';
import { type MemberClaims, rememberMembers } from '../members/members.ts';
import { findKeys, type StoredKey } from '../merchants/authenticate.ts';
import type { Look, Looking, Seen } from '../offers/looking.ts';
import { type Cancel, cancel } from '../redemptions/cancel.ts';
import { type Confirm, confirm, subjectsOfConfirm } from '../redemptions/confirm.ts';
import { type Redeem, redeem, subjectsOfRedeem } from '../redemptions/redeem.ts';
import { type Validate, validate } from '../redemptions/validate.ts';
import type { ServerOptions } from './app.ts';

/** The operations that requests share while many come at once; the others each run by themselves. */
export interface Grouped {
  redeem: Group<Redeem, Answer<Redeemed>>;
  validate: Group<Validate, Answer<Validated>>;
  confirm: Group<Confirm, Answer<Confirmed>>;
  cancel: Group<Cancel, Answer<Cancelled>>;
  refused: Group<Refused, undefined>;
  members: Group<MemberClaims, undefined>;
  keys: Group<string, StoredKey | undefined>;
  offers: Group<Look, Seen>;
}

/** Connections that leave something to the rest when redeem and confirm have a second one each. */
const POOL_OF_LANES_MIN = 20;

/** Opens one group for each; requests of a process go through the same ones. */
export function openGrouped({ db, config, metrics }: ServerOptions, looking: Looking): Grouped {
  const issuing = { ttl_minutes: config.redemptionTtlMinutes, public_url: config.publicUrl };
  const counted = (verb: string) => ({
    onDeparture: (rows: number) => metrics.groups.observe({ verb }, rows),
  });
  // a small pool must not be used up by two verbs
  const inLanes = <Row>(subjects: (row: Row) => string[]) =>
    config.databasePoolMax < POOL_OF_LANES_MIN ? {} : { subjects };
  const ofMember = (claims: MemberClaims) => ({
    key: String(claims.user_id),
    request: () => JSON.stringify(claims),
  });
  const ofKey = (id: string) => ({ key: id, request: () => id });
  return {
    redeem: openGroup(db, (db, rows) => redeem(db, issuing, rows), {
      identify: identifyClaim<Redeem>,
      ...inLanes(subjectsOfRedeem),
      ...counted('redeem'),
    }),
    validate: openGroup(db, validate, counted('validate')),
    confirm: openGroup(db, confirm, {
      identify: identifyClaim<Confirm>,
      ...inLanes(subjectsOfConfirm),
      ...counted('confirm'),
    }),
    cancel: openGroup(db, cancel, { identify: identifyClaim<Cancel>, ...counted('cancel') }),
    refused: openGroup(db, auditRefusals),
    members: openGroup(db, rememberMembers, { identify: ofMember }),
    keys: openGroup(db, findKeys, { identify: ofKey }),
    offers: openGroup(db, looking.read),
  };
}
