/** The wallet, screen by screen, as a member uses it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChromium } from './support/chromium.ts';
import { openStage } from './support/stage.ts';
import { codeOf, enterWallet, openSheet, qrOf, redeem } from './support/wallet.ts';

const stage = await openStage();
const { phone } = await openChromium();
const cafe = await stage.merchant('Café del Parque');
const cinema = await stage.merchant('Cine Bahía');
const { merchant_id } = cafe;
const COFFEE = await stage.offer({ name_friendly: 'Café gratis', lumis_cost: 50, merchant_id });
let lastMember = 100;

/** A member of the test's own with so many points. */
async function member(points = 500): Promise<number> {
  lastMember += 1;
  if (points > 0) await stage.grant(lastMember, points);
  return lastMember;
}

const balanceOf = async (userId: number) =>
  (await stage.call('GET', '/rewards/balance', { token: await stage.member(userId) })).body;
const redemptionsOf = async (userId: number) =>
  (await stage.call('GET', '/rewards/redemptions', { token: await stage.member(userId) })).body
    .data as any[];

test('the home screen: what I have, what I can get, and why not the rest', async () => {
  const { merchant_id } = cinema;
  await stage.offer({ name_friendly: 'Cena para dos', lumis_cost: 2000, merchant_id });
  await stage.offer({ name_friendly: 'Palomitas', lumis_cost: 30, stock_quantity: 0 });
  await stage.offer({ name_friendly: 'Entrada 2x1', lumis_cost: 120, stock_quantity: 3 });
  const userId = await member(1250);
  await stage.redeemed(userId, COFFEE);
  const { page, complaints } = await phone();
  await enterWallet(page, stage, userId);
  assert.ok(!page.url().includes('token'), 'the token is gone from the address');
  await page.getByText('1,200').first().waitFor();
  await page.getByText('50 más en canjes activos').waitFor();
  await page.getByText(/Te faltan 800\sLümis/).waitFor();
  await page.getByText('Agotado').waitFor();
  await page.getByText('Quedan 3').waitFor();
  await page.getByRole('link', { name: 'Mostrar QR de Café gratis' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Canjear Palomitas' }).count(), 0);
  assert.deepEqual(complaints, []);
});

test('filters live in the address, and say so when nothing is left', async () => {
  const { page } = await phone();
  await enterWallet(page, stage, await member());
  await page.getByLabel('Buscar ofertas').fill('nada de esto');
  await page.getByText(/Nada con: .*nada de esto/).waitFor();
  assert.match(decodeURIComponent(page.url()).replaceAll('+', ' '), /q=nada de esto/);
  await page.reload();
  await page.getByText(/Nada con: .*nada de esto/).waitFor();
  await page.getByLabel('Buscar ofertas').fill('café');
  await page.getByRole('link', { name: 'Canjear Café gratis' }).waitFor();
});

test('a double tap is one redemption', async () => {
  const userId = await member();
  const { page } = await phone();
  await enterWallet(page, stage, userId);
  await openSheet(page, 'Café gratis');
  await page.getByText('Te quedarán').waitFor();
  await page.getByRole('button', { name: /^Canjear por / }).dblclick();
  await qrOf(page, 'Café gratis').waitFor();
  assert.equal((await redemptionsOf(userId)).length, 1);
  assert.equal((await balanceOf(userId)).balance, 450);
});

test('the QR: white in the dark, big, with its code and its end', async () => {
  const userId = await member();
  const { page, complaints } = await phone({ colorScheme: 'dark' });
  await enterWallet(page, stage, userId);
  await redeem(page, 'Café gratis');
  await page.getByText('Muéstralo en Café del Parque').first().waitFor();
  const box = await qrOf(page, 'Café gratis').boundingBox();
  assert.ok(box && box.width >= 240, `${box?.width} px wide`);
  const [{ redemption_code }] = await redemptionsOf(userId);
  assert.equal(await codeOf(page), redemption_code);
  await page
    .getByText(/^Vence en (23\sh 59\smin|24\sh|1\sdía)/)
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Copiar código' }).click();
  await page.getByText('Código copiado').first().waitFor();
  await page.reload();
  await qrOf(page, 'Café gratis').waitFor();
  assert.deepEqual(complaints, []);
});

test('what ends while it is on the screen: the QR goes, the points return', async () => {
  const userId = await member();
  const { redemption_id } = await stage.redeemed(userId, COFFEE);
  await stage.expire(redemption_id, 4);
  const { page } = await phone();
  await enterWallet(page, stage, userId);
  await page.getByRole('link', { name: 'Mostrar QR de Café gratis' }).click();
  await qrOf(page, 'Café gratis').waitFor();
  await page.getByText('Este código venció').first().waitFor();
  assert.equal(await qrOf(page, 'Café gratis').count(), 0);
  await page
    .getByText(/Te devol(vimos|veremos) 50\sLümis/)
    .first()
    .waitFor();
});

test('cancelling asks first, and gives the points back', async () => {
  const userId = await member();
  const { page } = await phone();
  await enterWallet(page, stage, userId);
  await redeem(page, 'Café gratis');
  await page.getByRole('button', { name: 'Cancelar canje' }).click();
  await page.getByRole('button', { name: 'Conservarlo' }).click();
  assert.equal((await balanceOf(userId)).balance, 450);
  await page.getByRole('button', { name: 'Cancelar canje' }).click();
  const sheet = page.getByRole('dialog').or(page.getByRole('alertdialog'));
  await sheet.getByText(/Recuperas 50\sLümis/).waitFor();
  await sheet.getByRole('button', { name: 'Cancelar canje' }).click();
  await page
    .getByText(/Canje cancelado/)
    .first()
    .waitFor();
  assert.equal((await balanceOf(userId)).balance, 500);
});

test('what changed between the list and the tap is said, and nothing is taken', async () => {
  const last = await stage.offer({ name_friendly: 'Último libro', stock_quantity: 1 });
  const once = await stage.offer({ name_friendly: 'Una por vida', max_redemptions_per_user: 1 });
  const ending = await stage.offer({ name_friendly: 'Fugaz' });
  const userId = await member();
  const { page } = await phone();
  await enterWallet(page, stage, userId);
  const refused = async (offer: string, meanwhile: () => Promise<unknown>, said: RegExp) => {
    await page.goto(`${stage.url}/wallet/`);
    await openSheet(page, offer);
    await meanwhile();
    // the sheet may know by itself by now, in words of its own, and then there is nothing to tap
    const button = page.getByRole('button', { name: /^Canjear por / });
    await button.click({ timeout: 2000 }).catch(() => undefined);
    await page.getByRole('dialog').getByText(said).first().waitFor();
  };
  await refused(
    'Último libro',
    async () => stage.redeemed(await member(), last),
    /Se agotó|Agotado/,
  );
  await refused('Una por vida', () => stage.redeemed(userId, once), /al máximo|máximo de veces/);
  const admin = await stage.admin();
  const off = { token: admin, body: { is_active: false } };
  await refused(
    'Fugaz',
    () => stage.call('PATCH', `/admin/offers/${ending}`, off),
    /ya no está disponible|No se puede canjear ahora/,
  );
  assert.equal((await balanceOf(userId)).balance, 490);
});

test('history and ledger tell the whole tale', async () => {
  const userId = await member();
  const { api_key: token } = cafe;
  const used = await stage.redeemed(userId, COFFEE);
  const path = `/merchant/redemptions/${used.redemption_id}`;
  await stage.call('POST', '/merchant/validate', { token, body: { code: used.redemption_code } });
  assert.equal((await stage.call('POST', `${path}/confirm`, { token })).status, 200);
  const over = await stage.redeemed(userId, COFFEE);
  const mine = { token: await stage.member(userId) };
  await stage.call('POST', `/rewards/redemptions/${over.redemption_id}/cancel`, mine);
  const { page, complaints } = await phone();
  await enterWallet(page, stage, userId);
  await page.getByRole('link', { name: 'Canjes' }).first().click();
  await page.getByText('No tienes canjes activos').waitFor();
  await page.getByRole('link', { name: 'Usados' }).click();
  await page.getByText('Café gratis').first().click();
  await page.getByText('El comercio leyó el código').waitFor();
  await page.getByText('El comercio lo confirmó').waitFor();
  await page.goBack();
  await page.getByRole('link', { name: 'Vencidos y cancelados' }).click();
  await page.getByText(/Devuelto: 50\sLümis/).waitFor();
  await page.goto(`${stage.url}/wallet/ledger`);
  await page.getByText('Te devolvimos Café gratis').waitFor();
  assert.equal(await page.getByText('Canjeaste Café gratis').count(), 2);
  assert.deepEqual(complaints, []);
});

test('a reversal reaches the open screen', async () => {
  const userId = await member();
  const { page } = await phone();
  await enterWallet(page, stage, userId);
  await redeem(page, 'Café gratis');
  const [{ redemption_id }] = await redemptionsOf(userId);
  const { api_key: token } = cafe;
  const path = `/merchant/redemptions/${redemption_id}`;
  await stage.call('POST', `${path}/confirm`, { token });
  await page.getByText('Listo, lo canjeaste en Café del Parque').waitFor();
  await stage.call('POST', `${path}/reverse`, { token, body: { reason: 'Se enfrió' } });
  await page.getByText('El comercio anuló este canje').first().waitFor();
});

test('without a network the QR is still there, also after a restart', async () => {
  const userId = await member();
  const { page, context } = await phone();
  await enterWallet(page, stage, userId);
  await redeem(page, 'Café gratis');
  await page.evaluate(() => (globalThis as any).navigator.serviceWorker.ready);
  await page.waitForTimeout(1000);
  await context.setOffline(true);
  await page.reload();
  await qrOf(page, 'Café gratis').waitFor();
  await page
    .getByText(/Sin conexión/)
    .first()
    .waitFor();
  await page.goto(`${stage.url}/wallet/`);
  await page.getByText(/Tu QR activo sigue disponible/).waitFor();
  await context.setOffline(false);
  await page.getByText(/Tu QR activo sigue disponible/).waitFor({ state: 'hidden' });
});

test('a session that ends half-way goes on where it was', async () => {
  const userId = await member();
  const { page } = await phone();
  const token = await stage.shortToken(userId, 6);
  await page.goto(`${stage.url}/wallet/#token=${token}`);
  await openSheet(page, 'Café gratis');
  await page.waitForTimeout(7000);
  await page.getByRole('button', { name: /^Canjear por / }).click();
  await page.getByText('Tu sesión terminó').first().waitFor();
  const at = page.url();
  const fresh = await stage.member(userId);
  await page.evaluate((value) => {
    (globalThis as any).location.hash = `token=${value}`;
  }, fresh);
  await page.getByRole('button', { name: /^Canjear por |^Comprobar/ }).click();
  await qrOf(page, 'Café gratis').waitFor();
  assert.ok(at.includes(COFFEE), at);
  assert.equal((await redemptionsOf(userId)).length, 1);
});

test("another member's token leaves nothing of the first", async () => {
  const [first, second] = [await member(333), await member(77)];
  const { page } = await phone();
  await enterWallet(page, stage, first);
  await redeem(page, 'Café gratis');
  const code = await codeOf(page);
  await page.goto('about:blank');
  await enterWallet(page, stage, second);
  await page.getByText('77').first().waitFor();
  const kept = await page.evaluate(async () => {
    const { localStorage, sessionStorage, caches } = globalThis as any;
    const names = await caches.keys();
    return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, names]);
  });
  assert.ok(!kept.includes(code), kept);
  await page.goto(`${stage.url}/wallet/settings`);
  await page.getByRole('button', { name: 'Salir' }).click();
  await page
    .getByRole('dialog')
    .or(page.getByRole('alertdialog'))
    .getByRole('button', { name: 'Salir' })
    .click();
  await page.getByText(/Para entrar, abre la billetera/).waitFor();
  const left = await page.evaluate(() => JSON.stringify({ ...(globalThis as any).localStorage }));
  assert.doesNotMatch(left, /eyJ|token|LUMS-|"balance/, 'nothing of the member is left');
});

test('tokens that are no tokens', async () => {
  const expired = await stage.shortToken(5, -60);
  const { page } = await phone();
  for (const [token, said] of [
    [expired, /ya venció|Tu sesión terminó/],
    ['abc', /no sirve/],
    ['%3Cscript%3E', /no sirve/],
    ['', /no sirve|Para entrar, abre la billetera/],
  ] as const) {
    await page.goto('about:blank');
    await page.goto(`${stage.url}/wallet/#token=${token}`);
    await page.getByText(said).first().waitFor();
    assert.ok(!page.url().includes('token'), page.url());
  }
  const other = await phone();
  await other.page.goto(`${stage.url}/wallet/?token=${await stage.member(5)}`);
  await other.page.getByText(/Para entrar, abre la billetera/).waitFor();
});
