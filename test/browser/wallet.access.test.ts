/** Everybody can use the wallet: every screen, es and en, light and dark, narrow, big, by keys. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChromium } from './support/chromium.ts';
import { CALM, examine, moving } from './support/examine.ts';
import { choose, tabTo } from './support/keyboard.ts';
import { openStage } from './support/stage.ts';
import { enterWallet, qrOf, redeem } from './support/wallet.ts';

const MEMBER = 7;
const stage = await openStage();
const { phone } = await openChromium();
const merchant = await stage.merchant('Panadería y Dulcería La Esquina de Santa Ana');
const { merchant_id, api_key: token } = merchant;
await stage.grant(MEMBER, 12_345);
const OFFER = 'Café gratis';
const offer = await stage.offer({ name_friendly: OFFER, lumis_cost: 50, merchant_id });
await stage.offer({
  name_friendly: 'Desayuno interoceánico para toda la familia extraordinariamente numerosa',
  description: 'Con hojaldres, tortillas, queso blanco y café. Válido de lunes a viernes.',
  lumis_cost: 99_999,
  merchant_id,
  stock_quantity: 3,
  offer_category: 'food_drink',
});
await stage.offer({ name_friendly: 'Palomitas', lumis_cost: 30, stock_quantity: 0, merchant_id });
const screens = await makeScreens();

async function makeScreens(): Promise<Record<string, string>> {
  const pending = await stage.redeemed(MEMBER, offer);
  const confirmed = await stage.redeemed(MEMBER, offer);
  await stage.call('POST', `/merchant/redemptions/${confirmed.redemption_id}/confirm`, { token });
  const cancelled = await stage.redeemed(MEMBER, offer);
  await stage.call('POST', `/rewards/redemptions/${cancelled.redemption_id}/cancel`, {
    token: await stage.member(MEMBER),
  });
  const expired = await stage.redeemed(MEMBER, offer);
  await stage.expire(expired.redemption_id);
  const at = (path: string) => `${stage.url}/wallet/${path}`;
  return {
    home: at(''),
    'nothing found': at('?q=nada'),
    sheet: at(`?redeem=${offer}`),
    qr: at(`redemptions/${pending.redemption_id}`),
    confirmed: at(`redemptions/${confirmed.redemption_id}`),
    cancelled: at(`redemptions/${cancelled.redemption_id}`),
    expired: at(`redemptions/${expired.redemption_id}`),
    'not mine': at('redemptions/00000000-0000-7000-8000-000000000000'),
    history: at('history'),
    ledger: at('ledger'),
    settings: at('settings'),
  };
}

for (const locale of ['es-PA', 'en-GB']) {
  test(`every screen of the wallet in ${locale}`, async () => {
    const { page } = await phone({ locale, ...CALM });
    const faults: string[] = [];
    await page.goto(`${stage.url}/wallet/`);
    await page.waitForLoadState('networkidle');
    faults.push(...(await examine(page, 'signed out')));
    await page.goto(`${stage.url}/wallet/#token=${await stage.member(MEMBER)}`);
    await page
      .getByText(/disponibles|available/)
      .first()
      .waitFor();
    for (const [name, url] of Object.entries(screens)) {
      await page.goto(url);
      // an open stream keeps the network busy, so this is no wait for silence
      await page.locator('.skeleton').first().waitFor({ state: 'detached' });
      await page.waitForTimeout(400);
      assert.equal(await page.locator('html').getAttribute('lang'), locale.slice(0, 2));
      faults.push(...(await examine(page, name)));
      assert.equal(await page.locator('h1').count(), 1, `${name}: one h1`);
    }
    assert.deepEqual(faults, []);
  });
}

test('from the offer to the QR and back without mouse or touch', async () => {
  const { page } = await phone({ hasTouch: false, viewport: { width: 1024, height: 768 } });
  await enterWallet(page, stage, MEMBER);
  await page.keyboard.press('Tab');
  const skip = page.getByText('Ir al contenido');
  assert.ok(await skip.evaluate((item) => item === (globalThis as any).document.activeElement));
  const link = page.getByRole('link', { name: `Canjear ${OFFER}` });
  await choose(page, link);
  const sheet = page.getByRole('dialog');
  await sheet.waitFor();
  assert.ok(
    await sheet.evaluate((one) => one.contains((globalThis as any).document.activeElement)),
  );
  await page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'hidden' });
  assert.ok(await link.evaluate((one) => one === (globalThis as any).document.activeElement));
  await page.keyboard.press('Enter');
  await choose(page, page.getByRole('button', { name: /^Canjear por / }));
  await qrOf(page, OFFER).waitFor();
  await choose(page, page.getByRole('button', { name: 'Cancelar canje' }));
  const ask = page.getByRole('dialog').or(page.getByRole('alertdialog'));
  await ask.waitFor();
  const focused = await page.evaluate(() => (globalThis as any).document.activeElement.textContent);
  assert.ok(!/^Cancelar canje/.test(focused), 'the focus is not on what cannot be undone');
  await choose(page, ask.getByRole('button', { name: 'Cancelar canje' }));
  await page.getByText('Canje cancelado').first().waitFor();
  await tabTo(page, page.getByRole('link', { name: 'Inicio' }).first());
});

test('nothing moves for those who asked for that', async () => {
  const { page } = await phone({ reducedMotion: 'reduce' });
  await enterWallet(page, stage, MEMBER);
  assert.deepEqual(await moving(page), []);
  await page.getByRole('link', { name: `Canjear ${OFFER}` }).click();
  await page.getByRole('dialog').waitFor();
  assert.deepEqual(await moving(page), []);
  await page.keyboard.press('Escape');
  await redeem(page, OFFER);
  assert.deepEqual(await moving(page), []);
});
