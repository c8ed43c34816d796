import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Closed, Page, Uuid } from '../../contract/common.ts';
import { type Availability, CatalogueOffer, CatalogueQuery } from '../../contract/offer.ts';
import type { Page as PageOf } from '../../core/cursor.ts';
import { availabilityOf, findOffer, type ListedOffer, lookAt } from '../../offers/catalogue.ts';
import type { App, RouteDeps } from '../app.ts';
import { routeOf } from './common.ts';

const route = routeOf('member', 'read');
const NOT_MODIFIED = { 304: { type: 'null', description: 'as If-None-Match has it' } };

/** The catalogue as members see it, with an ETag: what a phone has already is not sent again. */
export function catalogueRoutes(app: App, { db, grouped }: RouteDeps): void {
  const shared = new WeakMap<PageOf<ListedOffer>, SharedPage>();

  app.get(
    '/rewards/offers',
    route(
      'Offers',
      { querystring: CatalogueQuery },
      { 200: Page(CatalogueOffer), ...NOT_MODIFIED },
    ),
    async (request, reply) => {
      const { page, standing } = await grouped.offers.submit(lookAt(request.userId, request.query));
      const whole = shared.get(page) ?? sharedPage(page);
      shared.set(page, whole);
      const own = page.data.map((offer) => textOf(availabilityOf(offer, standing)));
      return sendTagged(request, reply, [whole.digest, ...own], () => bodyOf(whole, own));
    },
  );

  app.get(
    '/rewards/offers/:offer_id',
    route(
      'One offer',
      { params: Closed({ offer_id: Uuid }) },
      { 200: CatalogueOffer, ...NOT_MODIFIED },
    ),
    async (request, reply) => {
      const offer = await findOffer(db, request.userId, request.params.offer_id);
      const body = JSON.stringify(offer);
      return sendTagged(request, reply, [body], () => body);
    },
  );
}

/** A page as text, but for what differs from member to member: written once for all who share it. */
interface SharedPage {
  /** each offer up to its availability */
  offers: string[];
  end: string;
  digest: string;
}

// By hand and not by the serializer, which would write the same twenty offers for every member. The
// columns are named in the statement, and a test holds the answer against the schema.
function sharedPage({ data, next_cursor }: PageOf<ListedOffer>): SharedPage {
  const offers = data.map(
    ({ refusal: _, ...offer }) => `${JSON.stringify(offer).slice(0, -1)},"availability":`,
  );
  const end = `],"next_cursor":${JSON.stringify(next_cursor)}}`;
  return { offers, end, digest: digestOf([...offers, end]) };
}

const FREE = '{"can_redeem":true,"reasons":[],"missing_lumis":0}';

function textOf(availability: Availability): string {
  return availability.can_redeem ? FREE : JSON.stringify(availability);
}

function bodyOf({ offers, end }: SharedPage, own: string[]): string {
  return `{"data":[${offers.map((offer, i) => `${offer}${own[i]}}`).join(',')}${end}`;
}

/** Sends JSON with a tag made of `parts`, or 304 when the client has just that. */
function sendTagged(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: string[],
  body: () => string,
): FastifyReply {
  const tag = `"${digestOf(parts)}"`;
  // kept, but asked about each time, and never for another member; CORS may vary it too
  const vary = [reply.getHeader('vary'), 'authorization'].flat().filter(Boolean).join(', ');
  reply.headers({ etag: tag, 'cache-control': 'private, no-cache', vary });
  const known = request.headers['if-none-match'];
  if (known === '*' || known?.split(/\s*,\s*/).some((one) => one.replace(/^W\//, '') === tag)) {
    return reply.code(304).send();
  }
  return reply.type('application/json; charset=utf-8').send(body());
}

function digestOf(parts: string[]): string {
  return createHash('sha1').update(parts.join('\n')).digest('base64url');
}
