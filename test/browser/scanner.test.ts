/** The scanner's verdicts, and everything a cashier or a customer may hold before it. */

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { LISTENING } from './support/cameras.ts';
import { openChromium, type Phone } from './support/chromium.ts';
import { pair, startShift, tap, typeCode, untilVerdict, verdict } from './support/scanner.ts';
import { openStage } from './support/stage.ts';

const MEMBER = 7;
const stage = await openStage();
const { camera, phone } = await openChromium();
const cafe = await stage.merchant('Café del Parque');
const cinema = await stage.merchant('Cine Bahía');
await stage.grant(MEMBER, 100_000);
const OFFER = 'Café gratis';
const offer = await stage.offer({ name_friendly: OFFER, merchant_id: cafe.merchant_id });
const { api_key: token } = cafe;
const confirmByKey = (id: string) =>
  stage.call('POST', `/merchant/redemptions/${id}/confirm`, { token });
const stateOf = async (id: string) => {
  const path = `/rewards/redemptions/${id}`;
  const { body } = await stage.call('GET', path, { token: await stage.member(MEMBER) });
  return body.redemption_status;
};

/** A phone in its shift. */
async function counter(options = {}): Promise<Phone> {
  camera.showNothing();
  const opened = await phone(options);
  await pair(opened.page, stage, cafe);
  await startShift(opened.page);
  return opened;
}

const { page, complaints } = await counter({ script: LISTENING });
after(() => assert.deepEqual(complaints, []));
const next = () => tap(page, 'Siguiente');
// what a test that failed left behind would fail the next one too
beforeEach(async () => {
  camera.showNothing();
  const leave = verdict(page).getByRole('button', { name: /^(Cancelar|Siguiente)$/ });
  if ((await leave.count()) > 0) await leave.click();
});
/** Waits until this was felt, and nothing else, since the last time; and that something was heard. */
async function untilFelt(...shakes: string[]): Promise<void> {
  await page.waitForFunction(
    (all) => (globalThis as any).lumisShakes.join() === all,
    shakes.join(),
  );
  const tones = await page.evaluate(() => {
    (globalThis as any).lumisShakes = [];
    return (globalThis as any).lumisTones.splice(0).length;
  });
  assert.ok(tones >= shakes.length);
}

test('valid, confirmed, and used here just now', async () => {
  const one = await stage.redeemed(MEMBER, offer);
  await page.evaluate(() => (globalThis as any).lumisShakes.splice(0));
  await typeCode(page, one.redemption_code);
  await untilVerdict(page, 'Válido');
  await verdict(page).getByText(OFFER).waitFor();
  assert.equal(await stateOf(one.redemption_id), 'pending', 'valid is not yet handed over');
  await tap(page, 'Confirmar canje');
  await untilVerdict(page, 'Canje confirmado');
  await verdict(page).getByText('Entrega', { exact: true }).waitFor();
  assert.equal(await stateOf(one.redemption_id), 'confirmed');
  await untilFelt('80', '40-40-40');
  await next();
  await typeCode(page, one.redemption_code);
  await untilVerdict(page, /Ya lo confirmaste hace/);
  await untilFelt('120-80-120');
  await next();
});

test('cancel leaves the code as it was', async () => {
  const one = await stage.redeemed(MEMBER, offer);
  await typeCode(page, one.redemption_code);
  await untilVerdict(page, 'Válido');
  await tap(page, 'Cancelar');
  await verdict(page).waitFor({ state: 'hidden' });
  assert.equal(await stateOf(one.redemption_id), 'pending');
});

test('used elsewhere, expired, cancelled, reversed: no, and why', async () => {
  const used = await stage.redeemed(MEMBER, offer);
  assert.equal((await confirmByKey(used.redemption_id)).status, 200);
  await typeCode(page, used.redemption_code);
  await untilVerdict(page, 'Ya se usó');
  await verdict(page)
    .getByText(/Se canjeó hoy a las? \d{1,2}:\d{2}\s[ap]\.\sm\.$/)
    .waitFor();
  assert.equal(
    await verdict(page)
      .getByRole('button', { name: /Confirmar/ })
      .count(),
    0,
  );
  await next();
  const expired = await stage.redeemed(MEMBER, offer);
  await stage.expire(expired.redemption_id);
  await typeCode(page, expired.redemption_code);
  await untilVerdict(page, 'Código vencido');
  await verdict(page)
    .getByText(/Venció hoy a las? |Venció el /)
    .waitFor();
  await next();
  const cancelled = await stage.redeemed(MEMBER, offer);
  await stage.call('POST', `/rewards/redemptions/${cancelled.redemption_id}/cancel`, {
    token: await stage.member(MEMBER),
  });
  await typeCode(page, cancelled.redemption_code);
  await untilVerdict(page, 'Este canje se canceló');
  await next();
  await stage.call('POST', `/merchant/redemptions/${used.redemption_id}/reverse`, {
    token,
    body: { reason: 'Se enfrió' },
  });
  await typeCode(page, used.redemption_code);
  await untilVerdict(page, 'Este canje se anuló');
  await next();
});

test("another merchant's code is as unknown as an invented one", async () => {
  const theirs = await stage.offer({ merchant_id: cinema.merchant_id });
  const { redemption_code, qr_landing_url } = await stage.redeemed(MEMBER, theirs);
  for (const text of [redemption_code, qr_landing_url]) {
    await typeCode(page, text);
    await untilVerdict(page, 'No reconocemos este código');
    await tap(page, /Escanear otra vez|Siguiente/);
  }
});

test('what is no code is refused where it is typed, and nobody is asked', async () => {
  let asked = 0;
  page.on('request', (request) => {
    asked += request.url().includes('/validate') ? 1 : 0;
  });
  const { redemption_code } = await stage.redeemed(MEMBER, offer);
  const wrong = redemption_code.slice(0, -1) + (redemption_code.endsWith('7') ? '8' : '7');
  for (const [text, said] of [
    ['', /Escribe el código/],
    ['   ', /Escribe el código/],
    ['LUMS-ABCD', /tiene 4 de 16/],
    [wrong, /símbolo equivocado/],
    ["'; DROP TABLE rewards.user_redemptions; --", /letras y números/],
    ['<img src=x onerror=alert(1)>', /letras y números/],
    ['☕☕☕☕', /letras y números/],
    ['ＬＵＭＳ－１２３４', /letras y números/],
    ['https://evil.example/pay?to=me', /no es de un canje/],
    ['javascript:alert(1)', /no es de un canje/],
    ['A'.repeat(5000), /Revisa el código|letras y números/],
    ['lmp_0123456789abcdefABCDEF0123456789', /vinculación/],
  ] as const) {
    await typeCode(page, text);
    await page.getByText(said).first().waitFor();
    assert.equal(await verdict(page).count(), 0, text);
  }
  assert.equal(asked, 0);
  assert.ok(page.url().startsWith(stage.url));
});

test('a code in every way that people write it', async () => {
  const ways = [
    (code: string) => code.toLowerCase(),
    (code: string) => code.replaceAll('-', ''),
    (code: string) => `  ${code.replaceAll('-', ' ')}  `,
    (code: string) => code.replace('LUMS-', ''),
    (code: string) => code.replaceAll('-', '–'),
    (code: string) => code.replace('LUMS-', '').replaceAll('0', 'o').replaceAll('1', 'l'),
  ];
  const { redemption_code } = await stage.redeemed(MEMBER, offer);
  for (const way of ways) {
    await typeCode(page, way(redemption_code));
    await untilVerdict(page, 'Válido');
    await tap(page, 'Cancelar');
  }
});

test('a hand scanner types into the page, wherever the focus is', async () => {
  const { redemption_code, qr_landing_url } = await stage.redeemed(MEMBER, offer);
  for (const text of [redemption_code, qr_landing_url]) {
    await page.getByRole('heading').first().click();
    // all on their way at once: on a busy machine one after the other comes as slowly as by hand
    await Promise.all([...text].map((key) => page.keyboard.press(key)));
    await page.keyboard.press('Enter');
    await untilVerdict(page, 'Válido');
    await tap(page, 'Cancelar');
  }
});

test('the camera: one verdict per code, other QRs never opened, the next one at once', async () => {
  const [first, second] = [
    await stage.redeemed(MEMBER, offer),
    await stage.redeemed(MEMBER, offer),
  ];
  camera.showCode('https://evil.example/r/0123456789abcdefABCDEF');
  await untilVerdict(page, 'No reconocemos este código');
  assert.ok(page.url().startsWith(stage.url));
  camera.showNothing();
  await tap(page, /Escanear otra vez|Siguiente/);
  let asked = 0;
  page.on('request', (request) => {
    asked += request.url().endsWith('/validate') ? 1 : 0;
  });
  camera.showCode(first.qr_landing_url);
  await untilVerdict(page, 'Válido');
  await page.waitForTimeout(1500);
  assert.equal(asked, 1, 'a code that stays before the lens is asked for once');
  await tap(page, 'Confirmar canje');
  await untilVerdict(page, 'Canje confirmado');
  await next();
  await page.waitForTimeout(1000);
  assert.equal(await verdict(page).count(), 0, 'the same phone still lies there');
  camera.showCode(second.qr_landing_url);
  await untilVerdict(page, 'Válido');
  assert.equal(asked, 2);
  camera.showNothing();
  await tap(page, 'Confirmar canje');
  await untilVerdict(page, 'Canje confirmado');
  await next();
});

test('two codes at once, and a torn one: never a wrong hand-over', async () => {
  const [left, right] = [await stage.redeemed(MEMBER, offer), await stage.redeemed(MEMBER, offer)];
  camera.showCodes(left.qr_landing_url, right.qr_landing_url);
  await page.waitForTimeout(1500);
  camera.showNothing();
  if ((await verdict(page).count()) > 0) await tap(page, /Cancelar|Siguiente/);
  assert.equal(await stateOf(left.redemption_id), 'pending');
  assert.equal(await stateOf(right.redemption_id), 'pending');
});

test('today: what was handed over, and taking one back', async () => {
  await page
    .getByText(/[34] canjes/)
    .first()
    .waitFor();
  await page
    .getByRole('button', { name: /Hoy/ })
    .or(page.getByRole('link', { name: /Hoy/ }))
    .first()
    .click();
  await page.getByText(OFFER).first().click();
  await page.getByText('Detalle del canje').waitFor();
  await page.getByRole('button', { name: 'Anular canje' }).click();
  await page.getByLabel('Motivo').fill('Se equivocó de tamaño');
  await page.getByRole('button', { name: 'Anular canje' }).last().click();
  await page.getByText('Anulado').first().waitFor();
});
