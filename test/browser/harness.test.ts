/** The tools of these tests, proved on pages of their own: each of them must be able to fail. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { qrSvg } from '../../src/core/qr.ts';
import { faultsOf } from './support/axe.ts';
import { openChromium } from './support/chromium.ts';
import { openProxy } from './support/proxy.ts';

const require = createRequire(import.meta.url);
const READER = require.resolve('zxing-wasm/reader').replace('/cjs/', '/es/');
const WASM = require.resolve('zxing-wasm/reader/zxing_reader.wasm');

/** A page that opens the camera and keeps the last code it read in `window.seen`. */
const EYE = `<!doctype html><html lang="en"><title>Eye</title><video muted playsinline></video>
<script type="module">
  import { prepareZXingModule, readBarcodes } from '/reader/index.js';
  prepareZXingModule({ overrides: { locateFile: () => '/reader.wasm' } });
  window.seen = [];
  const video = document.querySelector('video');
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    await video.play();
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const brush = canvas.getContext('2d', { willReadFrequently: true });
    for (;;) {
      brush.drawImage(video, 0, 0);
      const picture = brush.getImageData(0, 0, canvas.width, canvas.height);
      const found = await readBarcodes(picture, { formats: ['QRCode'], tryInvert: false });
      window.seen = found.map(({ text }) => text);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } catch (error) {
    window.refused = error.name;
  }
</script></html>`;

const server = createServer((request, reply) => {
  const path = request.url ?? '/';
  if (path === '/reader.wasm') {
    reply.setHeader('content-type', 'application/wasm').end(readFileSync(WASM));
  } else if (path.startsWith('/reader/') || path.startsWith('/share')) {
    const file = new URL(path.replace(/^\/reader\//, './'), `file://${READER}`);
    const found = path.startsWith('/share') ? new URL(`..${path}`, `file://${READER}`) : file;
    reply.setHeader('content-type', 'text/javascript').end(readFileSync(found));
  } else {
    reply.setHeader('content-type', 'text/html').end(EYE);
  }
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
after(() => server.close());
const { port } = server.address() as { port: number };
const url = `http://127.0.0.1:${port}/`;

test('the camera shows codes one after the other, and a code on a screen', async () => {
  const { camera, phone } = await openChromium();
  const { page } = await phone();
  await page.goto(url);
  const see = (...texts: string[]) =>
    page.waitForFunction(
      (wanted) => (globalThis as any).seen.sort().join() === wanted,
      texts.join(),
    );
  camera.showCode('first');
  await see('first');
  camera.showNothing();
  await see();
  camera.showCodes('left', 'right');
  await see('left', 'right');
  const other = await phone();
  await other.page.setContent(
    `<body style="background:#17120b"><h1 style="color:#fff">A phone</h1>
     <div style="width:260px;margin:auto">${qrSvg('http://127.0.0.1:8000/r/0123456789abcdef0123456789')}</div>`,
  );
  camera.showScreen(await other.page.screenshot());
  await see('http://127.0.0.1:8000/r/0123456789abcdef0123456789');
});

test('a camera that is denied, missing, or one of several', async () => {
  for (const [kind, name] of [
    ['denied', 'NotAllowedError'],
    ['missing', 'NotFoundError'],
  ] as const) {
    const { phone } = await openChromium(kind);
    const { page } = await phone();
    await page.goto(url);
    await page.waitForFunction(() => (globalThis as any).refused);
    assert.equal(await page.evaluate(() => (globalThis as any).refused), name);
  }
  const { phone } = await openChromium('several');
  const { page } = await phone();
  await page.goto(url);
  const count = await page.evaluate(async () => {
    const devices = await (globalThis as any).navigator.mediaDevices.enumerateDevices();
    return devices.filter((one: { kind: string }) => one.kind === 'videoinput').length;
  });
  assert.equal(count, 3);
});

test('axe says what is wrong', async () => {
  const { phone } = await openChromium();
  const { page } = await phone();
  await page.setContent('<!doctype html><title>x</title><main><h1>x</h1><img src="x.png"></main>');
  const faults = await faultsOf(page);
  assert.match(faults.join('\n'), /image-alt/);
  assert.match(faults.join('\n'), /html-has-lang/);
});

test('the proxy loses answers, keeps them back, refuses, and is mended', async () => {
  let asked = 0;
  const target = createServer((_, reply) => {
    asked += 1;
    reply.end('told');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => target.once('listening', resolve));
  const proxy = await openProxy((target.address() as { port: number }).port);
  const ask = (signal = AbortSignal.timeout(1500)) =>
    fetch(`http://127.0.0.1:${proxy.port}/confirm`, { method: 'POST', signal }).then(
      (reply) => reply.text(),
      (error: Error) => error.name,
    );
  try {
    assert.equal(await ask(), 'told');
    proxy.break({ match: /^POST \/confirm/, how: 'cut' });
    assert.equal(await ask(), 'TypeError');
    assert.equal(asked, 2, 'the server did get it');
    proxy.break({ match: /^POST \/confirm/, how: 'hang' });
    assert.equal(await ask(), 'TimeoutError');
    proxy.break({ match: /^POST \/confirm/, how: 'refuse' });
    assert.equal(await ask(), 'TypeError');
    assert.equal(asked, 3);
    assert.equal(proxy.broken(), 3);
    proxy.mend();
    proxy.down();
    assert.equal(await ask(), 'TypeError');
    proxy.up();
    await sleep(10);
    assert.equal(await ask(), 'told');
  } finally {
    await proxy.close();
    target.closeAllConnections();
    target.close();
  }
});
