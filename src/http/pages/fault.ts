import type { FastifyReply, FastifyRequest } from 'fastify';
import { refusalOf, sendProblem } from '../problem.ts';
import { SHAPES } from './landing.ts';
import { html, ownPath, page } from './layout.ts';
import { type Visit, visitOf, wantsPage } from './visit.ts';
import { WORDS, type Words } from './words.ts';

type Kind = keyof Words['fault']['kinds'];

export interface FaultPageOptions extends Visit {
  kind: Kind;
  /** when it makes sense to ask again */
  retryAfterSeconds: number;
  /** what support finds in the log; only where the fault is ours */
  requestId?: string | undefined;
}

/** A page instead of the one that was asked for: what happened, what to do, the way out. */
export function faultPage(options: FaultPageOptions): string {
  const { kind, retryAfterSeconds, requestId, ...visit } = options;
  const { landing, fault } = WORDS[visit.locale];
  const { title, order } = fault.kinds[kind];
  const isPassing = kind !== 'not_found' && kind !== 'unreadable';
  const own = ownPath(visit.path) + (visit.isChosen ? `?lang=${visit.locale}` : '');
  const front = visit.isChosen ? `/?lang=${visit.locale}` : '/';
  const [href, text] = isPassing ? [own, fault.retry] : [front, fault.front];
  return page({
    ...visit,
    kind: 'landing',
    title: `${title} · Lümis`,
    description: fault.about,
    main: html`<article class="ticket unknown">
<div class="verdict">
${SHAPES.unknown}
<h1>${title}</h1>
<p>${order.replace('{n}', String(retryAfterSeconds))}</p>
</div>
</article>
<a class="button" href="${href}">${text}</a>
${
  visit.path.startsWith('/r/')
    ? html`<section class="note">
<h2>${landing.staff.title}</h2>
<p><strong>${landing.staff.open.order}</strong> ${landing.staff.open.rest}</p>
</section>`
    : undefined
}`,
    footer: requestId
      ? html`<p>${fault.reference} <code>${requestId}</code></p>`
      : html`<p>Lümis</p>`,
  });
}

/** Long enough for a restart of the database, short enough for whoever stands at a counter. */
const RETRY_SECONDS = 5;

/** Answers an error to a browser as a page in its language, to everybody else as a problem. */
export function sendFault(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (!wantsPage(request)) {
    sendProblem(error, request, reply);
    return;
  }
  const visit = visitOf(request);
  const { failure, status } = refusalOf(error, request, reply, visit.locale);
  const kind = kindOf(status);
  const retryAfterSeconds = failure.retryAfterSeconds ?? RETRY_SECONDS;
  if (status >= 500) reply.header('retry-after', retryAfterSeconds);
  const requestId = status >= 500 ? request.id : undefined;
  void reply
    .code(status)
    .header('x-robots-tag', 'noindex')
    .type('text/html; charset=utf-8')
    .send(faultPage({ ...visit, kind, retryAfterSeconds, requestId }));
}

function kindOf(status: number): Kind {
  if (status === 404) return 'not_found';
  if (status === 429) return 'rate_limited';
  if (status === 503) return 'overloaded';
  return status >= 500 ? 'internal' : 'unreadable';
}
