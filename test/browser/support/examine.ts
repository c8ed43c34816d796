/** Looks at a page as it stands with many eyes: dark, narrow, in big letters. */

import type { Page } from 'playwright-core';
import { faultsOf } from './axe.ts';

const NARROW = { width: 320, height: 640 };

/** How a phone is opened for `examine`: a colour half-way between two themes has no contrast. */
export const CALM = { reducedMotion: 'reduce' } as const;

/**
 * What is wrong with the page in its present state: axe in light and in dark, and whether it fits
 * into 320 px, with letters of usual and of double size. Leaves the page as it was, in light.
 */
export async function examine(page: Page, name: string): Promise<string[]> {
  const faults: string[] = [];
  const wide = page.viewportSize();
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    await untilDrawn(page, { colorScheme });
    faults.push(...(await faultsOf(page)).map((fault) => `${name}, ${colorScheme}: ${fault}`));
  }
  await page.setViewportSize(NARROW);
  await untilDrawn(page, NARROW);
  faults.push(...(await misfits(page)).map((fault) => `${name}, 320 px: ${fault}`));
  if (wide) await page.setViewportSize(wide);
  const restore = await doubleLetters(page);
  await untilDrawn(page, wide ?? {});
  faults.push(...(await misfits(page)).map((fault) => `${name}, 200 % text: ${fault}`));
  await restore();
  await untilDrawn(page, {});
  return faults;
}

/**
 * Waits until the page knows that it is so wide and in such colours, and has drawn it: a busy machine
 * takes its time. Without transitions, see `CALM`.
 */
async function untilDrawn(
  page: Page,
  { width, colorScheme }: { width?: number; colorScheme?: string },
): Promise<void> {
  await page.waitForFunction(
    ([wide, colours]) => {
      const { innerWidth, matchMedia } = globalThis as any;
      const isSo =
        colours === undefined || matchMedia(`(prefers-color-scheme: ${colours})`).matches;
      return isSo && (wide === undefined || innerWidth === wide);
    },
    [width, colorScheme] as const,
  );
  await page.evaluate(
    () =>
      new Promise((resolve) => {
        const { requestAnimationFrame } = globalThis as any;
        requestAnimationFrame(() => requestAnimationFrame(resolve));
      }),
  );
}

async function doubleLetters(page: Page): Promise<() => Promise<void>> {
  const size = (value: string) =>
    page.evaluate((text) => {
      (globalThis as any).document.documentElement.style.fontSize = text;
    }, value);
  await size('200%');
  return () => size('');
}

/** What sticks out to the side or is cut off: one line each. */
function misfits(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const { document, innerWidth, getComputedStyle } = globalThis as any;
    const found: string[] = [];
    const root = document.scrollingElement;
    const isWide = root.scrollWidth > innerWidth + 1;
    if (isWide) found.push(`scrolls to the side (${root.scrollWidth} of ${innerWidth})`);
    const top = document.querySelector('dialog[open]') ?? document.body;
    for (const item of top.querySelectorAll('*')) {
      const box = item.getBoundingClientRect();
      const style = getComputedStyle(item);
      const text = item.textContent.trim().slice(0, 40);
      const isSeen = style.visibility !== 'hidden' && box.width > 1 && box.height > 1;
      if (!isSeen || item.closest('.visually-hidden, svg, [inert], [hidden]')) continue;
      if (isWide && box.right > innerWidth + 1) {
        found.push(`<${item.localName} class="${item.className}"> ends at ${box.right}: ${text}`);
      }
      const cuts = style.overflowX === 'hidden' || style.overflowX === 'clip';
      if (cuts && item.scrollWidth > item.clientWidth + 1 && text !== '') {
        found.push(`<${item.localName} class="${item.className}"> cuts off: ${text}`);
      }
    }
    return found.slice(0, 6);
  });
}

/** What moves on the page now, for longer than a blink. */
export function moving(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    (globalThis as any).document
      .getAnimations()
      .filter((one: any) => one.effect.getComputedTiming().duration > 20)
      .map((one: any) => String(one.animationName ?? one.transitionProperty)),
  );
}
