import Type from 'typebox';
import { Page } from '../../contract/common.ts';
import {
  Branch,
  BranchChange,
  BranchesQuery,
  BranchId,
  BranchInput,
  DeviceChange,
  DeviceEntry,
  DevicesQuery,
  OwnDevice,
  OwnDeviceId,
  Paired,
  PairInput,
  Pairing,
  PairingInput,
} from '../../contract/device.ts';
import { Failure } from '../../core/failure.ts';
import { closeBranch, createBranch, listBranches, updateBranch } from '../../devices/branches.ts';
import { listDevices, renameDevice, revokeDevice } from '../../devices/devices.ts';
import { pairDevice } from '../../devices/pair.ts';
import { createPairing, rollDevice } from '../../devices/pairings.ts';
import type { App, RouteDeps } from '../app.ts';
import { addressOf, circumstancesOf } from '../auth.ts';
import { routeOf, toDevices } from './common.ts';

const route = routeOf('merchant', 'read');
const Nothing = Type.Null({ description: 'done' });

/** Branches and phones: what a merchant sets up itself, and what a phone says of itself. */
export function deviceRoutes(app: App, deps: RouteDeps): void {
  pairRoute(app, deps);
  ownDeviceRoutes(app, deps);
  branchRoutes(app, deps);
  phoneRoutes(app, deps);
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

function branchRoutes(app: App, { db, config }: RouteDeps): void {
  app.get(
    '/merchant/branches',
    route('Own branches', { querystring: BranchesQuery }, { 200: Page(Branch) }),
    (request) => listBranches(db, request.merchant.merchant_id, request.query),
  );
  app.post(
    '/merchant/branches',
    route('Add a branch', { body: BranchInput }, { 201: Branch }),
    async (request, reply) => {
      const branch = { time_zone: config.businessTimeZone, ...request.body };
      const { merchant_id } = request.merchant;
      return reply.code(201).send(await createBranch(db, request.caller, merchant_id, branch));
    },
  );
  app.patch(
    '/merchant/branches/:branch_id',
    route('Change a branch', { params: BranchId, body: BranchChange }, { 200: Branch }),
    (request) => {
      const { merchant_id } = request.merchant;
      const place = { merchant_id, branch_id: request.params.branch_id };
      return updateBranch(db, request.caller, place, request.body);
    },
  );
  app.delete(
    '/merchant/branches/:branch_id',
    route('Close a branch: its devices stop at once', { params: BranchId }, { 204: Nothing }),
    async (request, reply) => {
      const { merchant_id } = request.merchant;
      await closeBranch(db, request.caller, { merchant_id, branch_id: request.params.branch_id });
      return reply.code(204).send(null);
    },
  );
}

function phoneRoutes(app: App, { db, config }: RouteDeps): void {
  app.get(
    '/merchant/devices',
    route('Own devices', { querystring: DevicesQuery }, { 200: Page(DeviceEntry) }),
    (request) => listDevices(db, request.merchant.merchant_id, request.query),
  );
  app.patch(
    '/merchant/devices/:device_id',
    route('Rename a device', { params: OwnDeviceId, body: DeviceChange }, { 200: DeviceEntry }),
    (request) => {
      const { merchant_id } = request.merchant;
      const place = { merchant_id, device_id: request.params.device_id };
      return renameDevice(db, request.caller, place, request.body.device_name);
    },
  );
  app.delete(
    '/merchant/devices/:device_id',
    route('Revoke a device, on all nodes at once', { params: OwnDeviceId }, { 204: Nothing }),
    async (request, reply) => {
      const { merchant_id } = request.merchant;
      await revokeDevice(db, request.caller, { merchant_id, device_id: request.params.device_id });
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/merchant/devices/:device_id/roll',
    route(
      'A pairing that replaces the token of a device',
      { params: OwnDeviceId },
      { 201: Pairing },
    ),
    async (request, reply) => {
      const { merchant_id } = request.merchant;
      const place = { merchant_id, device_id: request.params.device_id };
      reply.code(201).header('cache-control', 'no-store');
      return reply.send(await rollDevice(db, request.caller, place, config.publicUrl));
    },
  );
  app.post(
    '/merchant/pairings',
    route('A code that pairs one phone', { body: PairingInput }, { 201: Pairing }),
    async (request, reply) => {
      const { merchant_id } = request.merchant;
      reply.code(201).header('cache-control', 'no-store');
      return reply.send(
        await createPairing(db, request.caller, merchant_id, request.body, config.publicUrl),
      );
    },
  );
}
