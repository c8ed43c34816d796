import type { FastifyReply, FastifyRequest } from 'fastify';

const NOWHERE_ELSE = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const PAGE_CSP = `default-src 'none'; style-src 'self'; img-src 'self'; ${NOWHERE_ELSE}`;
/** The policy of /docs, whose pages run scripts and set styles of their own. */
export const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; " +
  `img-src 'self' data:; connect-src 'self'; ${NOWHERE_ELSE}`;

/** What browsers are told of a content, be it a page, a text or an error. */
const OF_CONTENT = {
  'content-security-policy': PAGE_CSP,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'x-frame-options': 'DENY',
};

/** Sets the headers that every answer with a content has, errors too; with HTTPS also that it stays so. */
export function securityHeaders(isHttps: boolean) {
  return (request: FastifyRequest, reply: FastifyReply): void => {
    reply.headers({
      'x-request-id': request.id,
      ...OF_CONTENT,
      ...(isHttps ? { 'strict-transport-security': 'max-age=31536000' } : {}),
    });
    // what belongs to somebody is nobody else's to keep
    if (request.headers.authorization) reply.header('cache-control', 'private, no-store');
  };
}

/** Whether a 304 has this header: it tells nothing of a content that is not sent (RFC 9110 §15.4.5). */
export function isOfUnchanged(name: string): boolean {
  return !Object.hasOwn(OF_CONTENT, name);
}

/** Answers that what the client has is right still. */
export function sendUnchanged(reply: FastifyReply): FastifyReply {
  for (const name of Object.keys(OF_CONTENT)) reply.removeHeader(name);
  return reply.code(304).send();
}
