/** Lighthouse, as its own command line runs it: a phone with a slow processor and a slow line. */

import lighthouse from 'lighthouse';
import { median } from './times.ts';

export interface Figures {
  performance: number;
  accessibility: number;
  'best-practices': number;
  /** largest contentful paint, total blocking time, milliseconds; layout shift has no unit */
  lcp: number;
  tbt: number;
  cls: number;
  /** audits of accessibility and best practices that did not pass */
  faults: string[];
}

const CATEGORIES = ['performance', 'accessibility', 'best-practices'] as const;

/**
 * The medians of `runs` visits to `url` in the Chromium whose debugging port is given. What that
 * browser has stored stays, so a page that needs a sign-in is visited as signed in.
 */
export async function measure(url: string, port: number, runs = 3): Promise<Figures> {
  const reports: any[] = [];
  for (let i = 0; i < runs; i += 1) {
    const flags = { port, output: 'json', logLevel: 'silent', disableStorageReset: true } as const;
    const result = await lighthouse(url, { ...flags, onlyCategories: [...CATEGORIES] });
    if (!result || result.lhr.runtimeError) {
      throw new Error(`lighthouse: ${result?.lhr.runtimeError?.message ?? 'no result'}`);
    }
    reports.push(result.lhr);
  }
  const score = (category: (typeof CATEGORIES)[number]) =>
    median(reports.map((report) => (report.categories[category]?.score ?? 0) * 100));
  const value = (audit: string) => reports.map((report) => report.audits[audit]?.numericValue ?? 0);
  return {
    performance: score('performance'),
    accessibility: score('accessibility'),
    'best-practices': score('best-practices'),
    lcp: median(value('largest-contentful-paint')),
    tbt: median(value('total-blocking-time')),
    cls: Math.max(...value('cumulative-layout-shift')),
    faults: [...new Set(reports.flatMap(faultsOf))],
  };
}

function faultsOf({ categories, audits }: any): string[] {
  return ['accessibility', 'best-practices'].flatMap((category) =>
    categories[category].auditRefs
      .map(({ id }: { id: string }) => audits[id])
      .filter(({ score, scoreDisplayMode }: any) => scoreDisplayMode === 'binary' && score === 0)
      .map(({ id, title }: any) => `${category}: ${id} (${title})`),
  );
}
