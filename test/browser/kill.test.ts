/** The power goes in the middle of a redeem and of a confirm, at home, and comes back. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openChromium } from './support/chromium.ts';
import { install } from './support/installation.ts';
import { startButton, startShift, tap, typeCode, untilVerdict } from './support/scanner.ts';
import { codeOf, openSheet, qrOf, redeem } from './support/wallet.ts';

const OFFER = 'Café Gratis';
/** How long after the request left the server is killed: before, while and after it is done. */
const MOMENTS_MS = [0, 6, 80];

const home = await install();
const { phone, camera } = await openChromium();
const token = home.lumis('token', '--user', '1');
const redemptions = async () => {
  const path = `${home.url}/api/v1/rewards/redemptions?limit=100`;
  const reply = await fetch(path, { headers: { authorization: `Bearer ${token}` } });
  return ((await reply.json()) as any).data as any[];
};

for (const moment of MOMENTS_MS) {
  test(`killed ${moment} ms after redeem and confirm were asked`, async () => {
    const before = (await redemptions()).length;
    const wallet = await phone();
    await wallet.page.goto(`${home.url}/wallet/#token=${token}`);
    await openSheet(wallet.page, OFFER);
    const asked = wallet.page.waitForRequest(
      (request) => request.method() === 'POST' && request.url().endsWith('/rewards/redemptions'),
    );
    await wallet.page.getByRole('button', { name: /^Canjear por/ }).click({ noWaitAfter: true });
    await asked;
    await sleep(moment);
    await home.kill();
    // the answer may have been quicker than the end: then its code must outlive it
    const isShown = (await qrOf(wallet.page, OFFER).count()) > 0;
    const shown = isShown ? await codeOf(wallet.page) : undefined;
    await home.start();
    const check = wallet.page.getByRole('button', { name: /^Comprobar/ });
    const qr = qrOf(wallet.page, OFFER);
    const deadline = Date.now() + 30_000;
    while ((await qr.count()) === 0 && Date.now() < deadline) {
      if (await check.isEnabled({ timeout: 200 }).catch(() => false)) {
        await check.click({ timeout: 1000 }).catch(() => undefined);
      }
      await sleep(300);
    }
    assert.equal((await redemptions()).length, before + 1, 'once');
    const code = await codeOf(wallet.page);
    if (shown !== undefined) assert.equal(code, shown, 'what was shown stays');

    const scanner = await phone();
    const paired = JSON.parse(
      home.lumis('device', 'pair', '--merchant', 'Café Test', '--json'),
    ) as { pairing_url: string };
    await scanner.page.goto(paired.pairing_url);
    await scanner.page.getByRole('button', { name: 'Vincular', exact: true }).click();
    await startButton(scanner.page).waitFor();
    await startShift(scanner.page);
    await typeCode(scanner.page, code);
    await untilVerdict(scanner.page, 'Válido');
    const confirming = scanner.page.waitForRequest((request) => request.url().endsWith('/confirm'));
    await tap(scanner.page, 'Confirmar canje');
    await confirming;
    await sleep(moment);
    await home.kill();
    await home.start();
    await untilVerdict(scanner.page, 'Canje confirmado');
    await wallet.page.getByText('Listo, lo canjeaste en Café Test').waitFor();
    const confirmed = (await redemptions()).filter((one) => one.redemption_status === 'confirmed');
    assert.equal(confirmed.length, before + 1);
    await wallet.context.close();
    await scanner.context.close();
  });
}

test('the demonstration works by taps alone', async () => {
  const wallet = await phone();
  await wallet.page.goto(`${home.url}/wallet/`);
  await wallet.page.getByRole('button', { name: /^Entrar como Luis Herrera/ }).click();
  await wallet.page.getByText('Lümis disponibles').waitFor();
  await redeem(wallet.page, OFFER);
  const scanner = await phone();
  await scanner.page.goto(`${home.url}/scan/`);
  await scanner.page.getByRole('button', { name: /comercio de demostración/ }).click();
  await startShift(scanner.page);
  camera.showScreen(await wallet.page.screenshot());
  await untilVerdict(scanner.page, 'Válido');
  camera.showNothing();
  await tap(scanner.page, 'Confirmar canje');
  await untilVerdict(scanner.page, 'Canje confirmado');
  await wallet.page.getByText('Listo, lo canjeaste en Café Test').waitFor();
  assert.deepEqual([...wallet.complaints, ...scanner.complaints], []);
});

test('after all that, everything adds up', () => {
  assert.match(home.lumis('verify'), /all \d+ invariants hold/);
});
