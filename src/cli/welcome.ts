import { relative } from 'node:path';
import type { Config } from '../config.ts';
import { CA_FILE } from '../lan/address.ts';
import type { Running } from '../main.ts';

export interface WelcomeOptions {
  /** the wallet's and the scanner's pages are served */
  pages: boolean;
  /** it speaks HTTPS with a certificate that no program knows by itself */
  ownTls: boolean;
}

/** The page printed at the start: where to click, how to sign in, and a walk through the whole flow. */
export function welcome(config: Config, running: Running, options: WelcomeOptions): string {
  const base = config.publicUrl;
  const lines = [
    '',
    `  Lümis is running: ${base}`,
    '',
    `  What runs here     ${base}/`,
    ...(options.pages ? apps(base, running) : []),
    `  API documentation  ${base}/docs`,
    `  OpenAPI 3.1        ${base}/openapi.json`,
    `  Health, figures    ${base}/healthz  ${base}/readyz  ${base}/metrics`,
    '',
  ];
  if (!running.url) return '\n  Lümis worker is running.\n';
  if (!config.databaseUrl) {
    lines.push('  Your own tools can use the embedded database (also psql, pgAdmin, DBeaver):');
    lines.push(`  ${running.databaseUrl}`, '');
  }
  if (!running.demo) return lines.join('\n');
  const data = relative(process.cwd(), config.dataDirectory);
  const trust = options.ownTls ? [`export CURL_CA_BUNDLE="${data}/${CA_FILE}"`, ''] : [];
  const pairing = options.pages ? pairingHint(base) : [];
  return [...lines, ...pairing, ...walk(base, data, trust)].join('\n');
}

const apps = (base: string, { demo }: Running) => [
  `  Members: wallet    ${base}/wallet/${demo ? '  choose a demo member' : ''}`,
  `  Cashiers: scanner  ${base}/scan/${demo ? '  pair it there with Café Test' : ''}`,
];

/** The command reads its own environment: where phones reach this server must be said again. */
function pairingHint(base: string): string[] {
  const where = base === 'http://localhost:8000' ? '' : `PUBLIC_URL=${base} `;
  return [
    '  Pair a phone as a scanner of Café Test (a QR that is good once):',
    `  ${where}npx lumis device pair --merchant 'Café Test'`,
    '',
  ];
}

/** Every line works when pasted in a second terminal, in the project's folder. */
function walk(base: string, data: string, before: string[]): string[] {
  const api = `${base}/api/v1`;
  const pick = (path: string) => `node -pe 'JSON.parse(require("fs").readFileSync(0)).${path}'`;
  const bearer = (name: string) => `-H "Authorization: Bearer $${name}"`;
  const key = (name: string) => `-H "Idempotency-Key: ${name}"`;
  const file = (name: string) => `"${data}/${name}"`;
  const json = (body: string) => `-H 'Content-Type: application/json' -d ${body}`;
  const get = (path: string, who: string) => `curl -s "${api}${path}" ${bearer(who)}`;
  const post = (path: string, who: string, ...more: string[]) =>
    ['curl -s -X POST', `"${api}${path}"`, bearer(who), ...more].join(' ');
  const redeemed = file('redeemed.json');
  const offer = `"{\\"offer_id\\":\\"$OFFER\\"}" -o ${redeemed}; cat ${redeemed}; echo`;
  const regret = `'{"reason":"Se enfrió"}'; echo`;
  const field = (name: string) => `$(${pick(name)} < ${redeemed})`;
  return [
    'Try it: in a second terminal, in this folder, line by line.',
    'Members 1, 2 and 3 have points; Café Test is a merchant; 100 is the administrator.',
    '',
    ...before,
    '# a member signs in, sees what there is, and redeems a coffee',
    'TOKEN=$(npx lumis token --user 1)',
    `${get('/rewards/balance', 'TOKEN')}; echo`,
    `${get('/rewards/offers', 'TOKEN')}; echo`,
    `OFFER=$(${get('/rewards/offers?q=caf%C3%A9', 'TOKEN')} | ${pick('data[0].offer_id')})`,
    post('/rewards/redemptions', 'TOKEN', key('walk-$(date +%s)'), json(offer)),
    `ID=${field('redemption_id')}; CODE=${field('redemption_code')}; PAGE=${field('qr_landing_url')}`,
    `${get('/rewards/redemptions/$ID/qr.png', 'TOKEN')} -o ${file('qr.png')}; ls -l ${file('qr.png')}`,
    'curl -s "$PAGE" | head -20',
    '',
    '# the merchant looks at the code, hands over, confirms; a second time it is refused',
    `KEY=$(cat ${file('demo-merchant-key')})`,
    `${post('/merchant/validate', 'KEY', json('"{\\"code\\":\\"$CODE\\"}"'))}; echo`,
    `${post('/merchant/redemptions/$ID/confirm', 'KEY', key('$ID-1'))}; echo`,
    `${post('/merchant/redemptions/$ID/confirm', 'KEY', key('$ID-2'))}; echo`,
    `${get('/merchant/stats', 'KEY')}; echo`,
    '',
    '# and back again: the merchant reverses, the points return; the administrator sees it all',
    post('/merchant/redemptions/$ID/reverse', 'KEY', key('$ID-3'), json(regret)),
    `${get('/rewards/ledger', 'TOKEN')}; echo`,
    'ADMIN=$(npx lumis token --user 100 --role admin)',
    `${get('/admin/audit?redemption_id=$ID', 'ADMIN')}; echo`,
    'npx lumis verify',
    '',
    'Ctrl+C stops it; npm start brings it back with the same data.',
    '',
  ].map((line) => (line ? `  ${line}` : line));
}
