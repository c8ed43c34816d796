/** axe-core in a page: what stands between it and people. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const SOURCE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];

interface Violation {
  id: string;
  help: string;
  nodes: { target: unknown[]; html: string; failureSummary?: string }[];
}

/**
 * Everything axe finds wrong in the page as it stands, one readable line each; empty is right. What
 * axe calls incomplete (it cannot see) is left to people.
 */
export async function faultsOf(page: Page): Promise<string[]> {
  // through the debugger's own world: the page's policy rightly refuses scripts of others
  await page.evaluate(SOURCE);
  const found = await page.evaluate(async (tags) => {
    const { axe } = globalThis as any;
    const result = await axe.run({ runOnly: { type: 'tag', values: tags } });
    return result.violations;
  }, TAGS);
  return (found as Violation[]).flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, html, failureSummary = '' }) => {
      const why = failureSummary.split('\n').slice(1).join(' ').replace(/\s+/g, ' ').trim();
      return `${id} (${help}) at ${target.join(' ')}: ${html.slice(0, 160)} — ${why}`;
    }),
  );
}
