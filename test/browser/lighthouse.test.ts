/**
 * Lighthouse on the wallet, the scanner and the landing page: `npm run lighthouse`. Accessibility
 * must be 100; the rest is printed, because this machine does other work too.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { openChromium } from './support/chromium.ts';
import { freePort } from './support/installation.ts';
import { type Figures, measure } from './support/lighthouse.ts';
import { pair } from './support/scanner.ts';
import { openStage } from './support/stage.ts';
import { enterWallet } from './support/wallet.ts';

const WANTED = Boolean(process.env.LIGHTHOUSE);
const MEMBER = 7;

test('every page is accessible to all', { skip: !WANTED && 'npm run lighthouse' }, async () => {
  const stage = await openStage();
  const port = await freePort();
  await openChromium('file', [`--remote-debugging-port=${port}`]);
  const merchant = await stage.merchant('Café del Parque');
  await stage.grant(MEMBER, 1250);
  const offer_id = await stage.offer({ name_friendly: 'Café gratis', lumis_cost: 50 });
  const { qr_landing_url } = await stage.redeemed(MEMBER, offer_id);
  // Lighthouse opens its pages in the browser's own context, so that is where we sign in.
  const seen = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
  const page = (await seen.contexts()[0]?.newPage()) as Page;
  await enterWallet(page, stage, MEMBER);
  await pair(page, stage, merchant);
  await page.close();
  const pages = {
    landing: qr_landing_url,
    wallet: `${stage.url}/wallet/`,
    scanner: `${stage.url}/scan/`,
  };
  const table: Record<string, Omit<Figures, 'faults'>> = {};
  const faults: string[] = [];
  for (const [name, url] of Object.entries(pages)) {
    const { faults: found, ...figures } = await measure(url, port);
    table[name] = figures;
    faults.push(...found.map((fault) => `${name}: ${fault}`));
  }
  console.table(table);
  console.log(faults.join('\n'));
  for (const [name, { accessibility }] of Object.entries(table)) {
    assert.equal(accessibility, 100, `${name}: ${faults.join('; ')}`);
  }
});
