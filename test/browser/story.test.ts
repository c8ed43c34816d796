/**
 * The whole way at the counter, on a phone four times slower than this machine: the wallet shows
 * its QR, the scanner on another node reads it from that very screen, validates and confirms, and
 * the wallet turns by itself.
 */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openChromium } from './support/chromium.ts';
import { pair, startShift, tap, untilVerdict, verdict } from './support/scanner.ts';
import { openStage } from './support/stage.ts';
import { note, timesTable } from './support/times.ts';
import { enterWallet, redeem } from './support/wallet.ts';

const MEMBER = 7;
const OFFER = 'Café gratis';
const SLOWER = 4;
const ROUNDS = 3;

const stage = await openStage({ nodeCount: 2 });
const [here, there] = stage.nodes as [(typeof stage.nodes)[0], (typeof stage.nodes)[0]];
const { camera, phone } = await openChromium();
const merchant = await stage.merchant('Café del Parque');
await stage.grant(MEMBER, 1250);
await stage.offer({ name_friendly: OFFER, lumis_cost: 50, merchant_id: merchant.merchant_id });
after(() => console.log(`\n${timesTable(`at ${SLOWER}x slower CPU, ms`)}\n`));

test('from the wallet to the counter and back, and never twice', async () => {
  const member = await phone({ slower: SLOWER });
  const cashier = await phone({ slower: SLOWER });
  await enterWallet(member.page, stage, MEMBER, here);
  await pair(cashier.page, stage, merchant, there);
  await startShift(cashier.page);
  let screen: Buffer = Buffer.alloc(0);
  for (let round = 1; round <= ROUNDS; round += 1) {
    await redeem(member.page, OFFER);
    screen = await member.page.screenshot();
    await oneWay(member.page, cashier.page, screen);
    camera.showNothing();
    await tap(cashier.page, 'Siguiente');
    await member.page.goto(`${here.url}/wallet/`);
  }
  // the last screen again: the very same phone tells it apart from a second hand-over
  await cashier.page.waitForTimeout(3500);
  camera.showScreen(screen);
  await untilVerdict(cashier.page, /Ya lo confirmaste|Ya se usó/);
  camera.showNothing();
  await tap(cashier.page, 'Siguiente');
  const colleague = await phone();
  await pair(colleague.page, stage, merchant, here);
  await startShift(colleague.page);
  camera.showScreen(screen);
  await untilVerdict(colleague.page, 'Ya se usó');
  await verdict(colleague.page)
    .getByText(/No entregues\..*\d{1,2}:\d{2}/)
    .waitFor();
  const { body } = await stage.call('GET', '/rewards/balance', {
    token: await stage.member(MEMBER),
  });
  assert.equal(body.balance, 1250 - ROUNDS * 50);
  assert.deepEqual([...member.complaints, ...cashier.complaints], []);
});

/** When the page took the tap, on the clock that all of this machine shares; ms. */
const TAPPED = `performance.timeOrigin +
  performance.getEntriesByName('lumis:confirm').at(-1).startTime`;

async function oneWay(
  member: Awaited<ReturnType<typeof phone>>['page'],
  cashier: Awaited<ReturnType<typeof phone>>['page'],
  screen: Buffer,
): Promise<void> {
  const asked = cashier.waitForRequest((request) => request.url().endsWith('/merchant/validate'));
  camera.showScreen(screen);
  const shown = Date.now();
  await asked;
  const read = Date.now();
  await untilVerdict(cashier, 'Válido');
  const valid = Date.now();
  const turned = member
    .getByText('Listo, lo canjeaste en Café del Parque')
    .waitFor()
    .then(() => Date.now());
  await tap(cashier, 'Confirmar canje');
  await untilVerdict(cashier, 'Canje confirmado');
  const done = Date.now();
  const tapped = await cashier.evaluate<number>(TAPPED);
  note('code in frame to read', read - shown);
  note('read to verdict', valid - read);
  note('confirm to done', done - tapped);
  note("confirm to the wallet's change", (await turned) - tapped);
}
