/** Chromium with the fake camera, and what a test does to its pages. */

import { after, afterEach, beforeEach, type TestContext } from 'node:test';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { type Camera, openCamera } from './camera.ts';
import { chromiumPath } from './chromium-path.ts';

/** Generous: two cores that do other work too. */
export const PATIENCE_MS = 12_000;
const PLAIN = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];
/** A phone, as most tests see it. */
const PHONE = { width: 390, height: 844 };

/**
 * - `file`: plays our picture, and says yes to the question
 * - `denied`: there is a camera, and the answer is no
 * - `missing`: there is none
 * - `several`: three, with names, showing Chromium's test picture
 */
export type CameraKind = 'file' | 'denied' | 'missing' | 'several';

export interface Chromium {
  browser: Browser;
  camera: Camera;
  /** a phone of its own: nothing stored, nothing cached */
  phone(options?: PhoneOptions): Promise<Phone>;
}

export interface PhoneOptions extends BrowserContextOptions {
  /** times slower than this machine */
  slower?: number;
  /** run in every page before its own scripts */
  script?: string;
}

export interface Phone {
  context: BrowserContext;
  page: Page;
  /** what the page complained about: uncaught errors, and errors and warnings in its console */
  complaints: string[];
}

/** The phones of the test under way; those opened before the first test stay open. */
let phones: Phone[] = [];
beforeEach(() => {
  phones = [];
});
afterEach(async (t) => {
  const hasFailed = 'passed' in t && !(t as TestContext & { passed: boolean }).passed;
  for (const { context, page } of phones) {
    if (hasFailed) console.log(await sight(page));
    await context.close();
  }
});

/** What stands on a page, for whoever wonders why a test failed. */
export async function sight(page: Page): Promise<string> {
  const text = await page.evaluate(() => (globalThis as any).document.body.innerText).catch(String);
  const folder = process.env.BROWSER_SHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${Date.now()}.png` }).catch(() => undefined);
  return `--- ${page.url()}\n${String(text).replace(/\n+/g, ' | ').slice(0, 900)}\n---`;
}

/** Starts Chromium, closed after the file. Call it at the top level of the file or in a test. */
export async function openChromium(
  kind: CameraKind = 'file',
  flags: string[] = [],
): Promise<Chromium> {
  const camera = openCamera();
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    headless: true,
    args: [...PLAIN, ...cameraFlags(kind, camera.file), ...flags],
  });
  after(async () => {
    await browser.close();
    camera.close();
  });
  return { browser, camera, phone: (options) => openPhone(browser, kind, options) };
}

function cameraFlags(kind: CameraKind, file: string): string[] {
  if (kind === 'missing') return [];
  if (kind === 'several') {
    return ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream=device-count=3'];
  }
  return [
    '--use-fake-device-for-media-stream',
    `--use-file-for-fake-video-capture=${file}`,
    ...(kind === 'file' ? ['--use-fake-ui-for-media-stream'] : []),
  ];
}

async function openPhone(
  browser: Browser,
  kind: CameraKind,
  { slower = 1, script, ...options }: PhoneOptions = {},
): Promise<Phone> {
  const context = await browser.newContext({
    viewport: PHONE,
    deviceScaleFactor: 2,
    hasTouch: true,
    locale: 'es-PA',
    timezoneId: 'America/Panama',
    ...(kind === 'file' ? { permissions: ['camera', 'clipboard-read', 'clipboard-write'] } : {}),
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  if (script) await context.addInitScript({ content: script });
  const page = await context.newPage();
  const complaints: string[] = [];
  listen(page, complaints);
  context.on('page', (other) => listen(other, complaints));
  if (slower > 1) {
    const session = await context.newCDPSession(page);
    await session.send('Emulation.setCPUThrottlingRate', { rate: slower });
  }
  const phone = { context, page, complaints };
  phones.push(phone);
  return phone;
}

function listen(page: Page, complaints: string[]): void {
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    // a refusal of the server is what many of these tests are about
    const isAnswer = /\/(api|r)\//.test(message.location().url);
    if (['error', 'warning'].includes(message.type()) && !isAnswer) {
      complaints.push(`${message.type()}: ${message.text()}`);
    }
  });
}
