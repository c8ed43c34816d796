/** What a cashier does with the scanner, by what is written on it, in Spanish or in English. */

import type { Page } from 'playwright-core';
import { sight } from './chromium.ts';
import type { Node, Stage } from './stage.ts';

/** Pairs a new device of the merchant by the address in its pairing QR. */
export async function pair(
  page: Page,
  stage: Stage,
  merchant: { api_key: string },
  node: Node = stage.nodes[0] as Node,
): Promise<void> {
  const url = await stage.pairingUrl(merchant);
  await page.goto(url.replace(stage.url, node.url));
  await page.getByRole('button', { name: /^(Vincular|Pair)$/ }).click();
  await startButton(page).waitFor();
}

/** The button that opens camera and sound. */
export function startButton(page: Page) {
  return page.getByRole('button', { name: /^(Empezar turno|Start shift)$/ });
}

/** Begins the shift; the camera is open then. */
export async function startShift(page: Page): Promise<void> {
  await startButton(page).click();
  await page
    .getByText(/^(Apunta al QR|Aim at the customer)/)
    .first()
    .waitFor();
}

/** Types a code into the field and sends it. */
export async function typeCode(page: Page, code: string): Promise<void> {
  const field = page.getByRole('textbox', { name: /^(Código a mano|Type the code)/ });
  await field.fill(code);
  await field.press('Enter');
}

/** The verdict on the screen, whatever it is. */
export function verdict(page: Page) {
  return page.getByRole('alertdialog');
}

/** Waits until the verdict has this title. Throws with what stands on the page instead. */
export async function untilVerdict(page: Page, title: string | RegExp): Promise<void> {
  try {
    await verdict(page).getByRole('heading', { name: title }).waitFor();
  } catch (cause) {
    throw new Error(`no verdict ${title}, but: ${await sight(page)}`, { cause });
  }
}

/** Taps a button of the verdict. */
export async function tap(page: Page, name: string | RegExp): Promise<void> {
  await verdict(page).getByRole('button', { name }).click();
}
