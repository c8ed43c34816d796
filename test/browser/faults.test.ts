/** What goes wrong between a page and its server: the pages tell the truth, and nothing is doubled. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { brokenStorage, wrongClock } from './support/cameras.ts';
import { openChromium } from './support/chromium.ts';
import { pair, startShift, tap, typeCode, untilVerdict, verdict } from './support/scanner.ts';
import { openStage } from './support/stage.ts';
import { codeOf, enterWallet, openSheet, qrOf, redeem } from './support/wallet.ts';

const OFFER = 'Café gratis';
const TEN_MINUTES_MS = 600_000;
const stage = await openStage();
const [{ proxy }] = stage.nodes as [(typeof stage.nodes)[0]];
const { phone } = await openChromium();
const cafe = await stage.merchant('Café del Parque');
const { merchant_id } = cafe;
const offer = await stage.offer({ name_friendly: OFFER, lumis_cost: 50, merchant_id });
let lastMember = 200;

async function member(): Promise<number> {
  lastMember += 1;
  await stage.grant(lastMember, 500);
  return lastMember;
}

const redemptionsOf = async (userId: number) =>
  (await stage.call('GET', '/rewards/redemptions', { token: await stage.member(userId) })).body
    .data as any[];

for (const how of ['cut', 'refuse', 'hang'] as const) {
  test(`redeem, and the answer is lost (${how}): one redemption`, async () => {
    const userId = await member();
    const { page } = await phone();
    await enterWallet(page, stage, userId);
    await openSheet(page, OFFER);
    proxy.break({ match: /^POST \/api\/v1\/rewards\/redemptions /, how });
    const before = proxy.broken();
    await page.getByRole('button', { name: /^Canjear por/ }).click();
    await qrOf(page, OFFER).waitFor();
    assert.equal(proxy.broken(), before + 1);
    assert.equal((await redemptionsOf(userId)).length, 1);
  });
}

test('redeem, no answer at all, and the page is closed: it is found again', async () => {
  const userId = await member();
  const { page } = await phone();
  await enterWallet(page, stage, userId);
  await openSheet(page, OFFER);
  proxy.break({ match: /^POST \/api\/v1\/rewards\/redemptions /, how: 'cut', times: 1 });
  proxy.break({ match: /^POST \/api\/v1\/rewards\/redemptions /, how: 'refuse', times: 50 });
  await page.getByRole('button', { name: /^Canjear por/ }).click();
  await page
    .getByText(/No sabemos si/)
    .first()
    .waitFor();
  await page.reload();
  proxy.mend();
  await page.goto(`${stage.url}/wallet/`);
  await page
    .getByRole('link', { name: `Mostrar QR de ${OFFER}` })
    .or(page.getByText(`No sabemos si tu canje de ${OFFER} salió.`))
    .first()
    .waitFor();
  assert.equal((await redemptionsOf(userId)).length, 1);
  await page.goto(`${stage.url}/wallet/offers/${offer}`);
  await sleep(2000);
  assert.equal((await redemptionsOf(userId)).length, 1, 'looking again is not redeeming again');
});

for (const how of ['cut', 'hang'] as const) {
  test(`confirm, and the answers are lost (${how}): unsure, then what happened`, async () => {
    const userId = await member();
    const { redemption_code, redemption_id } = await stage.redeemed(userId, offer);
    const { page } = await phone();
    await pair(page, stage, cafe);
    await startShift(page);
    await typeCode(page, redemption_code);
    await untilVerdict(page, 'Válido');
    proxy.break({ match: /^POST .*\/confirm /, how, times: how === 'cut' ? 8 : 2 });
    const keys = new Set<string | undefined>();
    page.on('request', (request) => {
      if (request.url().endsWith('/confirm')) keys.add(request.headers()['idempotency-key']);
    });
    await tap(page, 'Confirmar canje');
    await untilVerdict(page, 'No sabemos si se confirmó');
    await verdict(page)
      .getByText(/no entregues todavía/i)
      .first()
      .waitFor();
    proxy.mend();
    await untilVerdict(page, 'Canje confirmado');
    assert.equal(keys.size, 1, 'always the same key');
    const { body } = await stage.call('GET', `/admin/audit?redemption_id=${redemption_id}`, {
      token: await stage.admin(),
    });
    const actions = body.data.map((row: { action: string }) => row.action);
    assert.equal(actions.filter((action: string) => action === 'confirmed').length, 1);
  });
}

test('confirm, no answer, and the tab is killed: it looks it up when it is back', async () => {
  const { redemption_code } = await stage.redeemed(await member(), offer);
  const { page, context } = await phone();
  await pair(page, stage, cafe);
  await startShift(page);
  await typeCode(page, redemption_code);
  await untilVerdict(page, 'Válido');
  proxy.break({ match: /^POST .*\/confirm /, how: 'hang', times: 20 });
  await tap(page, 'Confirmar canje');
  await sleep(300);
  await page.close();
  proxy.mend();
  const again = await context.newPage();
  await again.goto(`${stage.url}/scan/`);
  await untilVerdict(again, 'Canje confirmado');
});

test('the stream is cut while the cashier confirms: the wallet finds out', async () => {
  const userId = await member();
  const { page } = await phone();
  await enterWallet(page, stage, userId);
  await redeem(page, OFFER);
  const [{ redemption_id }] = await redemptionsOf(userId);
  proxy.down();
  await sleep(500);
  const { api_key: token } = cafe;
  await stage.call('POST', `/merchant/redemptions/${redemption_id}/confirm`, { token });
  await qrOf(page, OFFER).waitFor();
  proxy.up();
  await page.getByText('Listo, lo canjeaste en Café del Parque').waitFor();
});

for (const how of ['full', 'forbidden'] as const) {
  test(`storage is ${how}: both apps work, and say what will not be kept`, async () => {
    const userId = await member();
    const script = brokenStorage(how);
    const wallet = await phone({ script, serviceWorkers: 'block' });
    await enterWallet(wallet.page, stage, userId);
    await wallet.page
      .getByText(/no guarda datos/)
      .first()
      .waitFor();
    await redeem(wallet.page, OFFER);
    const code = await codeOf(wallet.page);
    const scanner = await phone({ script, serviceWorkers: 'block' });
    await pair(scanner.page, stage, cafe);
    await startShift(scanner.page);
    await scanner.page
      .getByText(/no guarda datos/)
      .first()
      .waitFor();
    await typeCode(scanner.page, code);
    await untilVerdict(scanner.page, 'Válido');
    await tap(scanner.page, 'Confirmar canje');
    await untilVerdict(scanner.page, 'Canje confirmado');
    await wallet.page.getByText('Listo, lo canjeaste en Café del Parque').waitFor();
    const uncaught = [...wallet.complaints, ...scanner.complaints];
    assert.deepEqual(
      uncaught.filter((line) => line.startsWith('uncaught')),
      [],
    );
  });
}

for (const byMs of [TEN_MINUTES_MS, -TEN_MINUTES_MS]) {
  test(`a phone's clock is ${byMs / 60_000} minutes off: times are the server's`, async () => {
    const userId = await member();
    const { redemption_id, redemption_code } = await stage.redeemed(userId, offer);
    await stage.expire(redemption_id, 15 * 60);
    const { page } = await phone({ script: wrongClock(byMs) });
    await enterWallet(page, stage, userId);
    await page.getByRole('link', { name: `Mostrar QR de ${OFFER}` }).click();
    await page
      .getByText(/Vence en 1[45]\smin/)
      .first()
      .waitFor();
    const scanner = await phone({ script: wrongClock(byMs) });
    await pair(scanner.page, stage, cafe);
    await startShift(scanner.page);
    await typeCode(scanner.page, redemption_code);
    await untilVerdict(scanner.page, 'Válido');
    await verdict(scanner.page)
      .getByText(/Vence en 1[45]\smin/)
      .waitFor();
    await tap(scanner.page, 'Confirmar canje');
    await untilVerdict(scanner.page, 'Canje confirmado');
    await tap(scanner.page, 'Siguiente');
    await typeCode(scanner.page, redemption_code);
    await untilVerdict(scanner.page, /Ya lo confirmaste hace \d{1,2}\ss/);
  });
}
