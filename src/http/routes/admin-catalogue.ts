import Type from 'typebox';
import { Closed, Page, Uuid } from '../../contract/common.ts';
import {
  KeyEntry,
  KeyInput,
  KeyWithSecret,
  Merchant,
  MerchantChange,
  MerchantInput,
  MerchantsQuery,
  MerchantWithKey,
} from '../../contract/merchant.ts';
import { Offer, OfferChange, OfferInput, OffersQuery } from '../../contract/offer.ts';
import { allMerchants, findMerchant } from '../../merchants/find.ts';
import { createKey, listKeys, revokeKey } from '../../merchants/keys.ts';
import { createMerchant, deactivateMerchant, updateMerchant } from '../../merchants/save.ts';
import { allOffers, findOfferRow } from '../../offers/find.ts';
import { createOffer, retireOffer, updateOffer } from '../../offers/save.ts';
import type { App, RouteDeps } from '../app.ts';
import { routeOf } from './common.ts';

const route = routeOf('admin', 'admin');
const OfferId = Closed({ offer_id: Uuid });
const MerchantId = Closed({ merchant_id: Uuid });
const KeyId = Closed({ merchant_id: Uuid, key_id: Type.String({ minLength: 1, maxLength: 64 }) });
const Nothing = Type.Null({ description: 'done' });

/** What administrators set up: offers, merchants and their keys. */
export function adminCatalogueRoutes(app: App, deps: RouteDeps): void {
  offerRoutes(app, deps);
  merchantRoutes(app, deps);
  keyRoutes(app, deps);
}

function offerRoutes(app: App, { db }: RouteDeps): void {
  app.get(
    '/admin/offers',
    route('All offers', { querystring: OffersQuery }, { 200: Page(Offer) }),
    (request) => allOffers(db, request.query),
  );
  app.post(
    '/admin/offers',
    route('Add an offer', { body: OfferInput }, { 201: Offer }),
    async (request, reply) =>
      reply.code(201).send(await createOffer(db, request.caller, request.body)),
  );
  app.get(
    '/admin/offers/:offer_id',
    route('One offer', { params: OfferId }, { 200: Offer }),
    (request) => findOfferRow(db, request.params.offer_id),
  );
  app.patch(
    '/admin/offers/:offer_id',
    route(
      'Change an offer; issued codes keep what they were issued with',
      { params: OfferId, body: OfferChange },
      { 200: Offer },
    ),
    (request) => updateOffer(db, request.caller, request.params.offer_id, request.body),
  );
  app.delete(
    '/admin/offers/:offer_id',
    route('Take an offer out of the catalogue', { params: OfferId }, { 204: Nothing }),
    async (request, reply) => {
      await retireOffer(db, request.caller, request.params.offer_id);
      return reply.code(204).send(null);
    },
  );
}

function merchantRoutes(app: App, { db }: RouteDeps): void {
  app.get(
    '/admin/merchants',
    route('All merchants', { querystring: MerchantsQuery }, { 200: Page(Merchant) }),
    (request) => allMerchants(db, request.query),
  );
  app.post(
    '/admin/merchants',
    route('Add a merchant and its first key', { body: MerchantInput }, { 201: MerchantWithKey }),
    async (request, reply) =>
      reply.code(201).send(await createMerchant(db, request.caller, request.body)),
  );
  app.get(
    '/admin/merchants/:merchant_id',
    route('One merchant', { params: MerchantId }, { 200: Merchant }),
    (request) => findMerchant(db, request.params.merchant_id),
  );
  app.patch(
    '/admin/merchants/:merchant_id',
    route('Change a merchant', { params: MerchantId, body: MerchantChange }, { 200: Merchant }),
    (request) => updateMerchant(db, request.caller, request.params.merchant_id, request.body),
  );
  app.delete(
    '/admin/merchants/:merchant_id',
    route('Stop a merchant and all its keys', { params: MerchantId }, { 204: Nothing }),
    async (request, reply) => {
      await deactivateMerchant(db, request.caller, request.params.merchant_id);
      return reply.code(204).send(null);
    },
  );
}

function keyRoutes(app: App, { db }: RouteDeps): void {
  app.get(
    '/admin/merchants/:merchant_id/keys',
    route('Keys of a merchant', { params: MerchantId }, { 200: Page(KeyEntry) }),
    async (request) => ({
      data: await listKeys(db, request.params.merchant_id),
      next_cursor: null,
    }),
  );
  app.post(
    '/admin/merchants/:merchant_id/keys',
    route(
      'Add a key; it is shown once',
      { params: MerchantId, body: KeyInput },
      { 201: KeyWithSecret },
    ),
    async (request, reply) => {
      const { merchant_id } = request.params;
      const key = await createKey(db, request.caller, merchant_id, request.body.label ?? null);
      return reply.code(201).send(key);
    },
  );
  app.delete(
    '/admin/merchants/:merchant_id/keys/:key_id',
    route('Revoke a key, on all nodes at once', { params: KeyId }, { 204: Nothing }),
    async (request, reply) => {
      await revokeKey(db, request.caller, request.params.merchant_id, request.params.key_id);
      return reply.code(204).send(null);
    },
  );
}
