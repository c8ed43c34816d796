import type { FastifyReply, FastifyRequest } from 'fastify';
import { Closed, Page, Uuid } from '../../contract/common.ts';
import { CatalogueOffer, CatalogueQuery } from '../../contract/offer.ts';
import { findOffer } from '../../offers/catalogue.ts';
import { lookAt } from '../../offers/looking.ts';
import type { App, RouteDeps } from '../app.ts';
import { sendUnchanged } from '../headers.ts';
import { isHeld, JSON_TYPE, type Tagged, tagged } from '../tagged.ts';
import { routeOf } from './common.ts';

const route = routeOf('member', 'read');
const NOT_MODIFIED = { 304: { type: 'null', description: 'as If-None-Match has it' } };

/** The catalogue as members see it, with an ETag: what a phone has already is not sent again. */
export function catalogueRoutes(app: App, { db, again }: RouteDeps): void {
  app.get(
    '/rewards/offers',
    route(
      'Offers',
      { querystring: CatalogueQuery },
      { 200: Page(CatalogueOffer), ...NOT_MODIFIED },
    ),
    async (request, reply) => {
      const look = lookAt(request.userId, request.query);
      const answer = await again.show(look);
      tell(reply, answer);
      again.remember(request, reply, look);
      return send(request, reply, answer);
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
      const answer = tagged(JSON.stringify(offer));
      tell(reply, answer);
      return send(request, reply, answer);
    },
  );
}

function tell(reply: FastifyReply, { tag }: Tagged): void {
  // kept, but asked about each time, and never for another member; CORS may vary it too
  const vary = [reply.getHeader('vary'), 'authorization'].flat().filter(Boolean).join(', ');
  reply.headers({ etag: tag, 'cache-control': 'private, no-cache', vary });
}

function send(request: FastifyRequest, reply: FastifyReply, { tag, bytes }: Tagged): FastifyReply {
  if (isHeld(tag, request.headers['if-none-match'])) return sendUnchanged(reply);
  return reply.type(JSON_TYPE).send(bytes);
}
