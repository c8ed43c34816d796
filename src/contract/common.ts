import Type, { type Static, type TSchema } from 'typebox';
import { PROBLEMS, REFUSALS } from '../core/failure.ts';

/** Objects are closed: an unknown field is refused, and an undeclared one never leaves. */
export const closed = { additionalProperties: false } as const;

/** An object schema without undeclared properties. */
export function Closed<P extends Record<string, TSchema>>(properties: P, options: object = {}) {
  return Type.Object(properties, { ...closed, ...options });
}

export function Nullable<S extends TSchema>(schema: S) {
  return Type.Union([schema, Type.Null()]);
}

/** One of these words. */
export function OneOf<const Words extends readonly string[]>(words: Words, options: object = {}) {
  return Type.Unsafe<Words[number]>({ type: 'string', enum: [...words], ...options });
}

// A pattern and not a format: format "uuid" also lets `urn:uuid:` through.
export const UUID_PATTERN = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';
export const Uuid = Type.String({
  pattern: UUID_PATTERN,
  examples: ['0193e0a4-7c1e-7b9a-9d1f-5a3c2b1d0e9f'],
});
export const Time = Type.String({ format: 'date-time', examples: ['2026-03-01T15:00:00.000000Z'] });
/** A member's id; the largest that the ledger's column holds. */
export const UserId = Type.Integer({ minimum: 1, maximum: 2_147_483_647 });
export const Points = Type.Integer({ minimum: 1, maximum: 2_147_483_647 });

export const PageQuery = {
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
  cursor: Type.Optional(
    Type.String({ maxLength: 500, description: 'next_cursor of the page before' }),
  ),
};

/** A page of a list: go on with `next_cursor` until it is null. */
export function Page<S extends TSchema>(row: S) {
  return Closed({ data: Type.Array(row), next_cursor: Nullable(Type.String()) });
}

/** RFC 9457, with what this API adds. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "in the caller's language (Accept-Language: es or en)" }),
    code: OneOf([...REFUSALS, ...PROBLEMS]),
    request_id: Type.String(),
    errors: Type.Optional(
      Type.Array(Closed({ field: Type.String(), detail: Type.String() }), {
        description: 'what is wrong, field by field',
      }),
    ),
    missing_lumis: Type.Optional(Type.Integer({ description: 'with insufficient_points' })),
    redeemed_at: Type.Optional(
      Type.String({ format: 'date-time', description: 'with already_redeemed, for the owner' }),
    ),
    redeemed_branch: Type.Optional(
      Type.String({ description: 'with already_redeemed, for the owner, when a device did it' }),
    ),
    expired_at: Type.Optional(
      Type.String({ format: 'date-time', description: 'with expired, for the merchant' }),
    ),
  },
  closed,
);
export type Problem = Static<typeof Problem>;

/** Header of every POST that moves points, stock or a redemption's state. */
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      description:
        'Required: 1 to 255 printable ASCII characters. The same key repeats the answer.',
    }),
  ),
});
