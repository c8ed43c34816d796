/** What a member does in the wallet, by what is written on it. Spanish, as most members read it. */

import type { Page } from 'playwright-core';
import type { Node, Stage } from './stage.ts';

/** Opens the wallet as this member and waits for the balance. */
export async function enterWallet(
  page: Page,
  stage: Stage,
  userId: number,
  node: Node = stage.nodes[0] as Node,
): Promise<void> {
  await page.goto(`${node.url}/wallet/#token=${await stage.member(userId, { name: 'Ana' })}`);
  await page.getByText(/Lümis? (disponibles?|available)/).waitFor();
}

/** Taps an offer on the home screen; its sheet is open then. */
export async function openSheet(page: Page, offer: string): Promise<void> {
  await page.getByRole('link', { name: `Canjear ${offer}` }).click();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Canjear por / })
    .waitFor();
}

/** Redeems an offer from the home screen; the QR is on the screen then. */
export async function redeem(page: Page, offer: string): Promise<void> {
  await openSheet(page, offer);
  await page.getByRole('button', { name: /^Canjear por / }).click();
  await qrOf(page, offer).waitFor();
}

/** The QR of a redemption of this offer. */
export function qrOf(page: Page, offer: string) {
  return page.getByRole('img', { name: `QR para canjear ${offer}` });
}

/** The code under the QR, as somebody would read it out. */
export async function codeOf(page: Page): Promise<string> {
  const text = await page.locator('.code').first().innerText();
  return text.replace(/\s+/g, '').replace(/^.*?(?=LUMS-)/, '');
}
