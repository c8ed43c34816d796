import Type, { type TSchema } from 'typebox';
import { Closed, Uuid } from '../../contract/common.ts';
import {
  CounterRedemption,
  Day,
  DayQuery,
  RedemptionEvent,
  Timeline,
} from '../../contract/live.ts';
import { Failure } from '../../core/failure.ts';
import { dayOf } from '../../redemptions/day.ts';
import { redemptionOfMember } from '../../redemptions/find.ts';
import { timelineOf } from '../../redemptions/timeline.ts';
import type { App, RouteDeps } from '../app.ts';
import { routeOf, toDevices } from './common.ts';

const asMember = routeOf('member', 'read');
const asMerchant = routeOf('merchant', 'read');
const RedemptionId = Closed({ redemption_id: Uuid });
const ResumeHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ description: 'the id of the last event that arrived: go on after it' }),
  ),
});

/** An answer of server-sent events whose `data` is this. */
function events(description: string, data: TSchema) {
  return { description, content: { 'text/event-stream': { schema: data } } };
}

/** What happens while somebody looks: streams, the day at a counter, a redemption's story. */
export function liveRoutes(app: App, deps: RouteDeps): void {
  memberStream(app, deps);
  merchantStream(app, deps);
  counterRoutes(app, deps);
}

function memberStream(app: App, { db, feed, streams }: RouteDeps): void {
  app.get(
    '/rewards/redemptions/:redemption_id/events',
    asMember(
      'What happens to a redemption, as server-sent events',
      { params: RedemptionId, headers: ResumeHeaders },
      { 200: events('until the token expires', RedemptionEvent) },
    ),
    async (request, reply) => {
      const redemption_id = request.params.redemption_id.toLowerCase();
      const { source } = await redemptionOfMember(db, request.userId, redemption_id);
      // to a purchase of an older system nothing happens any more
      if (source === 'legacy') throw new Failure('not_found');
      const stream = streams.open(request, reply, { expiresAt: request.expiresAt });
      const after = sequenceOf(request.headers['last-event-id']);
      stream.onEnd(
        feed.watchRedemption(redemption_id, after, (event) =>
          stream.send({ id: String(event.sequence), event: event.type, data: event }),
        ),
      );
      return reply;
    },
  );
}

/** Whatever cannot be the id of an event of ours begins at the first one. */
function sequenceOf(text: string | undefined): number {
  return /^[1-9]\d?$/.test(text ?? '') ? Number(text) : 0;
}

function merchantStream(app: App, { feed, streams, guard }: RouteDeps): void {
  const schema = { headers: ResumeHeaders };
  const answers = { 200: events('while the credential holds', CounterRedemption) };
  app.get(
    '/merchant/events',
    toDevices('scan', asMerchant('What is confirmed and reversed here', schema, answers)),
    async (request, reply) => {
      let position = (): string | undefined => undefined;
      const stream = streams.open(request, reply, { position: () => position() });
      guard.keep(stream, request.merchant);
      const watcher = feed.watchCounter({
        merchant_id: request.merchant.merchant_id,
        branch_id: request.device?.branch_id ?? null,
        after: request.headers['last-event-id'],
        begin(how, id) {
          if (how !== 'resumed') stream.send({ id, event: how, data: {} });
        },
        hand: (event) =>
          stream.send({ id: event.position, event: event.type, data: event.redemption }),
      });
      position = watcher.position;
      stream.onEnd(watcher.stop);
      return reply;
    },
  );
}

function counterRoutes(app: App, { db, config }: RouteDeps): void {
  app.get(
    '/merchant/day',
    toDevices('scan', asMerchant("A counter's day", { querystring: DayQuery }, { 200: Day })),
    (request) => {
      const { device, query, merchant } = request;
      const asked = query.branch_id?.toLowerCase();
      if (device && asked && asked !== device.branch_id) throw new Failure('not_found');
      const branch_id = device?.branch_id ?? asked;
      const filter = { ...query, ...(branch_id ? { branch_id } : {}) };
      return dayOf(db, merchant, filter, config.businessTimeZone);
    },
  );

  app.get(
    '/rewards/redemptions/:redemption_id/timeline',
    asMember('What became of a redemption', { params: RedemptionId }, { 200: Timeline }),
    (request) => timelineOf(db, request.userId, request.params.redemption_id),
  );
}
