/** A member's wish for an offer, as the server hands it to the verb. */
import { changedBy } from '../../src/core/actor.ts';
import { claim } from '../../src/idempotency/claim.ts';
import type { Redeem } from '../../src/redemptions/redeem.ts';

let serial = 0;

/** Of another request each time; under `key`, or under one of its own. */
export function wish(user_id: number, offer_id: string, key = `key ${++serial}`): Redeem {
  const actor = { type: 'user' as const, id: String(user_id) };
  const request_id = `request ${++serial}`;
  const by = changedBy({ actor, ip: '203.0.113.7', agent: 'test', request_id });
  return { ...claim(actor, key, 'redeem', { offer_id }), user_id, offer_id, changed_by: by };
}
