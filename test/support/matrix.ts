/** What every route answers to whom: see `test/http.matrix.test.ts`. */

import { randomUUID } from 'node:crypto';

/**
 * audience, method, path, kind of object, then what those it is for are told when the object is
 * their own, another's, or absent (`=`: the same as before). `-` is nothing. HEAD is expected to
 * answer as GET does. What is for somebody is below /api/v1, and some of what is public too.
 * `merchant+scan` is open to a merchant's devices with that scope too, `device` to devices alone.
 */
export const EXPECTED = readTable(`
  -        OPTIONS *                                             -         404:not_found
  -        GET    /docs                                          -         200
  -        GET    /docs/static/index.html                        -         302
  -        GET    /docs/static/swagger-initializer.js            -         200
  -        GET    /docs/static/*                                 -         200
  -        GET    /docs/json                                     -         200
  -        GET    /docs/yaml                                     -         200
  public   GET    /                                              -         200
  public   GET    /assets/page.css                               -         200
  public   GET    /assets/icon.svg                               -         200
  public   GET    /openapi.json                                  -         200
  public   GET    /healthz                                       -         200
  public   GET    /readyz                                        -         200
  public   GET    /metrics                                       -         200
  public   GET    /config                                        -         200
  public   POST   /devices/pair                                  code-once 201 = 401:unauthorized
  public   GET    /r/:token                                      token     200 = 404
  member   GET    /rewards/offers                                -         200
  member   GET    /rewards/offers/:offer_id                      offer     200 = 404:unknown_offer
  member   POST   /rewards/redemptions                           redeem    201 = 404:unknown_offer
  member   GET    /rewards/redemptions                           -         200
  member   GET    /rewards/redemptions/:redemption_id            pending   200 404:not_found =
  member   POST   /rewards/redemptions/:redemption_id/cancel     pending   200 404:not_found =
  member   GET    /rewards/redemptions/:redemption_id/qr.svg     pending   200 404:not_found =
  member   GET    /rewards/redemptions/:redemption_id/qr.png     pending   200 404:not_found =
  member   GET    /rewards/redemptions/:redemption_id/events     pending   200 404:not_found =
  member   GET    /rewards/redemptions/:redemption_id/timeline   pending   200 404:not_found =
  member   GET    /rewards/balance                               -         200
  member   GET    /rewards/ledger                                -         200
  merchant+scan POST   /merchant/validate                             code      200 404:unknown_code =
  merchant+scan POST   /merchant/redemptions/:redemption_id/confirm   pending   200 404:unknown_code =
  merchant+reverse POST   /merchant/redemptions/:redemption_id/reverse   confirmed 200 404:unknown_code =
  merchant GET    /merchant/redemptions                          -         200
  merchant GET    /merchant/stats                                -         200
  merchant+scan GET    /merchant/day                                  -         200
  merchant+scan GET    /merchant/events                               -         200
  device   GET    /merchant/device                               self      200
  device   DELETE /merchant/device                               self      204
  merchant GET    /merchant/branches                             -         200
  merchant POST   /merchant/branches                             -         201
  merchant PATCH  /merchant/branches/:branch_id                  branch    200 404:not_found =
  merchant DELETE /merchant/branches/:branch_id                  branch    204 404:not_found =
  merchant GET    /merchant/devices                              -         200
  merchant PATCH  /merchant/devices/:device_id                   device    200 404:not_found =
  merchant DELETE /merchant/devices/:device_id                   device    204 404:not_found =
  merchant POST   /merchant/devices/:device_id/roll              device    201 404:not_found =
  merchant POST   /merchant/pairings                             pairing   201 400:invalid_request =
  admin    GET    /admin/members                                 -         200
  admin    GET    /admin/members/:user_id/balance                user      200 = =
  admin    GET    /admin/members/:user_id/ledger                 user      200 = =
  admin    POST   /admin/members/:user_id/ledger                 user      201 = =
  admin    GET    /admin/redemptions                             -         200
  admin    GET    /admin/redemptions/:redemption_id              pending   200 = 404:not_found
  admin    POST   /admin/redemptions/:redemption_id/cancel       pending   200 = 404:not_found
  admin    POST   /admin/redemptions/:redemption_id/reverse      confirmed 200 = 404:unknown_code
  admin    GET    /admin/audit                                   -         200
  admin    GET    /admin/changes                                 -         200
  admin    GET    /admin/offers                                  -         200
  admin    POST   /admin/offers                                  -         201
  admin    GET    /admin/offers/:offer_id                        offer     200 = 404:unknown_offer
  admin    PATCH  /admin/offers/:offer_id                        offer     200 = 404:unknown_offer
  admin    DELETE /admin/offers/:offer_id                        offer     204 = 404:unknown_offer
  admin    GET    /admin/merchants                               -         200
  admin    POST   /admin/merchants                               -         201
  admin    GET    /admin/merchants/:merchant_id                  merchant  200 = 404:not_found
  admin    PATCH  /admin/merchants/:merchant_id                  merchant  200 = 404:not_found
  admin    DELETE /admin/merchants/:merchant_id                  merchant  204 = 404:not_found
  admin    GET    /admin/merchants/:merchant_id/keys             merchant  200 = 404:not_found
  admin    POST   /admin/merchants/:merchant_id/keys             merchant  201 = 404:not_found
  admin    DELETE /admin/merchants/:merchant_id/keys/:key_id     key       204 404:not_found =
  admin    GET    /admin/merchants/:merchant_id/branches         merchant  200 = 404:not_found
  admin    POST   /admin/merchants/:merchant_id/branches         merchant  201 = 404:not_found
  admin    PATCH  /admin/merchants/:merchant_id/branches/:branch_id    branch 200 404:not_found =
  admin    DELETE /admin/merchants/:merchant_id/branches/:branch_id    branch 204 404:not_found =
  admin    GET    /admin/merchants/:merchant_id/devices          merchant  200 = 404:not_found
  admin    PATCH  /admin/merchants/:merchant_id/devices/:device_id     device 200 404:not_found =
  admin    DELETE /admin/merchants/:merchant_id/devices/:device_id     device 204 404:not_found =
  admin    POST   /admin/merchants/:merchant_id/devices/:device_id/roll  device 201 404:not_found =
  admin    POST   /admin/merchants/:merchant_id/pairings         pairing   201 400:invalid_request =
`);

export interface Expectation {
  audience: string;
  /** the scope of the devices that are let in too */
  device: string | undefined;
  kind: string;
  outcomes: string[];
}

function readTable(text: string): Map<string, Expectation> {
  const lines = text.trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [whom = '', method, path = '', kind = '', ...told] = line.trim().split(/\s+/);
      const outcomes: string[] = [];
      for (const one of told) outcomes.push(one === '=' ? (outcomes.at(-1) as string) : one);
      const [audience = '', scope] = whom.split('+');
      const device = audience === 'device' ? 'scan' : scope;
      const isOutside =
        ['-', 'public'].includes(audience) && !/^\/(devices|config|demo)/.test(path);
      const base = isOutside ? '' : '/api/v1';
      return [`${method} ${base}${path}`, { audience, device, kind, outcomes }];
    }),
  );
}

/** What a POST or PATCH sends when nothing of it names an object. */
export const BODIES: Record<string, () => object> = {
  'POST /api/v1/merchant/redemptions/:redemption_id/reverse': () => ({ reason: 'matrix' }),
  'POST /api/v1/admin/redemptions/:redemption_id/cancel': () => ({ reason: 'matrix' }),
  'POST /api/v1/admin/redemptions/:redemption_id/reverse': () => ({ reason: 'matrix' }),
  'POST /api/v1/admin/members/:user_id/ledger': () => ({ quantity: 1, reason: 'matrix' }),
  'POST /api/v1/admin/offers': () => ({ name_friendly: 'New', lumis_cost: 5 }),
  'PATCH /api/v1/admin/offers/:offer_id': () => ({ terms: 'matrix' }),
  'POST /api/v1/admin/merchants': () => ({ merchant_name: `New ${randomUUID()}` }),
  'PATCH /api/v1/admin/merchants/:merchant_id': () => ({ contact_phone: '1' }),
  'POST /api/v1/admin/merchants/:merchant_id/keys': () => ({ label: 'matrix' }),
  'POST /api/v1/merchant/branches': () => ({ branch_name: randomUUID() }),
  'PATCH /api/v1/merchant/branches/:branch_id': () => ({ time_zone: 'America/Bogota' }),
  'PATCH /api/v1/merchant/devices/:device_id': () => ({ device_name: 'matrix' }),
  'POST /api/v1/admin/merchants/:merchant_id/branches': () => ({ branch_name: randomUUID() }),
  'PATCH /api/v1/admin/merchants/:merchant_id/branches/:branch_id': () => ({
    time_zone: 'America/Bogota',
  }),
  'PATCH /api/v1/admin/merchants/:merchant_id/devices/:device_id': () => ({
    device_name: 'matrix',
  }),
};
