import Type from 'typebox';
import { OwnDevice, Paired, PairInput } from '../../contract/device.ts';
import { Failure } from '../../core/failure.ts';
import { revokeDevice } from '../../devices/devices.ts';
import { pairDevice } from '../../devices/pair.ts';
import type { App, RouteDeps } from '../app.ts';
import { addressOf, circumstancesOf } from '../auth.ts';
import { routeOf, toDevices } from './common.ts';

const route = routeOf('merchant', 'read');
const Nothing = Type.Null({ description: 'done' });

/** What a phone does for itself: it is paired, says who it is, signs out. */
export function deviceRoutes(app: App, deps: RouteDeps): void {
  pairRoute(app, deps);
  ownDeviceRoutes(app, deps);
}

function pairRoute(app: App, { db, limits }: RouteDeps): void {
  app.post(
    '/devices/pair',
    routeOf('public', 'landing')(
      "Exchange a pairing code for a device's token, once",
      { body: PairInput },
      { 201: Paired },
    ),
    async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const paired = await pairDevice(db, circumstancesOf(request), request.body).catch(
        async (failure) => {
          // counted, but a right code goes on passing: others may share the address
          const isMiss = failure instanceof Failure && failure.code === 'unauthorized';
          if (isMiss) await limits.take('authFailures', addressOf(request) ?? 'unknown');
          throw failure;
        },
      );
      return reply.code(201).send(paired);
    },
  );
}

function ownDeviceRoutes(app: App, { db }: RouteDeps): void {
  app.get(
    '/merchant/device',
    toDevices('scan', route('This device itself', {}, { 200: OwnDevice })),
    async (request) => {
      if (!request.device) throw new Failure('forbidden');
      return request.device;
    },
  );
  app.delete(
    '/merchant/device',
    toDevices('scan', route('Sign this device out: its token ends', {}, { 204: Nothing })),
    async (request, reply) => {
      if (!request.device) throw new Failure('forbidden');
      await revokeDevice(db, request.caller, request.device);
      return reply.code(204).send(null);
    },
  );
}
