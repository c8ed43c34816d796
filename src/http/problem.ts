import ajvI18n from 'ajv-i18n';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type Problem, UUID_PATTERN } from '../contract/common.ts';
import { Failure, type FailureCode, type FieldFault, REFUSALS } from '../core/failure.ts';
import type { Audience } from './auth.ts';
import { type Locale, localeOf } from './locale.ts';
import { WORDS } from './problem-words.ts';

/** The only table of codes and statuses. Refusals are 409, but for what is absent or another's. */
const STATUS: Record<FailureCode, number> = {
  ...(Object.fromEntries(REFUSALS.map((code) => [code, 409])) as Record<FailureCode, number>),
  unknown_code: 404,
  unknown_offer: 404,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  idempotency_key_missing: 400,
  idempotency_key_reused: 422,
  idempotency_in_progress: 409,
  rate_limited: 429,
  overloaded: 503,
  internal: 500,
};

/** Puts the validator's messages into the caller's language, in place. */
const localize = ajvI18n as unknown as Record<Locale, (validation: object) => void>;

const FIELD_FAULTS_MAX = 20;

/** Faults that the HTTP layer finds by itself: their own status, where, and what to say of it. */
const TRANSPORT: Record<string, { status: number; field: string; detail: string }> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { status: 413, field: 'body', detail: 'too_large' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { status: 415, field: 'body', detail: 'media_type' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { status: 400, field: 'body', detail: 'json' },
  FST_ERR_CTP_INVALID_JSON_BODY: { status: 400, field: 'body', detail: 'json' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { status: 400, field: 'body', detail: 'json' },
  FST_ERR_MAX_PARAM_LENGTH: { status: 414, field: 'path', detail: 'path' },
  FST_ERR_BAD_URL: { status: 400, field: 'path', detail: 'path' },
};

/** Answers an error as RFC 9457 says, in the caller's language. What is not a Failure is internal. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const locale = localeOf(request.headers['accept-language']);
  const { failure, status } = refusalOf(error, request, reply, locale);
  void reply
    .code(status)
    .type('application/problem+json')
    .send(problemOf(failure, status, request.id, locale, request.routeOptions?.config?.audience));
}

/** What an error is to its caller. Logs what is ours to mend, and sets the headers that tell of it. */
export function refusalOf(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  locale: Locale,
): { failure: Failure; status: number } {
  const { failure, status } = asFailure(error as FastifyError, locale);
  if (status >= 500) request.log.error({ err: failure.cause ?? failure }, failure.code);
  if (failure.retryAfterSeconds) reply.header('retry-after', failure.retryAfterSeconds);
  if (failure.code === 'unauthorized') reply.header('www-authenticate', 'Bearer, Basic');
  reply.headers({ 'content-language': locale, 'cache-control': 'no-store' });
  return { failure, status };
}

const DEAD_CODES = new Set<FailureCode>(['already_redeemed', 'expired', 'cancelled', 'reversed']);

/** The body of a problem; a merchant is also told not to hand over. */
export function problemOf(
  failure: Failure,
  status: number,
  requestId: string,
  locale: Locale,
  audience?: Audience,
): Problem {
  const words = WORDS[locale];
  const stops = audience === 'merchant' && DEAD_CODES.has(failure.code);
  const errors = failure.fields.slice(0, FIELD_FAULTS_MAX).map(({ field, detail }) => ({
    field,
    detail: words.fields[detail] ?? detail,
  }));
  return {
    type: `urn:lumis:problem:${failure.code}`,
    title: words.titles[failure.code],
    status,
    detail: words.details[failure.code] + (stops ? ` ${words.doNotHandOver}` : ''),
    code: failure.code,
    request_id: requestId,
    ...(errors.length > 0 ? { errors } : {}),
    ...failure.data,
  };
}

function asFailure(error: FastifyError, locale: Locale): { failure: Failure; status: number } {
  const cause = { cause: error };
  const of = (failure: Failure, status = STATUS[failure.code]) => ({ failure, status });
  if (error instanceof Failure) return of(error);
  if (error.validation) {
    localize[locale](error.validation);
    const fields = faultsOf(error.validation, error.validationContext ?? 'body', locale);
    return of(new Failure('invalid_request', { ...cause, fields }));
  }
  const transport = TRANSPORT[error.code];
  if (transport) {
    const { status, ...field } = transport;
    return of(new Failure('invalid_request', { ...cause, fields: [field] }), status);
  }
  if (error.statusCode === 403) return of(new Failure('forbidden', cause));
  if (error.statusCode && error.statusCode >= 400 && error.statusCode < 500) {
    const fields = [{ field: 'request', detail: 'request' }];
    return of(new Failure('invalid_request', { ...cause, fields }), error.statusCode);
  }
  return of(new Failure('internal', cause));
}

/** What the validator's own messages say badly: keywords with a sentence of ours. */
function detailOf(keyword: string, params: Record<string, unknown>, locale: Locale): string | null {
  if (keyword === 'enum') {
    return `${WORDS[locale].fields.enum} ${(params.allowedValues as unknown[]).join(', ')}`;
  }
  if (keyword === 'pattern' && params.pattern === UUID_PATTERN) return 'uuid';
  if (keyword === 'pattern' && params.pattern === '\\S') return 'blank';
  if (keyword === 'additionalProperties') return 'unknown_field';
  return keyword === 'not' ? 'not_zero' : null;
}

/** Each fault with the path of its field: `body.offer_id`. One for a value that may also be null. */
function faultsOf(
  validation: NonNullable<FastifyError['validation']>,
  context: string,
  locale: Locale,
): FieldFault[] {
  const place = context === 'querystring' ? 'query' : context;
  const isNoise = ({ keyword, params }: { keyword: string; params: object }) =>
    keyword === 'anyOf' || (keyword === 'type' && (params as { type?: string }).type === 'null');
  const telling = validation.filter((fault) => !isNoise(fault));
  return (telling.length > 0 ? telling : validation).map((fault) => {
    const { instancePath, params, message = '', keyword } = fault;
    const { missingProperty, additionalProperty } = params as Record<string, string | undefined>;
    const path = [...instancePath.split('/').slice(1), missingProperty ?? additionalProperty];
    const detail = detailOf(keyword, params, locale) ?? message;
    return { field: [place, ...path.filter(Boolean)].join('.'), detail };
  });
}
