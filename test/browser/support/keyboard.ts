/** Somebody without mouse and touch. */

import assert from 'node:assert/strict';
import type { Locator, Page } from 'playwright-core';

const TABS_MAX = 80;

/** Presses Tab until `target` has the focus, and checks that one can see that it has. */
export async function tabTo(page: Page, target: Locator): Promise<void> {
  await target.first().waitFor();
  for (let i = 0; i < TABS_MAX; i += 1) {
    await page.keyboard.press('Tab');
    if (await hasFocus(target.first())) {
      assert.deepEqual(await unseen(page), [], 'the focus is seen');
      return;
    }
  }
  assert.fail(`${TABS_MAX} times Tab, and never at ${target}`);
}

/** Goes to `target` by Tab and presses Enter. */
export async function choose(page: Page, target: Locator): Promise<void> {
  await tabTo(page, target);
  await page.keyboard.press('Enter');
}

function hasFocus(target: Locator): Promise<boolean> {
  return target.evaluate((item) => item === (globalThis as any).document.activeElement);
}

/** Why the element with the focus cannot be seen to have it; empty is right. */
function unseen(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const { document, innerHeight, getComputedStyle } = globalThis as any;
    const item = document.activeElement;
    const shown = item.type === 'radio' ? (item.closest('label') ?? item) : item;
    const box = shown.getBoundingClientRect();
    const ringed = [shown, item, item.nextElementSibling].filter(Boolean).some((one) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(one);
      return (
        (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2) || boxShadow !== 'none'
      );
    });
    const name = `${item.localName} ${item.textContent.trim().slice(0, 30)}`;
    const middle = box.top + box.height / 2;
    const found = [];
    if (!ringed) found.push(`${name}: no ring`);
    if (middle < 0 || middle > innerHeight) found.push(`${name}: out of sight (${middle})`);
    return found as string[];
  });
}
