import { at, type CallOptions, type Connection } from './request.ts';
import type {
  Branch,
  BranchChange,
  BranchesQuery,
  BranchInput,
  DeviceChange,
  DeviceEntry,
  DevicesQuery,
  Page,
  Pairing,
  PairingInput,
} from './types.ts';

/**
 * A merchant's branches, devices and pairings: for the merchant key itself, or for an administrator
 * with `below` = `/admin/merchants/{merchant_id}`.
 */
export function counters({ send }: Connection, below = '/merchant') {
  return {
    branches: {
      list: (query?: BranchesQuery, options?: CallOptions) =>
        send<Page<Branch>>('GET', `${below}/branches`, { ...options, query }),
      create: (body: BranchInput, options?: CallOptions) =>
        send<Branch>('POST', `${below}/branches`, { ...options, body }),
      update: (branchId: string, body: BranchChange, options?: CallOptions) =>
        send<Branch>('PATCH', below + at`/branches/${branchId}`, { ...options, body }),
      /** Its devices stop at once. */
      deactivate: (branchId: string, options?: CallOptions) =>
        send<void>('DELETE', below + at`/branches/${branchId}`, options),
    },
    devices: {
      list: (query?: DevicesQuery, options?: CallOptions) =>
        send<Page<DeviceEntry>>('GET', `${below}/devices`, { ...options, query }),
      rename: (deviceId: string, body: DeviceChange, options?: CallOptions) =>
        send<DeviceEntry>('PATCH', below + at`/devices/${deviceId}`, { ...options, body }),
      /** Its token is refused from now on, everywhere. */
      revoke: (deviceId: string, options?: CallOptions) =>
        send<void>('DELETE', below + at`/devices/${deviceId}`, options),
      /** A pairing for the same device: exchanging it replaces its token. */
      roll: (deviceId: string, options?: CallOptions) =>
        send<Pairing>('POST', below + at`/devices/${deviceId}/roll`, options),
    },
    pairings: {
      /** A code, a URL and a QR that make a phone a device of this branch; once, for ten minutes. */
      create: (body: PairingInput, options?: CallOptions) =>
        send<Pairing>('POST', `${below}/pairings`, { ...options, body }),
    },
  };
}
