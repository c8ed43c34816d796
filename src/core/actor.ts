/** Who acts. `user` is the audit log's word for a member. `id` is the member, merchant or staff id. */
export interface Actor {
  type: 'user' | 'merchant' | 'admin' | 'system';
  id: string;
}

/** What an authenticated merchant acts with; the deciding statement checks that it still holds. */
export interface MerchantCredential {
  merchant_id: string;
  /** a merchant key of ours, or a device's id; null for HTTP Basic */
  key_id: string | null;
  /** for HTTP Basic and devices: the hash that the secret was proven against */
  proven_hash: string | null;
}

/** How a request came, as the audit log keeps it. */
export interface Circumstances {
  ip: string | null;
  agent: string | null;
  request_id: string;
}

/** The actor and the circumstances of one request. */
export interface Caller extends Circumstances {
  actor: Actor;
  /** facts for the audit row's metadata, e.g. the key or the device that a merchant used */
  details?: Record<string, unknown>;
}

/** The `changed_by` value that every changing statement of ours writes on a redemption. */
export function changedBy(caller: Caller): Record<string, unknown> {
  return {
    type: caller.actor.type,
    id: caller.actor.id,
    ip: caller.ip,
    agent: caller.agent,
    request_id: caller.request_id,
    ...(caller.details ? { details: caller.details } : {}),
  };
}

/** A caller for work that nobody asked for: jobs and the command line. */
export function systemCaller(id: string): Caller {
  return {
    actor: { type: 'system', id },
    ip: null,
    agent: null,
    request_id: `${id}-${Date.now()}`,
  };
}
