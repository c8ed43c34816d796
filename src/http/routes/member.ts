import Type from 'typebox';
import { Closed, IdempotencyHeaders, Page, Uuid } from '../../contract/common.ts';
import { Balance, LedgerEntry, LedgerQuery } from '../../contract/ledger.ts';
import {
  Cancelled,
  Redeemed,
  RedeemInput,
  Redemption,
  RedemptionsQuery,
} from '../../contract/redemption.ts';
import { changedBy } from '../../core/actor.ts';
import { Failure } from '../../core/failure.ts';
import { qrPng, qrSvg } from '../../core/qr.ts';
import { balanceOf } from '../../ledger/balance.ts';
import { ledgerOf } from '../../ledger/entries.ts';
import { redemptionOfMember, redemptionsOfMember } from '../../redemptions/find.ts';
import type { App, RouteDeps } from '../app.ts';
import { claimOf, conclude } from '../conclude.ts';
import { routeOf } from './common.ts';

const route = routeOf('member', 'read');
const RedemptionId = Closed({ redemption_id: Uuid });

/** What a member can do beside the catalogue: redeem, show the QR, cancel, look at their points. */
export function memberRoutes(app: App, deps: RouteDeps): void {
  redeemRoutes(app, deps);
  redemptionRoutes(app, deps);
  pointRoutes(app, deps);
}

function redeemRoutes(app: App, deps: RouteDeps): void {
  const { grouped } = deps;

  app.post(
    '/rewards/redemptions',
    route(
      'Redeem an offer',
      { headers: IdempotencyHeaders, body: RedeemInput },
      { 201: Redeemed },
      'redeem',
    ),
    async (request, reply) => {
      const { offer_id } = request.body;
      const row = {
        user_id: request.userId,
        offer_id,
        changed_by: changedBy(request.caller),
        ...claimOf(request, 'redeem', request.body),
      };
      const answer = await grouped.redeem.submit(row);
      const redeemed = await conclude(deps, request, 'redeem', answer, { offer_id });
      return reply.code(201).send(redeemed);
    },
  );

  app.post(
    '/rewards/redemptions/:redemption_id/cancel',
    route(
      'Cancel: points and stock go back',
      { headers: IdempotencyHeaders, params: RedemptionId },
      { 200: Cancelled },
    ),
    async (request) => {
      const { redemption_id } = request.params;
      const row = {
        redemption_id,
        user_id: request.userId,
        reason: null,
        changed_by: changedBy(request.caller),
        ...claimOf(request, 'cancel', request.params),
      };
      const answer = await grouped.cancel.submit(row);
      return conclude(deps, request, 'cancel', answer, { redemption_id });
    },
  );
}

function redemptionRoutes(app: App, { db }: RouteDeps): void {
  app.get(
    '/rewards/redemptions',
    route('Own redemptions', { querystring: RedemptionsQuery }, { 200: Page(Redemption) }),
    (request) => redemptionsOfMember(db, request.userId, request.query),
  );

  app.get(
    '/rewards/redemptions/:redemption_id',
    route('One redemption', { params: RedemptionId }, { 200: Redemption }),
    (request) => redemptionOfMember(db, request.userId, request.params.redemption_id),
  );

  const drawings = { svg: ['image/svg+xml', qrSvg], png: ['image/png', qrPng] } as const;
  for (const [kind, [type, draw]] of Object.entries(drawings)) {
    app.get(
      `/rewards/redemptions/:redemption_id/qr.${kind}`,
      route(
        `The QR as ${kind.toUpperCase()}, while it can be used`,
        { params: RedemptionId },
        { 200: { description: 'the image', content: { [type]: { schema: Type.Any() } } } },
      ),
      async (request, reply) => {
        const { redemption_id } = request.params;
        const { qr_landing_url } = await redemptionOfMember(db, request.userId, redemption_id);
        if (!qr_landing_url) throw new Failure('not_found');
        return reply.type(type).send(draw(qr_landing_url) as never);
      },
    );
  }
}

function pointRoutes(app: App, { db }: RouteDeps): void {
  app.get('/rewards/balance', route('Own points', {}, { 200: Balance }), (request) =>
    balanceOf(db, request.userId),
  );

  app.get(
    '/rewards/ledger',
    route('Own ledger entries', { querystring: LedgerQuery }, { 200: Page(LedgerEntry) }),
    (request) => ledgerOf(db, request.userId, request.query),
  );
}
