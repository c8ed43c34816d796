/** The scanner and its phone: pairing, access, cameras, no network. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busyCamera, drawnCamera } from './support/cameras.ts';
import { openChromium } from './support/chromium.ts';
import {
  pair,
  startButton,
  startShift,
  tap,
  typeCode,
  untilVerdict,
  verdict,
} from './support/scanner.ts';
import { openStage } from './support/stage.ts';

const MEMBER = 7;
const stage = await openStage();
const { camera, phone } = await openChromium();
const cafe = await stage.merchant('Café del Parque');
await stage.grant(MEMBER, 100_000);
const offer = await stage.offer({ name_friendly: 'Café gratis', merchant_id: cafe.merchant_id });
const { api_key: token } = cafe;
const devices = async () =>
  (await stage.call('GET', '/merchant/devices', { token })).body.data as any[];

test('pairing by the camera, and a pairing code works once', async () => {
  camera.showNothing();
  const url = await stage.pairingUrl(cafe);
  const { page, complaints } = await phone();
  await page.goto(`${stage.url}/scan/`);
  await page.getByRole('button', { name: 'Escanear el QR' }).click();
  camera.showCode(url);
  await page.getByText('Código de vinculación recibido.').waitFor();
  await page.getByLabel('Nombre de este teléfono').fill('Caja 1');
  await page.getByRole('button', { name: 'Vincular', exact: true }).click();
  await startButton(page).waitFor();
  await page.getByText('Café del Parque').first().waitFor();
  assert.equal((await devices()).at(-1).device_name, 'Caja 1');
  assert.ok(!page.url().includes('lmp_'));
  camera.showNothing();
  assert.deepEqual(complaints, []);
  const other = await phone();
  await other.page.goto(url);
  await other.page.getByText('Código de vinculación recibido.').waitFor();
  assert.ok(!other.page.url().includes('lmp_'), 'the code is gone from the address');
  await other.page.getByRole('button', { name: 'Vincular', exact: true }).click();
  await other.page
    .getByText(/ya no sirve/)
    .first()
    .waitFor();
  await other.page.getByLabel('Código de vinculación').fill(await stage.pairingUrl(cafe));
  await other.page.getByRole('button', { name: 'Vincular', exact: true }).click();
  await startButton(other.page).waitFor();
});

test('a phone that lost its access stops, and keeps nothing', async () => {
  const { page } = await phone();
  await pair(page, stage, cafe);
  await startShift(page);
  const one = (await devices()).filter(({ revoked_at }) => !revoked_at);
  for (const { device_id } of one) {
    await stage.call('DELETE', `/merchant/devices/${device_id}`, { token });
  }
  await page.getByText('Este equipo perdió el acceso').first().waitFor();
  const kept = await page.evaluate(() => JSON.stringify({ ...(globalThis as any).localStorage }));
  assert.ok(!kept.includes('lmd_'), kept);
  await page.reload();
  assert.equal(await startButton(page).count(), 0);
});

test('no network: read, kept, never green; later by a tap', async () => {
  const { page, context } = await phone();
  await pair(page, stage, cafe);
  await startShift(page);
  await page.evaluate(() => (globalThis as any).navigator.serviceWorker.ready);
  await page.waitForTimeout(1000);
  const { qr_landing_url, redemption_id } = await stage.redeemed(MEMBER, offer);
  await context.setOffline(true);
  await page.reload();
  await startShift(page);
  camera.showCode(qr_landing_url);
  await untilVerdict(page, 'Sin conexión: no se verificó');
  await verdict(page).getByText('No entregues todavía.', { exact: true }).waitFor();
  camera.showNothing();
  await context.setOffline(false);
  await tap(page, 'Reintentar');
  await untilVerdict(page, 'Válido');
  await context.setOffline(true);
  await tap(page, 'Confirmar canje');
  await verdict(page)
    .getByText(/todavía no se confirmó/)
    .waitFor();
  await context.setOffline(false);
  await page.waitForTimeout(2500);
  const path = `/rewards/redemptions/${redemption_id}`;
  const { body } = await stage.call('GET', path, { token: await stage.member(MEMBER) });
  assert.equal(body.redemption_status, 'pending', 'nothing is confirmed by itself');
  await tap(page, 'Confirmar canje');
  await untilVerdict(page, 'Canje confirmado');
});

test('denied, missing, busy: the field is there, and it works', async () => {
  for (const [kind, script, said] of [
    ['denied', undefined, 'La cámara está bloqueada'],
    ['missing', undefined, 'No encontramos una cámara'],
    ['file', busyCamera(), 'Otra aplicación usa la cámara'],
  ] as const) {
    const chromium = kind === 'file' ? { phone } : await openChromium(kind);
    const { page } = await chromium.phone(script ? { script } : {});
    await pair(page, stage, cafe);
    await startButton(page).click();
    await page.getByText(said).first().waitFor();
    await page.locator('input:focus').waitFor(); // a moment after the words, when they are painted
    await typeCode(page, (await stage.redeemed(MEMBER, offer)).redemption_code);
    await untilVerdict(page, 'Válido');
    await page.context().close();
  }
});

test('several cameras: the next one, and it is remembered', async () => {
  const several = await openChromium('several');
  const { page, context } = await several.phone();
  await context.grantPermissions(['camera']);
  await pair(page, stage, cafe);
  await startShift(page);
  const lens = () =>
    page.evaluate(() => {
      const { document } = globalThis as any;
      const [track] = document.querySelector('video').srcObject.getVideoTracks();
      return track.getSettings().deviceId as string;
    });
  const first = await lens();
  await page.getByRole('button', { name: 'Cambiar cámara' }).click();
  await page.waitForFunction((old) => {
    const stream = (globalThis as any).document.querySelector('video')?.srcObject;
    const id = stream?.getVideoTracks()[0]?.getSettings().deviceId;
    return id !== undefined && id !== old;
  }, first);
  const second = await lens();
  await page.reload();
  await startShift(page);
  assert.equal(await lens(), second);
});

test('torch and zoom only where there are any; a frozen camera is woken', async () => {
  const lit = await phone({ script: drawnCamera({ torch: true, zoom: { min: 1, max: 4 } }) });
  await pair(lit.page, stage, cafe);
  await startShift(lit.page);
  const eye = (what: string) => lit.page.evaluate(`window.lumisCamera.${what}`);
  await lit.page.getByRole('button', { name: 'Linterna' }).click();
  await lit.page.getByRole('button', { name: 'Acercar' }).click();
  await lit.page.waitForFunction(() => (globalThis as any).lumisCamera.applied.length >= 2);
  assert.match(JSON.stringify(await eye('applied')), /"torch":true.*"zoom":2/);
  assert.match(JSON.stringify(await eye('constraints')), /environment/);
  await eye('freeze()');
  await lit.page.waitForFunction(() => (globalThis as any).lumisCamera.opened >= 2);
  await eye('end()');
  await lit.page.waitForFunction(() => (globalThis as any).lumisCamera.opened >= 3);
  await lit.context.close();
  const plain = await phone({ script: drawnCamera() });
  await pair(plain.page, stage, cafe);
  await startShift(plain.page);
  assert.equal(await plain.page.getByRole('button', { name: 'Linterna' }).count(), 0);
  assert.equal(await plain.page.getByRole('button', { name: 'Acercar' }).count(), 0);
});

test('too many tries, and an answer that does not come: said, and never green', async () => {
  const rateLimits = { ...stage.config.rateLimits, misses: 2 };
  const strict = await openStage({ rateLimits });
  const [{ proxy }] = strict.nodes as [(typeof strict.nodes)[0]];
  const merchant = await strict.merchant();
  await strict.grant(MEMBER, 100);
  const { merchant_id } = merchant;
  const { redemption_code } = await strict.redeemed(MEMBER, await strict.offer({ merchant_id }));
  const { page } = await phone();
  await pair(page, strict, merchant);
  await startShift(page);
  proxy.break({ match: /^POST .*\/validate /, how: 'hang', times: 9 });
  await typeCode(page, redemption_code);
  await page
    .getByText(/Verificando/)
    .first()
    .waitFor();
  await page
    .getByText(/Tarda más de lo normal/)
    .first()
    .waitFor();
  await verdict(page).waitFor({ timeout: 25_000 });
  await verdict(page).getByText('No entregues todavía.', { exact: true }).waitFor();
  proxy.mend();
  await tap(page, 'Reintentar');
  await untilVerdict(page, 'Válido');
  await tap(page, 'Cancelar');
  const theirs = await strict.offer({ merchant_id: (await strict.merchant()).merchant_id });
  const { redemption_code: unknown } = await strict.redeemed(MEMBER, theirs);
  for (let i = 0; i < 2; i += 1) {
    await typeCode(page, unknown);
    await untilVerdict(page, 'No reconocemos este código');
    await tap(page, /Escanear otra vez|Siguiente/);
  }
  await typeCode(page, unknown);
  await untilVerdict(page, 'Demasiados intentos');
  await verdict(page)
    .getByText(/^Espera \d+\ss/)
    .waitFor();
});
