/**
 * Writes the pictures of docs/images: `npm run screenshots`. Everything on them happened: the data
 * is redeemed, scanned and confirmed by the pages themselves.
 */

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { PROJECT_ROOT } from '../../src/project.ts';
import type { Camera } from './support/camera.ts';
import { type Chromium, openChromium } from './support/chromium.ts';
import { poster, sheet } from './support/poster.ts';
import type { FaultProxy } from './support/proxy.ts';
import { pair, startShift, untilVerdict, verdict } from './support/scanner.ts';
import { smallPng } from './support/small-png.ts';
import { openStage, type Stage } from './support/stage.ts';

const WANTED = Boolean(process.env.SCREENSHOTS);
const FOLDER = join(PROJECT_ROOT, 'docs/images');
/** The single pictures, of which those for the docs are put together. */
const SINGLE = WANTED ? mkdtempSync(join(tmpdir(), 'lumis-pictures-')) : '';
const MEMBER = 1;
/** Whoever else is at the counter; the member's own screens stay as they are. */
const OTHER = 2;

const WORDS = {
  es: {
    tag: 'es-PA',
    coffee: { name_friendly: 'Café gratis', description: 'Un café americano de cualquier tamaño' },
    cinema: { name_friendly: 'Entrada 2x1', description: 'De lunes a jueves' },
    dessert: { name_friendly: 'Postre del día', description: 'Con cualquier almuerzo' },
    book: { name_friendly: 'Vale de $5', description: 'Para cualquier libro o revista' },
  },
  en: {
    tag: 'en-GB',
    coffee: { name_friendly: 'Free coffee', description: 'An americano of any size' },
    cinema: { name_friendly: 'Two for one', description: 'Monday to Thursday' },
    dessert: { name_friendly: 'Dessert of the day', description: 'With any lunch' },
    book: { name_friendly: '$5 voucher', description: 'For any book or magazine' },
  },
} as const;
type Language = keyof typeof WORDS;

const SHEET = {
  es: [
    'La billetera y la página de un QR',
    'Lo mismo en oscuro',
    'El lector: válido, entrega, no entregues',
    'Cancelado, sin verificar, sin respuesta; en oscuro',
  ],
  en: [
    'The wallet, and the page behind a QR',
    'The same in the dark',
    'The scanner: valid, hand over, do not hand over',
    'Cancelled, not checked, no answer; in the dark',
  ],
} as const;

interface Scene extends Chromium {
  stage: Stage;
  language: Language;
  cafe: { merchant_id: string; api_key: string };
  coffee: string;
  /** another merchant's offer */
  cinema: string;
}

for (const language of ['es', 'en'] as const) {
  test(`pictures in ${language}`, { skip: !WANTED && 'npm run screenshots' }, async () => {
    mkdirSync(FOLDER, { recursive: true });
    const scene = await setScene(language);
    for (const colorScheme of ['light', 'dark'] as const) {
      const cashier = await bothSides(scene, colorScheme);
      // verdicts look the same in the dark
      if (colorScheme === 'light') await refusals(scene, cashier);
    }
    await cover(scene);
  });
}

async function setScene(language: Language): Promise<Scene> {
  const stage = await openStage();
  const words = WORDS[language];
  const cafe = await stage.merchant(`Café del Parque`);
  const { merchant_id } = cafe;
  const food = { merchant_id, offer_category: 'food_drink' };
  const { merchant_id: books } = await stage.merchant('Librería Norte');
  const { merchant_id: films } = await stage.merchant('Cine Bahía');
  await stage.offer({ ...words.book, lumis_cost: 1500, merchant_id: books });
  const cinema = await stage.offer({
    ...words.cinema,
    lumis_cost: 300,
    stock_quantity: 5,
    merchant_id: films,
    offer_category: 'entertainment',
  });
  await stage.offer({ ...words.dessert, lumis_cost: 75, ...food });
  const coffee = await stage.offer({ ...words.coffee, lumis_cost: 50, ...food });
  await stage.grant(MEMBER, 1300);
  await stage.grant(OTHER, 1000);
  return { ...(await openChromium()), stage, language, cafe, coffee, cinema };
}

/** The member and the cashier, from the offer to the hand-over; the cashier's page goes on. */
async function bothSides(scene: Scene, colorScheme: 'light' | 'dark'): Promise<Page> {
  const { stage, language, camera, cafe, coffee } = scene;
  const shot = shooter(`${language}-${colorScheme}`);
  const look = { locale: WORDS[language].tag, colorScheme, reducedMotion: 'reduce' } as const;
  const member = (await scene.phone(look)).page;
  const token = await stage.member(MEMBER, { name: 'Ana Castillo' });
  await member.goto(`${stage.url}/wallet/#token=${token}`);
  const balance = member.getByText(/disponibles|available/).first();
  await balance.waitFor();
  await shot(member, 'wallet-home');
  const home = await member.screenshot();
  await member.goto(`${stage.url}/wallet/offers/${coffee}`);
  await member.getByRole('button', { name: /^(Canjear por|Redeem for)/ }).waitFor();
  await shot(member, 'wallet-sheet');
  const { redemption_id, qr_landing_url } = await stage.redeemed(MEMBER, coffee);
  await member.goto(`${stage.url}/wallet/redemptions/${redemption_id}`);
  await member.getByRole('img', { name: /QR/ }).waitFor();
  await shot(member, 'wallet-qr');
  const landing = (await scene.phone(look)).page;
  await landing.goto(qr_landing_url);
  await shot(landing, 'landing');

  const cashier = (await scene.phone(look)).page;
  camera.showScreen(home);
  await pair(cashier, stage, cafe);
  await startShift(cashier);
  await shot(cashier, 'scanner-ready');
  camera.showScreen(await member.screenshot());
  await untilVerdict(cashier, /^(Válido|Valid)$/);
  await shot(cashier, 'scanner-valid');
  await verdict(cashier)
    .getByRole('button', { name: /^Confirm/ })
    .click();
  await untilVerdict(cashier, /^(Canje confirmado|Confirmed)$/);
  await shot(cashier, 'scanner-confirmed');
  await leave(cashier, camera);
  await member
    .getByText(/^(Listo|Done)/)
    .first()
    .waitFor();
  await shot(member, 'wallet-confirmed');
  await member.goto(`${stage.url}/wallet/history?tab=used`);
  await member.waitForTimeout(800);
  await shot(member, 'wallet-history');
  return cashier;
}

/** Every way to say no, or not yet. */
async function refusals(scene: Scene, cashier: Page): Promise<void> {
  const { stage, language, camera, cafe, coffee, cinema } = scene;
  const shot = shooter(`${language}-light`);
  const show = async (name: string, redemption: { qr_landing_url: string }) => {
    camera.showCode(redemption.qr_landing_url);
    await verdict(cashier).waitFor();
    await shot(cashier, name);
    await leave(cashier, camera);
  };
  const used = await stage.redeemed(OTHER, coffee);
  const path = `/merchant/redemptions/${used.redemption_id}/confirm`;
  await stage.call('POST', path, { token: cafe.api_key });
  await show('scanner-used', used);
  const late = await stage.redeemed(OTHER, coffee);
  await stage.expire(late.redemption_id);
  await show('scanner-expired', late);
  await show('scanner-unknown', await stage.redeemed(OTHER, cinema));
  const cancelled = await stage.redeemed(OTHER, coffee);
  await stage.call('POST', `/rewards/redemptions/${cancelled.redemption_id}/cancel`, {
    token: await stage.member(OTHER),
  });
  await show('scanner-cancelled', cancelled);
  await unsure(scene, cashier);
  const unseen = await stage.redeemed(OTHER, coffee);
  await cashier.context().setOffline(true);
  await show('scanner-offline', unseen);
}

/** A confirmation whose answer got lost, and what became of it. */
async function unsure({ stage, language, camera, coffee }: Scene, cashier: Page): Promise<void> {
  const proxy = stage.nodes[0]?.proxy as FaultProxy;
  camera.showCode((await stage.redeemed(OTHER, coffee)).qr_landing_url);
  await untilVerdict(cashier, /^(Válido|Valid)$/);
  proxy.break({ match: /^POST .*\/confirm /, how: 'hang', times: 9 });
  await verdict(cashier)
    .getByRole('button', { name: /^Confirm/ })
    .click();
  await untilVerdict(cashier, /^(No sabemos|We can)/);
  await shooter(`${language}-light`)(cashier, 'scanner-unsure');
  proxy.mend();
  await untilVerdict(cashier, /^(Canje confirmado|Confirmed)$/);
  await leave(cashier, camera);
}

/** The pictures of the README: the story on top, and a sheet of all screens. */
async function cover({ language, phone }: Scene): Promise<void> {
  const read = (name: string) => readFileSync(join(SINGLE, `${name}.png`));
  const all = (look: string, ...names: string[]) =>
    names.map((name) => read(`${name}-${language}-${look}`));
  const story = all('light', 'wallet-home', 'wallet-qr', 'scanner-valid', 'scanner-confirmed');
  const wallet = ['home', 'sheet', 'qr', 'confirmed', 'history'].map((name) => `wallet-${name}`);
  const verdicts = ['ready', 'valid', 'confirmed', 'used', 'expired', 'unknown'];
  const others = ['cancelled', 'offline', 'unsure'];
  const scanner = (names: string[]) => names.map((name) => `scanner-${name}`);
  const [light, dark, answers, more] = SHEET[language];
  const rows = [
    { title: light, phones: all('light', ...wallet, 'landing') },
    { title: dark, phones: all('dark', ...wallet, 'landing') },
    { title: answers, phones: all('light', ...scanner(verdicts)) },
    {
      title: more,
      phones: [
        ...all('light', ...scanner(others)),
        ...all('dark', ...scanner(verdicts.slice(0, 3))),
      ],
    },
  ];
  const ending = language === 'en' ? '' : `.${language}`;
  const { page } = await phone({ viewport: { width: 1440, height: 810 } });
  for (const [name, html] of [
    ['lumis', poster(language, story)],
    ['screens', sheet(language, rows)],
  ] as const) {
    await page.setContent(html);
    await page.evaluate('document.fonts.ready');
    const picture = await page.screenshot({ fullPage: true });
    writeFileSync(join(FOLDER, `${name}${ending}.png`), smallPng(picture));
  }
}

/** Takes a picture once the page has come to rest, and writes it small. */
function shooter(suffix: string) {
  return async (page: Page, name: string) => {
    await page.evaluate('document.fonts.ready');
    await page.waitForTimeout(500);
    writeFileSync(join(SINGLE, `${name}-${suffix}.png`), smallPng(await page.screenshot()));
  };
}

const LEAVE = /^(Siguiente|Next|Cancelar|Cancel|Escanear otra vez|Scan again)$/;

async function leave(page: Page, camera: Camera): Promise<void> {
  camera.showNothing();
  await verdict(page).getByRole('button', { name: LEAVE }).first().click();
  await verdict(page).waitFor({ state: 'hidden' });
}
