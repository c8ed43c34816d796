/** Everybody can read the public pages: every state, es and en, light and dark, narrow, big. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChromium } from './support/chromium.ts';
import { CALM, examine } from './support/examine.ts';
import { openStage } from './support/stage.ts';

const MEMBER = 7;
const stage = await openStage();
const chromium = await openChromium();
const pages = await makePages();

async function makePages(): Promise<Record<string, string>> {
  const merchant = await stage.merchant('Panadería y Dulcería La Esquina de Santa Ana');
  await stage.grant(MEMBER, 1000);
  const offer = await stage.offer({
    name_friendly: 'Café americano gratis',
    merchant_id: merchant.merchant_id,
  });
  const { api_key: token } = merchant;
  const one = async () => stage.redeemed(MEMBER, offer);
  const pending = await one();
  const confirmed = await one();
  const path = `/merchant/redemptions/${confirmed.redemption_id}`;
  assert.equal((await stage.call('POST', `${path}/confirm`, { token })).status, 200);
  const cancelled = await one();
  await stage.call('POST', `/rewards/redemptions/${cancelled.redemption_id}/cancel`, {
    token: await stage.member(MEMBER),
  });
  const expired = await one();
  await stage.expire(expired.redemption_id);
  return {
    home: stage.url,
    pending: pending.qr_landing_url,
    confirmed: confirmed.qr_landing_url,
    cancelled: cancelled.qr_landing_url,
    expired: expired.qr_landing_url,
    unknown: `${stage.url}/r/00000000000000000000000000000000`,
  };
}

for (const locale of ['es-PA', 'en-GB']) {
  test(`the public pages in ${locale}`, async () => {
    const { page, complaints } = await chromium.phone({ locale, ...CALM });
    const faults: string[] = [];
    for (const [name, url] of Object.entries(pages)) {
      await page.goto(url);
      assert.equal(await page.locator('html').getAttribute('lang'), locale.slice(0, 2));
      faults.push(...(await examine(page, name)));
    }
    assert.deepEqual([...faults, ...complaints], []);
  });
}
