/** Everybody can work with the scanner: every screen and verdict, es and en, light and dark. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { openChromium } from './support/chromium.ts';
import { CALM, examine, moving } from './support/examine.ts';
import { choose } from './support/keyboard.ts';
import {
  pair,
  startButton,
  startShift,
  typeCode,
  untilVerdict,
  verdict,
} from './support/scanner.ts';
import { openStage } from './support/stage.ts';

const MEMBER = 7;
const stage = await openStage();
const [{ proxy }] = stage.nodes as [(typeof stage.nodes)[0]];
const { phone } = await openChromium();
const cafe = await stage.merchant('Panadería y Dulcería La Esquina de Santa Ana');
const { merchant_id, api_key: token } = cafe;
await stage.grant(MEMBER, 12_345);
const OFFER = 'Desayuno interoceánico para toda la familia extraordinariamente numerosa';
const offer = await stage.offer({ name_friendly: OFFER, merchant_id });
const one = () => stage.redeemed(MEMBER, offer);
const theirs = async () => {
  const { merchant_id } = await stage.merchant();
  return stage.offer({ merchant_id });
};
const LEAVE = /^(Siguiente|Next|Cancelar|Cancel|Escanear otra vez|Scan again)$/;
const leave = async (page: Page) => {
  await verdict(page).getByRole('button', { name: LEAVE }).first().click();
  await verdict(page).waitFor({ state: 'hidden' });
};

for (const locale of ['es-PA', 'en-GB']) {
  test(`every screen and verdict in ${locale}`, async () => {
    const { page, context } = await phone({ locale, ...CALM });
    const faults: string[] = [];
    const look = async (name: string) => faults.push(...(await examine(page, name)));
    await page.goto(`${stage.url}/scan/`);
    await page.getByRole('button', { name: /Escanear el QR|Scan the QR/ }).waitFor();
    await look('not paired');
    await page.goto('about:blank');
    await pair(page, stage, cafe);
    await look('before the shift');
    await startShift(page);
    assert.equal(await page.locator('html').getAttribute('lang'), locale.slice(0, 2));
    await look('ready');
    const { redemption_code } = await one();
    await typeCode(page, 'LUMS-12');
    await look('mistyped');
    await typeCode(page, redemption_code);
    await untilVerdict(page, /^(Válido|Valid)$/);
    await look('valid');
    await verdict(page)
      .getByRole('button', { name: /^Confirm/ })
      .click();
    await untilVerdict(page, /^(Canje confirmado|Confirmed)$/);
    await look('confirmed');
    await leave(page);
    await typeCode(page, redemption_code);
    await untilVerdict(page, /Ya lo confirmaste|You confirmed/);
    await look('used here');
    await leave(page);
    for (const [name, prepare] of Object.entries(refused)) {
      await typeCode(page, await prepare());
      await verdict(page).waitFor();
      await look(name);
      await leave(page);
    }
    const offline = (await one()).redemption_code;
    await context.setOffline(true);
    await typeCode(page, offline);
    await untilVerdict(page, /Sin conexión|Offline/);
    await look('offline');
    await leave(page);
    await look('ready, offline');
    await context.setOffline(false);
    await page
      .getByRole('button', { name: /^(Ver|See)$/ })
      .first()
      .click();
    await page.waitForTimeout(400);
    await look('pending');
    await page.goto(`${stage.url}/scan/`);
    await startShift(page);
    proxy.break({ match: /^POST .*\/confirm /, how: 'hang', times: 9 });
    await typeCode(page, offline);
    await untilVerdict(page, /^(Válido|Valid)$/);
    await verdict(page)
      .getByRole('button', { name: /^Confirm/ })
      .click();
    await untilVerdict(page, /No sabemos|We can/);
    await look('unsure');
    proxy.mend();
    await untilVerdict(page, /^(Canje confirmado|Confirmed)$/);
    await leave(page);
    await page.getByText(OFFER).first().click();
    await page.getByRole('dialog').getByRole('heading').first().waitFor();
    await look('detail');
    assert.deepEqual(faults, []);
  });
}

const refused: Record<string, () => Promise<string>> = {
  async used() {
    const { redemption_id, redemption_code } = await one();
    await stage.call('POST', `/merchant/redemptions/${redemption_id}/confirm`, { token });
    return redemption_code;
  },
  async expired() {
    const { redemption_id, redemption_code } = await one();
    await stage.expire(redemption_id);
    return redemption_code;
  },
  async unknown() {
    return (await stage.redeemed(MEMBER, await theirs())).redemption_code;
  },
};

test('a camera that is denied, in words and by keys', async () => {
  const { phone } = await openChromium('denied');
  const { page } = await phone(CALM);
  await pair(page, stage, cafe);
  await startButton(page).click();
  await page.getByText('La cámara está bloqueada').first().waitFor();
  assert.deepEqual(await examine(page, 'denied'), []);
});

test('a shift without mouse or touch', async () => {
  const { page } = await phone({ hasTouch: false, viewport: { width: 1024, height: 768 } });
  await pair(page, stage, cafe);
  await choose(page, startButton(page));
  await typeCode(page, (await one()).redemption_code);
  await untilVerdict(page, 'Válido');
  const inside = () =>
    verdict(page).evaluate((box) => {
      const { activeElement, body } = (globalThis as any).document;
      return box.contains(activeElement) || activeElement === body;
    });
  assert.ok(await inside(), 'the focus is in the verdict');
  for (let i = 0; i < 6; i += 1) {
    await page.keyboard.press('Tab');
    // or at the browser's own buttons, between the last and the first
    assert.ok(await inside(), 'and does not go behind it');
  }
  await choose(page, verdict(page).getByRole('button', { name: 'Confirmar canje' }));
  await untilVerdict(page, 'Canje confirmado');
  await choose(page, verdict(page).getByRole('button', { name: 'Siguiente' }));
  await verdict(page).waitFor({ state: 'hidden' });
});

test('nothing moves for those who asked for that; landscape holds the buttons', async () => {
  const { page } = await phone({ reducedMotion: 'reduce', viewport: { width: 740, height: 360 } });
  await pair(page, stage, cafe);
  await startShift(page);
  await typeCode(page, (await one()).redemption_code);
  await untilVerdict(page, 'Válido');
  assert.deepEqual(await moving(page), []);
  const confirm = verdict(page).getByRole('button', { name: 'Confirmar canje' });
  const box = await confirm.boundingBox();
  assert.ok(box && box.height >= 52, `${box?.height} px high`);
  assert.ok(box.y + box.height <= 360 || (await confirm.evaluate(canScroll)), 'within reach');
});

function canScroll(item: any): boolean {
  item.scrollIntoView();
  const { bottom } = item.getBoundingClientRect();
  return bottom <= (globalThis as any).innerHeight + 1;
}
