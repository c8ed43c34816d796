import type { FastifyReply, FastifyRequest } from 'fastify';

const NOWHERE_ELSE = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const PAGE_CSP = `default-src 'none'; style-src 'self'; img-src 'self'; ${NOWHERE_ELSE}`;
/** The policy of /docs, whose pages run scripts and set styles of their own. */
export const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; " +
  `img-src 'self' data:; connect-src 'self'; ${NOWHERE_ELSE}`;

/** Sets the headers that every answer has, errors too; with HTTPS also that it stays so. */
export function securityHeaders(isHttps: boolean) {
  return (request: FastifyRequest, reply: FastifyReply): void => {
    reply.headers({
      'x-request-id': request.id,
      'content-security-policy': PAGE_CSP,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'x-frame-options': 'DENY',
      ...(isHttps ? { 'strict-transport-security': 'max-age=31536000' } : {}),
    });
    // what belongs to somebody is nobody else's to keep
    if (request.headers.authorization) reply.header('cache-control', 'private, no-store');
  };
}
