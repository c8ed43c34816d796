/** The rates as bars, for the documentation: readable on a light and on a dark page. */

import { median } from './measure.ts';
import { figure, type Report } from './report.ts';
import type { Row } from './scene.ts';

const WIDTH = 900;
const LEFT = 250;
const RIGHT = 190;
const BAR = 13;
const GAP = 6;
const TITLE = 34;
const FOOT = 40;
/** Where rates are compared side by side. */
const DRAWN = ['redeem', 'confirm', 'reads'];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 14px; }
  .faint { fill: #57606a; }
  .ours { fill: #0969da; } .other { fill: #9aa4ae; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .faint { fill: #9198a1; }
    .ours { fill: #4493f8; } .other { fill: #6e7681; }
  }`;

/** An SVG with a group of bars for each question that has two sides. */
export function drawPicture(report: Report): string {
  const rows = DRAWN.flatMap((name) => report.scenarios[name]?.rows ?? []);
  const questions = [...new Set(rows.map(({ what }) => what))].filter(
    (what) => new Set(rows.filter((row) => row.what === what).map(({ side }) => side)).size > 1,
  );
  let y = 20;
  const parts: string[] = [];
  for (const what of questions) {
    const group = drawQuestion(
      rows.filter((row) => row.what === what),
      what,
      y,
    );
    parts.push(group.svg);
    y += group.height;
  }
  const { machine, settings, date } = report;
  const words = [
    `answers a second, median of the rounds; p99 in ms`,
    `${machine.cpus} × ${machine.model}, PostgreSQL ${settings.server_version}, Node ${machine.node}`,
    date.slice(0, 10),
  ];
  parts.push(`<text class="faint" x="10" y="${y + 14}">${escaped(words.join(' · '))}</text>`);
  const height = y + FOOT;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" ` +
    `aria-label="Rates of Lümis beside bare SQL and bare Fastify"><style>${STYLE}</style>\n` +
    `${parts.join('\n')}\n</svg>\n`
  );
}

function drawQuestion(rows: readonly Row[], what: string, top: number) {
  const most = Math.max(...rows.map(({ rates }) => median(rates)));
  const scale = (WIDTH - LEFT - RIGHT) / most;
  const parts = [`<text class="title" x="10" y="${top + 14}">${escaped(what)}</text>`];
  let y = top + TITLE - 8;
  let clients = rows[0]?.clients;
  for (const row of rows) {
    if (row.clients !== clients) y += GAP;
    clients = row.clients;
    const rate = median(row.rates);
    const p99 = median(row.latencies.map((latency) => latency.p99));
    const kind = row.side.startsWith('ours') ? 'ours' : 'other';
    const label = `${row.side}, ${row.clients} client${row.clients === 1 ? '' : 's'}`;
    const width = Math.max(1, rate * scale);
    parts.push(
      `<text x="${LEFT - 8}" y="${y + 11}" text-anchor="end">${escaped(label)}</text>`,
      `<rect class="${kind}" x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
      `<text x="${(LEFT + width + 6).toFixed(1)}" y="${y + 11}">${figure(rate)}/s ` +
        `<tspan class="faint">p99 ${figure(p99)} ms</tspan></text>`,
    );
    y += BAR + 4;
  }
  return { svg: parts.join('\n'), height: y - top + 18 };
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
