/** The wallet inside somebody's app: the token comes by message, and only from whom it may. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, test } from 'node:test';
import { openChromium } from './support/chromium.ts';
import { openStage } from './support/stage.ts';

const MEMBER = 7;

/** An app of another origin that frames the wallet and answers its `lumis:ready` with a token. */
async function openApp() {
  let page = '';
  const server = createServer((_, reply) => {
    reply.setHeader('content-type', 'text/html').end(page);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return {
    origin: `http://localhost:${port}`,
    frame(wallet: string, token: string) {
      page = `<!doctype html><html lang="es"><title>App</title><iframe title="Lümis" width="380"
        height="700" src="${wallet}/wallet/"></iframe><script>
        window.heard = [];
        addEventListener('message', ({ data, origin, source }) => {
          window.heard.push([origin, data.type]);
          if (data.type === 'lumis:ready') {
            source.postMessage({ type: 'lumis:token', token: '${token}' }, origin);
          }
        });
      </script></html>`;
    },
  };
}

const app = await openApp();
const stranger = await openApp();
const stage = await openStage({ corsOrigins: [app.origin] });
const { phone } = await openChromium();
await stage.grant(MEMBER, 1250);
const token = await stage.member(MEMBER, { name: 'Ana' });

test('an app of the list signs its member in by message', async () => {
  app.frame(stage.url, token);
  const { page } = await phone();
  await page.goto(app.origin);
  await page.frameLocator('iframe').getByText('1,250').first().waitFor();
  const heard = await page.evaluate(() => (globalThis as any).heard);
  assert.deepEqual(heard[0], [stage.url, 'lumis:ready']);
});

test('a stranger cannot frame it, hears nothing, and is not listened to', async () => {
  stranger.frame(stage.url, token);
  const { page, context } = await phone();
  await page.goto(stranger.origin);
  await page.waitForTimeout(2000);
  assert.equal(await page.frameLocator('iframe').getByText('1,250').count(), 0);
  assert.deepEqual(await page.evaluate(() => (globalThis as any).heard), []);
  // in a window of its own it can be opened by anybody, and then too
  const opened = context.waitForEvent('page');
  await page.evaluate(
    ([url, value]) => {
      const popup = (globalThis as any).open(`${url}/wallet/`);
      const say = () => popup.postMessage({ type: 'lumis:token', token: value }, '*');
      (globalThis as any).setInterval(say, 200);
    },
    [stage.url, token],
  );
  const popup = await opened;
  await popup
    .getByText(/Para entrar, abre la billetera|Esperando/)
    .first()
    .waitFor();
  await popup.waitForTimeout(1500);
  assert.equal(await popup.getByText('1,250').count(), 0);
});
