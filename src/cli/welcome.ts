import { relative } from 'node:path';
import type { Config } from '../config.ts';
import type { Running } from '../main.ts';

/** The page printed at the start: where to click, how to sign in, and a walk through the whole flow. */
export function welcome(config: Config, running: Running): string {
  const base = config.publicUrl;
  const lines = [
    '',
    `  Lümis is running: ${base}`,
    '',
    `  What runs here     ${base}/`,
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
  return [...lines, ...walk(base, relative(process.cwd(), config.dataDirectory))].join('\n');
}

/** Every line works when pasted in a second terminal, in the project's folder. */
function walk(base: string, data: string): string[] {
  const api = `${base}/api/v1`;
  const pick = (path: string) => `node -pe 'JSON.parse(require("fs").readFileSync(0)).${path}'`;
  return [
    '  Try it: in a second terminal, in this folder, line by line.',
    '  Members 1, 2 and 3 have points; Café Test is a merchant; 100 is the administrator.',
    '',
    '  # a member signs in, sees what there is, and redeems a coffee',
    '  TOKEN=$(npx lumis token --user 1)',
    `  curl -s "${api}/rewards/balance" -H "Authorization: Bearer $TOKEN"; echo`,
    `  curl -s "${api}/rewards/offers" -H "Authorization: Bearer $TOKEN"; echo`,
    `  OFFER=$(curl -s "${api}/rewards/offers?q=caf%C3%A9" -H "Authorization: Bearer $TOKEN" | ${pick('data[0].offer_id')})`,
    `  curl -s -X POST "${api}/rewards/redemptions" -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: walk-$(date +%s%N)" -H 'Content-Type: application/json' -d "{\\"offer_id\\":\\"$OFFER\\"}" -o redeemed.json; cat redeemed.json; echo`,
    `  ID=$(${pick('redemption_id')} < redeemed.json); CODE=$(${pick('redemption_code')} < redeemed.json); PAGE=$(${pick('qr_landing_url')} < redeemed.json)`,
    `  curl -s "${api}/rewards/redemptions/$ID/qr.png" -H "Authorization: Bearer $TOKEN" -o qr.png; ls -l qr.png`,
    '  curl -s "$PAGE" | head -20',
    '',
    '  # the merchant looks at the code, hands over, confirms; a second time it is refused',
    `  KEY=$(cat "${data}/demo-merchant-key")`,
    `  curl -s -X POST "${api}/merchant/validate" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d "{\\"code\\":\\"$CODE\\"}"; echo`,
    `  curl -s -X POST "${api}/merchant/redemptions/$ID/confirm" -H "Authorization: Bearer $KEY" -H "Idempotency-Key: walk-$(date +%s%N)"; echo`,
    `  curl -s -X POST "${api}/merchant/redemptions/$ID/confirm" -H "Authorization: Bearer $KEY" -H "Idempotency-Key: walk-$(date +%s%N)"; echo`,
    `  curl -s "${api}/merchant/stats" -H "Authorization: Bearer $KEY"; echo`,
    '',
    '  # and back again: the merchant reverses, the points return; the administrator sees it all',
    `  curl -s -X POST "${api}/merchant/redemptions/$ID/reverse" -H "Authorization: Bearer $KEY" -H "Idempotency-Key: walk-$(date +%s%N)" -H 'Content-Type: application/json' -d '{"reason":"Se enfrió"}'; echo`,
    `  curl -s "${api}/rewards/ledger" -H "Authorization: Bearer $TOKEN"; echo`,
    '  ADMIN=$(npx lumis token --user 100 --role admin)',
    `  curl -s "${api}/admin/audit?redemption_id=$ID" -H "Authorization: Bearer $ADMIN"; echo`,
    '  npx lumis verify',
    '',
    '  Ctrl+C stops it; npm start brings it back with the same data.',
    '',
  ];
}
