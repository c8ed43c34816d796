import Type, { type Static } from 'typebox';
import { Closed, Nullable, OneOf, PageQuery, Time, Uuid } from './common.ts';

export const ACTIONS = [
  'created',
  'validated',
  'confirmed',
  'cancelled',
  'reversed',
  'expired',
  'refused',
  'deleted',
] as const;

const Facts = Type.Record(Type.String(), Type.Any());

export const AuditEntry = Closed({
  log_id: Type.Integer(),
  redemption_id: Nullable(Uuid),
  action: OneOf(ACTIONS),
  actor_type: Type.String({ description: 'user, merchant, admin or system' }),
  actor_id: Nullable(Type.String()),
  ip_address: Nullable(Type.String()),
  user_agent: Nullable(Type.String()),
  request_id: Nullable(Type.String()),
  metadata: Nullable(Facts),
  created_at: Time,
});
export type AuditEntry = Static<typeof AuditEntry>;

export const AuditQuery = Closed({
  redemption_id: Type.Optional(Uuid),
  action: Type.Optional(OneOf(ACTIONS)),
  actor_type: Type.Optional(OneOf(['user', 'merchant', 'admin', 'system'])),
  actor_id: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  from: Type.Optional(Time),
  to: Type.Optional(Time),
  ...PageQuery,
});
export type AuditQuery = Static<typeof AuditQuery>;

/** Something staff changed beside redemptions: an offer, a merchant, a key, points. */
export const StaffChange = Closed({
  change_id: Type.Integer(),
  action: Type.String({ examples: ['offer.updated'] }),
  entity_id: Type.String(),
  changed_by: Facts,
  before: Nullable(Facts),
  after: Nullable(Facts),
  created_at: Time,
});
export type StaffChange = Static<typeof StaffChange>;
export const StaffChangesQuery = Closed({
  entity_id: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  ...PageQuery,
});
