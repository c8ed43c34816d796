import Type, { type Static } from 'typebox';
import { Closed, Nullable, OneOf, PageQuery, Time, Uuid } from './common.ts';

/** What a device may do: `scan` is to validate and confirm, `reverse` to take that back. */
export const SCOPES = ['scan', 'reverse'] as const;
export type Scope = (typeof SCOPES)[number];
const Scopes = Type.Array(OneOf(SCOPES), {
  minItems: 1,
  maxItems: SCOPES.length,
  uniqueItems: true,
  description: 'scan: validate and confirm; reverse: take a confirmation back too',
});

const NAME = { minLength: 1, maxLength: 100, pattern: '\\S' };
const BranchName = Type.String({ ...NAME, examples: ['Principal'] });
const DeviceName = Type.String({ ...NAME, examples: ['Caja 1'] });
export const DeviceId = Type.String({ pattern: '^[0-9A-Za-z]{1,64}$' });
const TimeZone = Type.String({
  maxLength: 64,
  pattern: '^[A-Za-z][A-Za-z0-9_+/-]*$',
  examples: ['America/Panama'],
  description: 'IANA name; the days of its figures begin at its midnight',
});

export const BranchInput = Closed({
  branch_name: BranchName,
  time_zone: Type.Optional(TimeZone),
});
export type BranchInput = Static<typeof BranchInput>;

/** A change of a branch: what is left out stays. */
export const BranchChange = Closed(
  Type.Partial(
    Type.Object({ branch_name: BranchName, time_zone: TimeZone, is_active: Type.Boolean() }),
  ).properties,
  { minProperties: 1 },
);
export type BranchChange = Static<typeof BranchChange>;

/** A merchant's place of business. A closed one (`is_active` false) stops its devices. */
export const Branch = Closed({
  branch_id: Uuid,
  merchant_id: Uuid,
  branch_name: Type.String(),
  time_zone: Type.String(),
  is_active: Type.Boolean(),
  created_at: Time,
  updated_at: Time,
});
export type Branch = Static<typeof Branch>;
export const BranchesQuery = Closed({ is_active: Type.Optional(Type.Boolean()), ...PageQuery });
export type BranchesQuery = Static<typeof BranchesQuery>;

/** A paired phone as it is listed: never its token. */
export const DeviceEntry = Closed({
  device_id: Type.String(),
  branch_id: Uuid,
  branch_name: Type.String(),
  device_name: Type.String(),
  scopes: Scopes,
  created_by: Type.String(),
  created_at: Time,
  last_seen_at: Nullable(Time),
  revoked_at: Nullable(Time),
});
export type DeviceEntry = Static<typeof DeviceEntry>;
export const DevicesQuery = Closed({ branch_id: Type.Optional(Uuid), ...PageQuery });
export type DevicesQuery = Static<typeof DevicesQuery>;
export const DeviceChange = Closed({ device_name: DeviceName });

/** A device as it sees itself. */
export const OwnDevice = Closed({
  device_id: Type.String(),
  device_name: Type.String(),
  scopes: Scopes,
  merchant_id: Uuid,
  merchant_name: Type.String(),
  branch_id: Uuid,
  branch_name: Type.String(),
  time_zone: Type.String(),
});
export type OwnDevice = Static<typeof OwnDevice>;

export const PairingInput = Closed({
  branch_id: Uuid,
  device_name: Type.Optional(DeviceName),
  scopes: Type.Optional(Scopes),
});
export type PairingInput = Static<typeof PairingInput>;

/** What pairs one phone, once, within ten minutes. */
export const Pairing = Closed({
  pairing_code: Type.String({ description: 'for one use; shown here and never again' }),
  pairing_url: Type.String({ description: 'what the QR holds; the code is in its fragment' }),
  qr_svg: Type.String({ description: 'the QR as the text of an SVG' }),
  expires_at: Time,
  branch_id: Uuid,
  branch_name: Type.String(),
  merchant_name: Type.String(),
});
export type Pairing = Static<typeof Pairing>;

export const PairInput = Closed({
  pairing_code: Type.String({ minLength: 1, maxLength: 200 }),
  device_name: Type.Optional(DeviceName),
});

/** The answer to a pairing code: the device and its token. */
export const Paired = Closed({
  device_token: Type.String({ description: 'shown here and never again' }),
  ...OwnDevice.properties,
});
export type Paired = Static<typeof Paired>;
