import type { TSchema } from 'typebox';
import { Problem } from '../../contract/common.ts';
import type { Scope } from '../../contract/device.ts';
import type { Audience } from '../auth.ts';
import type { LimitName } from '../limits.ts';

/** The problems that every route can answer, as OpenAPI and the serializer know them. */
const PROBLEMS = {
  '4xx': {
    description: 'a problem',
    content: { 'application/problem+json': { schema: Problem } },
  },
  '5xx': {
    description: 'a problem on our side; the same request may be repeated',
    content: { 'application/problem+json': { schema: Problem } },
  },
};

const SECURITY: Record<Audience, Record<string, string[]>[]> = {
  member: [{ member: [] }],
  merchant: [{ merchantKey: [] }, { merchantBasic: [] }],
  admin: [{ admin: [] }],
  public: [],
};

/** How the routes of one audience begin: who may call, how often, and where it stands in the docs. */
export function routeOf(audience: Audience, limit: LimitName) {
  return <S extends Record<string, unknown>, A extends Record<number, TSchema | object>>(
    summary: string,
    schema: S,
    answers: A,
    own: LimitName = limit,
  ) => ({
    config: { audience, limit: own },
    schema: {
      ...schema,
      summary,
      tags: [audience],
      security: SECURITY[audience],
      // problems are sent by the error handler: a route's own type need not know them
      response: { ...answers, ...PROBLEMS } as A,
    },
  });
}

/** Opens a merchant's route to its devices that have this scope. */
export function toDevices<R extends { config: object; schema: object }>(scope: Scope, route: R): R {
  return {
    ...route,
    config: { ...route.config, device: scope },
    schema: { ...route.schema, security: [...SECURITY.merchant, { device: [] }] },
  };
}

/** A merchant's route whose deciding statement asks whether its caller still may. */
export function askingItself<R extends { config: object }>(route: R): R {
  return { ...route, config: { ...route.config, asksItself: true } };
}
