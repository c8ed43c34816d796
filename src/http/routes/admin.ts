import { listAudit } from '../../audit/list.ts';
import { listStaffChanges } from '../../audit/staff.ts';
import { AuditEntry, AuditQuery, StaffChange, StaffChangesQuery } from '../../contract/audit.ts';
import { Closed, IdempotencyHeaders, Page, UserId, Uuid } from '../../contract/common.ts';
import {
  Adjusted,
  AdjustInput,
  Balance,
  LedgerEntry,
  LedgerQuery,
  MemberEntry,
  MembersQuery,
} from '../../contract/ledger.ts';
import {
  CancelInput,
  Cancelled,
  FoundRedemption,
  Reversed,
  ReverseInput,
  SearchQuery,
} from '../../contract/redemption.ts';
import { changedBy } from '../../core/actor.ts';
import { adjust } from '../../ledger/adjust.ts';
import { balanceOf } from '../../ledger/balance.ts';
import { ledgerOf } from '../../ledger/entries.ts';
import { listMembers } from '../../members/members.ts';
import { reverse } from '../../redemptions/reverse.ts';
import { findRedemption, searchRedemptions } from '../../redemptions/search.ts';
import type { App, RouteDeps } from '../app.ts';
import { claimOf, conclude } from '../conclude.ts';
import { routeOf } from './common.ts';

const route = routeOf('admin', 'admin');
const MemberId = Closed({ user_id: UserId });
const RedemptionId = Closed({ redemption_id: Uuid });

/** What administrators support: members and their points, redemptions, the audit log. */
export function adminRoutes(app: App, deps: RouteDeps): void {
  memberRoutes(app, deps);
  redemptionRoutes(app, deps);
  app.get(
    '/admin/audit',
    route('The audit log', { querystring: AuditQuery }, { 200: Page(AuditEntry) }),
    (request) => listAudit(deps.db, request.query),
  );
  app.get(
    '/admin/changes',
    route(
      'What staff changed: offers, merchants, keys, points',
      { querystring: StaffChangesQuery },
      { 200: Page(StaffChange) },
    ),
    (request) => listStaffChanges(deps.db, request.query),
  );
}

function memberRoutes(app: App, deps: RouteDeps): void {
  const { db } = deps;
  app.get(
    '/admin/members',
    route('Members we have seen', { querystring: MembersQuery }, { 200: Page(MemberEntry) }),
    (request) => listMembers(db, request.query),
  );
  app.get(
    '/admin/members/:user_id/balance',
    route("A member's points", { params: MemberId }, { 200: Balance }),
    (request) => balanceOf(db, request.params.user_id),
  );
  app.get(
    '/admin/members/:user_id/ledger',
    route(
      "A member's ledger entries",
      { params: MemberId, querystring: LedgerQuery },
      { 200: Page(LedgerEntry) },
    ),
    (request) => ledgerOf(db, request.params.user_id, request.query),
  );
  app.post(
    '/admin/members/:user_id/ledger',
    route(
      'Give or take points, with a reason',
      { headers: IdempotencyHeaders, params: MemberId, body: AdjustInput },
      { 201: Adjusted },
    ),
    async (request, reply) => {
      const entry = { user_id: request.params.user_id, ...request.body };
      const row = { ...claimOf(request, 'adjust', entry), ...entry };
      const [answer] = await adjust(db, [{ ...row, changed_by: changedBy(request.caller) }]);
      const adjusted = await conclude(deps, request, 'adjust', answer, 'not audited');
      return reply.code(201).send(adjusted);
    },
  );
}

function redemptionRoutes(app: App, deps: RouteDeps): void {
  const { db, grouped } = deps;
  app.get(
    '/admin/redemptions',
    route('Search redemptions', { querystring: SearchQuery }, { 200: Page(FoundRedemption) }),
    (request) => searchRedemptions(db, request.query),
  );
  app.get(
    '/admin/redemptions/:redemption_id',
    route('One redemption', { params: RedemptionId }, { 200: FoundRedemption }),
    (request) => findRedemption(db, request.params.redemption_id),
  );
  app.post(
    '/admin/redemptions/:redemption_id/cancel',
    route(
      'Cancel a pending redemption for its member',
      { headers: IdempotencyHeaders, params: RedemptionId, body: CancelInput },
      { 200: Cancelled },
    ),
    async (request) => {
      const input = { redemption_id: request.params.redemption_id, reason: request.body.reason };
      const row = {
        ...claimOf(request, 'cancel', input),
        ...input,
        user_id: null,
        changed_by: changedBy(request.caller),
      };
      const answer = await grouped.cancel.submit(row);
      return conclude(deps, request, 'cancel', answer, { redemption_id: input.redemption_id });
    },
  );
  app.post(
    '/admin/redemptions/:redemption_id/reverse',
    route(
      'Reverse a confirmed redemption',
      { headers: IdempotencyHeaders, params: RedemptionId, body: ReverseInput },
      { 200: Reversed },
    ),
    async (request) => {
      const { redemption_id } = request.params;
      const { reason, restock = true } = request.body;
      const row = {
        ...claimOf(request, 'reverse', { redemption_id, reason, restock }),
        redemption_id,
        merchant_id: null,
        key_id: null,
        proven_hash: null,
        reason,
        restock,
        changed_by: changedBy(request.caller),
      };
      const [answer] = await reverse(db, [row]);
      return conclude(deps, request, 'reverse', answer, { redemption_id });
    },
  );
}
