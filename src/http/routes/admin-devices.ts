import Type from 'typebox';
import { Closed, Page, Uuid } from '../../contract/common.ts';
import {
  Branch,
  BranchChange,
  BranchesQuery,
  BranchInput,
  DeviceChange,
  DeviceEntry,
  DevicesQuery,
  MerchantsBranch,
  MerchantsDevice,
  Pairing,
  PairingInput,
} from '../../contract/device.ts';
import { closeBranch, createBranch, listBranches, updateBranch } from '../../devices/branches.ts';
import { listDevices, renameDevice, revokeDevice } from '../../devices/devices.ts';
import { createPairing, rollDevice } from '../../devices/pairings.ts';
import type { App, RouteDeps } from '../app.ts';
import { routeOf } from './common.ts';

const route = routeOf('admin', 'admin');
const MerchantId = Closed({ merchant_id: Uuid });
const Nothing = Type.Null({ description: 'done' });

/** Branches and phones of any merchant: what administrators set up for it. */
export function adminDeviceRoutes(app: App, deps: RouteDeps): void {
  branchRoutes(app, deps);
  phoneRoutes(app, deps);
}

function branchRoutes(app: App, { db, config }: RouteDeps): void {
  app.get(
    '/admin/merchants/:merchant_id/branches',
    route(
      'Branches of a merchant',
      { params: MerchantId, querystring: BranchesQuery },
      { 200: Page(Branch) },
    ),
    (request) => listBranches(db, request.params.merchant_id, request.query),
  );
  app.post(
    '/admin/merchants/:merchant_id/branches',
    route('Add a branch', { params: MerchantId, body: BranchInput }, { 201: Branch }),
    async (request, reply) => {
      const branch = { time_zone: config.businessTimeZone, ...request.body };
      const { merchant_id } = request.params;
      return reply.code(201).send(await createBranch(db, request.caller, merchant_id, branch));
    },
  );
  app.patch(
    '/admin/merchants/:merchant_id/branches/:branch_id',
    route('Change a branch', { params: MerchantsBranch, body: BranchChange }, { 200: Branch }),
    (request) => {
      return updateBranch(db, request.caller, request.params, request.body);
    },
  );
  app.delete(
    '/admin/merchants/:merchant_id/branches/:branch_id',
    route(
      'Close a branch: its devices stop at once',
      { params: MerchantsBranch },
      { 204: Nothing },
    ),
    async (request, reply) => {
      await closeBranch(db, request.caller, request.params);
      return reply.code(204).send(null);
    },
  );
}

function phoneRoutes(app: App, { db, config }: RouteDeps): void {
  app.get(
    '/admin/merchants/:merchant_id/devices',
    route(
      'Devices of a merchant',
      { params: MerchantId, querystring: DevicesQuery },
      { 200: Page(DeviceEntry) },
    ),
    (request) => listDevices(db, request.params.merchant_id, request.query),
  );
  app.patch(
    '/admin/merchants/:merchant_id/devices/:device_id',
    route('Rename a device', { params: MerchantsDevice, body: DeviceChange }, { 200: DeviceEntry }),
    (request) => {
      return renameDevice(db, request.caller, request.params, request.body.device_name);
    },
  );
  app.delete(
    '/admin/merchants/:merchant_id/devices/:device_id',
    route('Revoke a device, on all nodes at once', { params: MerchantsDevice }, { 204: Nothing }),
    async (request, reply) => {
      await revokeDevice(db, request.caller, request.params);
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/admin/merchants/:merchant_id/devices/:device_id/roll',
    route(
      'A pairing that replaces the token of a device',
      { params: MerchantsDevice },
      { 201: Pairing },
    ),
    async (request, reply) => {
      reply.code(201).header('cache-control', 'no-store');
      return reply.send(await rollDevice(db, request.caller, request.params, config.publicUrl));
    },
  );
  app.post(
    '/admin/merchants/:merchant_id/pairings',
    route(
      'A code that pairs one phone',
      { params: MerchantId, body: PairingInput },
      { 201: Pairing },
    ),
    async (request, reply) => {
      const { merchant_id } = request.params;
      reply.code(201).header('cache-control', 'no-store');
      return reply.send(
        await createPairing(db, request.caller, merchant_id, request.body, config.publicUrl),
      );
    },
  );
}
