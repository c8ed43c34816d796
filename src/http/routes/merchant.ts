import { Closed, IdempotencyHeaders, Page, Uuid } from '../../contract/common.ts';
import { MerchantStats } from '../../contract/merchant.ts';
import {
  Confirmed,
  MerchantRedemption,
  RedemptionsQuery,
  Reversed,
  ReverseInput,
  Validated,
  ValidateInput,
} from '../../contract/redemption.ts';
import { changedBy } from '../../core/actor.ts';
import { merchantStats } from '../../merchants/stats.ts';
import { parseScan } from '../../redemptions/code.ts';
import { redemptionsOfMerchant } from '../../redemptions/find.ts';
import { reverse } from '../../redemptions/reverse.ts';
import type { App, RouteDeps } from '../app.ts';
import { callerKey } from '../auth.ts';
import { claimOf, conclude } from '../conclude.ts';
import { askingItself, routeOf, toDevices } from './common.ts';

const route = routeOf('merchant', 'read');
const RedemptionId = Closed({ redemption_id: Uuid });

/** What a merchant can do: look at a code, confirm, take a confirmation back, see own figures. */
export function merchantRoutes(app: App, deps: RouteDeps): void {
  counterRoutes(app, deps);
  reversalRoutes(app, deps);
  figureRoutes(app, deps);
}

function counterRoutes(app: App, deps: RouteDeps): void {
  const { limits, config, grouped } = deps;

  app.post(
    '/merchant/validate',
    toDevices(
      'scan',
      route(
        'What is this code, and may I hand over?',
        { body: ValidateInput },
        { 200: Validated },
        'validate',
      ),
    ),
    async (request) => {
      const scanned = request.body.code;
      const row = {
        scanned,
        public_url: config.publicUrl,
        changed_by: changedBy(request.caller),
        ...request.merchant,
      };
      const answer = await grouped.validate.submit(row);
      const about = parseScan(scanned) ? {} : 'not audited';
      return conclude(deps, request, 'validate', answer, about).catch(async (failure) => {
        // Guessing is slowed by its misses; an honest shop's codes go on being read meanwhile.
        if (answer?.refused === 'unknown_code') {
          await limits.take('misses', callerKey(request.caller));
        }
        throw failure;
      });
    },
  );

  app.post(
    '/merchant/redemptions/:redemption_id/confirm',
    askingItself(
      toDevices(
        'scan',
        route(
          'Confirm: handed over',
          { headers: IdempotencyHeaders, params: RedemptionId },
          { 200: Confirmed },
          'confirm',
        ),
      ),
    ),
    async (request) => {
      const { redemption_id } = request.params;
      const row = {
        redemption_id,
        changed_by: changedBy(request.caller),
        ...claimOf(request, 'confirm', request.params),
        ...request.merchant,
      };
      const answer = await grouped.confirm.submit(row);
      return conclude(deps, request, 'confirm', answer, { redemption_id });
    },
  );
}

function reversalRoutes(app: App, deps: RouteDeps): void {
  const { db } = deps;
  app.post(
    '/merchant/redemptions/:redemption_id/reverse',
    toDevices(
      'reverse',
      route(
        'Take a confirmation back, with a reason',
        { headers: IdempotencyHeaders, params: RedemptionId, body: ReverseInput },
        { 200: Reversed },
        'confirm',
      ),
    ),
    async (request) => {
      const { redemption_id } = request.params;
      const { reason, restock = true } = request.body;
      const row = {
        ...claimOf(request, 'reverse', { redemption_id, reason, restock }),
        ...request.merchant,
        redemption_id,
        reason,
        restock,
        changed_by: changedBy(request.caller),
      };
      const [answer] = await reverse(db, [row]);
      return conclude(deps, request, 'reverse', answer, { redemption_id });
    },
  );
}

function figureRoutes(app: App, { db, config }: RouteDeps): void {
  app.get(
    '/merchant/redemptions',
    route(
      'What this merchant confirmed',
      { querystring: RedemptionsQuery },
      { 200: Page(MerchantRedemption) },
    ),
    (request) => redemptionsOfMerchant(db, request.merchant, request.query),
  );

  app.get('/merchant/stats', route('Own figures', {}, { 200: MerchantStats }), (request) =>
    merchantStats(db, request.merchant, config.businessTimeZone),
  );
}
