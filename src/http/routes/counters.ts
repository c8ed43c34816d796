import type { FastifyRequest } from 'fastify';
import Type, { type TSchema } from 'typebox';
import { Closed, Page, Uuid } from '../../contract/common.ts';
import {
  Branch,
  BranchChange,
  BranchesQuery,
  BranchInput,
  DeviceChange,
  DeviceEntry,
  DeviceId,
  DevicesQuery,
  Pairing,
  PairingInput,
} from '../../contract/device.ts';
import { closeBranch, createBranch, listBranches, updateBranch } from '../../devices/branches.ts';
import { listDevices, renameDevice, revokeDevice } from '../../devices/devices.ts';
import { createPairing, rollDevice } from '../../devices/pairings.ts';
import type { App, RouteDeps } from '../app.ts';
import { routeOf } from './common.ts';

const Nothing = Type.Null({ description: 'done' });

/** Who sets up a merchant's counters, below which path, and which merchant a request is about. */
interface SetUp {
  below: string;
  route: ReturnType<typeof routeOf>;
  /** how the lists are called */
  named: (things: string) => string;
  /** the part of the path's parameters that names the merchant */
  whose: Record<never, TSchema>;
  merchantOf: (request: FastifyRequest) => string;
}

const BY_MERCHANT: SetUp = {
  below: '/merchant',
  route: routeOf('merchant', 'read'),
  named: (things) => `Own ${things}`,
  whose: {},
  merchantOf: (request) => request.merchant.merchant_id,
};

const BY_ADMIN: SetUp = {
  below: '/admin/merchants/:merchant_id',
  route: routeOf('admin', 'admin'),
  named: (things) => `${things[0]?.toUpperCase()}${things.slice(1)} of a merchant`,
  whose: { merchant_id: Uuid },
  merchantOf: (request) => (request.params as { merchant_id: string }).merchant_id,
};

/** Branches, phones and pairings: what a merchant sets up itself, or an administrator for it. */
export function countersRoutes(app: App, deps: RouteDeps): void {
  for (const by of [BY_MERCHANT, BY_ADMIN]) {
    branchRoutes(app, deps, by);
    phoneRoutes(app, deps, by);
  }
}

function branchRoutes(app: App, { db, config }: RouteDeps, by: SetUp): void {
  const { below, route, named, whose, merchantOf } = by;
  const Merchants = Closed(whose);
  const OneBranch = Closed({ ...whose, branch_id: Uuid });
  app.get(
    `${below}/branches`,
    route(
      named('branches'),
      { params: Merchants, querystring: BranchesQuery },
      { 200: Page(Branch) },
    ),
    (request) => listBranches(db, merchantOf(request), request.query),
  );
  app.post(
    `${below}/branches`,
    route('Add a branch', { params: Merchants, body: BranchInput }, { 201: Branch }),
    async (request, reply) => {
      const branch = { time_zone: config.businessTimeZone, ...request.body };
      const created = await createBranch(db, request.caller, merchantOf(request), branch);
      return reply.code(201).send(created);
    },
  );
  app.patch(
    `${below}/branches/:branch_id`,
    route('Change a branch', { params: OneBranch, body: BranchChange }, { 200: Branch }),
    (request) => {
      const place = { ...request.params, merchant_id: merchantOf(request) };
      return updateBranch(db, request.caller, place, request.body);
    },
  );
  app.delete(
    `${below}/branches/:branch_id`,
    route('Close a branch: its devices stop at once', { params: OneBranch }, { 204: Nothing }),
    async (request, reply) => {
      const place = { ...request.params, merchant_id: merchantOf(request) };
      await closeBranch(db, request.caller, place);
      return reply.code(204).send(null);
    },
  );
}

function phoneRoutes(app: App, { db, config }: RouteDeps, by: SetUp): void {
  const { below, route, named, whose, merchantOf } = by;
  const Merchants = Closed(whose);
  const OneDevice = Closed({ ...whose, device_id: DeviceId });
  app.get(
    `${below}/devices`,
    route(
      named('devices'),
      { params: Merchants, querystring: DevicesQuery },
      { 200: Page(DeviceEntry) },
    ),
    (request) => listDevices(db, merchantOf(request), request.query),
  );
  app.patch(
    `${below}/devices/:device_id`,
    route('Rename a device', { params: OneDevice, body: DeviceChange }, { 200: DeviceEntry }),
    (request) => {
      const place = { ...request.params, merchant_id: merchantOf(request) };
      return renameDevice(db, request.caller, place, request.body.device_name);
    },
  );
  app.delete(
    `${below}/devices/:device_id`,
    route('Revoke a device, on all nodes at once', { params: OneDevice }, { 204: Nothing }),
    async (request, reply) => {
      const place = { ...request.params, merchant_id: merchantOf(request) };
      await revokeDevice(db, request.caller, place);
      return reply.code(204).send(null);
    },
  );
  app.post(
    `${below}/devices/:device_id/roll`,
    route('A pairing that replaces the token of a device', { params: OneDevice }, { 201: Pairing }),
    async (request, reply) => {
      const place = { ...request.params, merchant_id: merchantOf(request) };
      reply.code(201).header('cache-control', 'no-store');
      return reply.send(await rollDevice(db, request.caller, place, config.publicUrl));
    },
  );
  app.post(
    `${below}/pairings`,
    route(
      'A code that pairs one phone',
      { params: Merchants, body: PairingInput },
      { 201: Pairing },
    ),
    async (request, reply) => {
      const merchantId = merchantOf(request);
      reply.code(201).header('cache-control', 'no-store');
      return reply.send(
        await createPairing(db, request.caller, merchantId, request.body, config.publicUrl),
      );
    },
  );
}
