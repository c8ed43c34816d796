import assert from 'node:assert/strict';
import type { Branch, Paired, Pairing } from '../../src/contract/device.ts';
import { digestOf, parseDeviceToken } from '../../src/devices/token.ts';
import type { TestApp } from './app.ts';

/** A merchant with a branch and a phone that was paired with it over the API. */
export interface Till {
  merchant_id: string;
  api_key: string;
  branch: Branch;
  device: Paired;
}

/** A pairing for a branch, made with the merchant's key. */
export async function makePairing(
  test: TestApp,
  apiKey: string,
  body: { branch_id: string; device_name?: string; scopes?: string[] },
): Promise<Pairing> {
  const made = await test.call('POST', '/merchant/pairings', { token: apiKey, body });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}

/** What a phone does with a pairing code. */
export function exchange(test: TestApp, pairing_code: string, device_name?: string) {
  const body = { pairing_code, ...(device_name === undefined ? {} : { device_name }) };
  return test.call('POST', '/devices/pair', { body });
}

/** A branch of a merchant, made with its key. */
export async function makeBranch(
  test: TestApp,
  apiKey: string,
  body: { branch_name: string; time_zone?: string },
): Promise<Branch> {
  const made = await test.call('POST', '/merchant/branches', { token: apiKey, body });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}

/** Another phone of a branch. */
export async function makeDevice(
  test: TestApp,
  apiKey: string,
  branch_id: string,
  ...scopes: string[]
): Promise<Paired> {
  const wanted = { branch_id, ...(scopes.length > 0 ? { scopes } : {}) };
  const { pairing_code } = await makePairing(test, apiKey, wanted);
  const paired = await exchange(test, pairing_code, 'Caja');
  assert.equal(paired.status, 201, JSON.stringify(paired.body));
  return paired.body;
}

/** A new merchant with one branch and one phone. */
export async function makeTill(test: TestApp, ...scopes: string[]): Promise<Till> {
  const { merchant_id, api_key } = await test.merchant();
  const branch = await makeBranch(test, api_key, { branch_name: 'Principal' });
  const device = await makeDevice(test, api_key, branch.branch_id, ...scopes);
  return { merchant_id, api_key, branch, device };
}

let member = 5000;

/** A pending redemption of a new member. */
export async function makeCode(test: TestApp, merchant_id: string | null) {
  const offer_id = await test.offer({ merchant_id });
  member += 1;
  await test.grant(member, 100);
  const token = await test.member(member);
  const { status, body } = await test.call('POST', '/rewards/redemptions', {
    token,
    body: { offer_id },
  });
  assert.equal(status, 201, JSON.stringify(body));
  return { ...body, member: token } as {
    redemption_id: string;
    redemption_code: string;
    member: string;
  };
}

/** Of each shop a phone that may do everything a phone can. */
export async function makePhones(
  test: TestApp,
  shops: readonly { api_key: string }[],
): Promise<Paired[]> {
  const phones: Paired[] = [];
  for (const { api_key } of shops) {
    const { branch_id } = await makeBranch(test, api_key, { branch_name: 'Uno' });
    phones.push(await makeDevice(test, api_key, branch_id, 'reverse'));
  }
  return phones;
}

/** Lets phones work again, whatever was done to them: revoked, rolled, their branch closed. */
export async function mendPhones(test: TestApp, phones: readonly Paired[]): Promise<void> {
  for (const { device_id, device_token } of phones) {
    const digest = digestOf(parseDeviceToken(device_token)?.secret ?? '');
    const text = `WITH device AS (
        UPDATE lumis.devices SET revoked_at = NULL, secret_hash = $2 WHERE device_id = $1
        RETURNING branch_id
      )
      UPDATE lumis.branches b SET branch_name = gen_random_uuid()::text, is_active = true
      FROM device d WHERE d.branch_id = b.branch_id`;
    await test.db.query({ name: '', text, values: [device_id, digest] });
  }
}

/** SQL by which an unknown device did one thing, and one that had ended another. */
export function strangeDevices(merchant: string, confirmed: string, reversed: string): string {
  const by = (device: string, id: string, action: string) =>
    `UPDATE rewards.redemption_audit_log SET actor_type = 'merchant', actor_id = '${merchant}',
       metadata = metadata || '{"device_id": "${device}"}'
     WHERE redemption_id = '${id}' AND action = '${action}'`;
  return `INSERT INTO lumis.branches (branch_id, merchant_id, branch_name, time_zone)
      VALUES ('${merchant}', '${merchant}', 'Centro', 'UTC');
    INSERT INTO lumis.devices (device_id, merchant_id, branch_id, device_name, scopes, secret_hash,
      created_by, revoked_at)
    SELECT d, '${merchant}', '${merchant}', 'Caja', '{scan}', '', 'test', at
    FROM (VALUES ('ended', now() - interval '1 hour'), ('good', NULL)) AS v(d, at);
    ${by('unknown', confirmed, 'confirmed')};
    ${by('good', reversed, 'confirmed')};
    ${by('ended', reversed, 'reversed')}`;
}
