/** The web apps as a browser gets them: the built files, from the real server, over the wire. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { readConfig } from '../src/config.ts';
import { type Role, serve } from '../src/main.ts';
import { JWT_SECRET } from './support/app.ts';
import { freshDatabase } from './support/database.ts';

interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Sends the path as it is written: fetch would tidy it up. */
type Get = (
  path: string,
  options?: { method?: string; headers?: Record<string, string> },
) => Promise<Got>;

async function website(
  t: TestContext,
  roles: Role[] = ['api', 'web'],
  environment: Record<string, string> = {},
): Promise<Get> {
  let finish = async () => {};
  t.after(() => finish());
  const { url } = await freshDatabase(t);
  const config = readConfig({
    DATABASE_URL: url,
    JWT_SECRET,
    LOG_LEVEL: 'silent',
    PORT: '0',
    DATABASE_POOL_MAX: '2',
    ...environment,
  });
  const running = await serve(config, roles);
  finish = () => running.stop();
  return (path, { method = 'GET', headers = {} } = {}) =>
    new Promise((resolve, reject) => {
      const asked = request(running.url as string, { path, method, headers, agent: false });
      asked.on('response', async (answer) => {
        const chunks: Buffer[] = [];
        for await (const chunk of answer) chunks.push(chunk);
        const { statusCode = 0, headers } = answer;
        resolve({ status: statusCode, headers, body: Buffer.concat(chunks) });
      });
      asked.on('error', reject);
      asked.end();
    });
}

const BASES = ['/wallet/', '/scan/'];
const text = ({ body }: Got) => body.toString('utf8');

function policyOf({ headers }: Got): Map<string, string> {
  const policy = String(headers['content-security-policy']);
  return new Map(
    policy.split('; ').map((rule) => {
      const [name = '', ...values] = rule.split(' ');
      return [name, values.join(' ')];
    }),
  );
}

/** What an index.html loads from its own server. */
const filesOf = (html: string, pattern: RegExp) =>
  [...html.matchAll(/(?:src|href)="([^"]+)"/g)]
    .map(([, url = '']) => url)
    .filter((url) => pattern.test(url));

test('pages come with a policy that runs nothing inline and shows them nowhere else', async (t) => {
  const get = await website(t);
  for (const base of BASES) {
    const page = await get(base);
    assert.equal(page.status, 200);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    const policy = policyOf(page);
    assert.equal(policy.get('default-src'), "'none'");
    const wasm = base === '/scan/' ? " 'wasm-unsafe-eval'" : '';
    assert.equal(policy.get('script-src'), `'self'${wasm}`);
    assert.equal(policy.get('style-src'), "'self'");
    assert.equal(policy.get('connect-src'), "'self'");
    assert.equal(policy.get('worker-src'), "'self'");
    assert.equal(policy.get('frame-ancestors'), "'none'");
    assert.doesNotMatch([...policy.values()].join(), /unsafe-inline|'unsafe-eval'|http:/);
    assert.equal(page.headers['x-frame-options'], 'DENY');
    assert.equal(page.headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    // what the policy would refuse must not be in the page
    const html = text(page);
    assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=/);
  }
});

test('origins that the operator names may embed the wallet, and only the wallet', async (t) => {
  const CORS_ORIGINS = 'https://bank.example https://app.example';
  const get = await website(t, ['api', 'web'], { CORS_ORIGINS });
  const wallet = await get('/wallet/');
  assert.equal(policyOf(wallet).get('frame-ancestors'), CORS_ORIGINS);
  assert.equal(wallet.headers['x-frame-options'], undefined);
  assert.equal(wallet.headers['cross-origin-opener-policy'], 'unsafe-none');
  const scan = await get('/scan/');
  assert.equal(policyOf(scan).get('frame-ancestors'), "'none'");
  assert.equal(scan.headers['x-frame-options'], 'DENY');
  const api = await get('/healthz');
  assert.equal(api.headers['x-frame-options'], 'DENY');
});

test('what a page loads is there, compressed, and kept forever; the page is asked for', async (t) => {
  const get = await website(t);
  for (const base of BASES) {
    const page = await get(base);
    assert.equal(page.headers['cache-control'], 'no-cache');
    const etag = page.headers.etag as string;
    const again = await get(base, { headers: { 'if-none-match': etag } });
    assert.equal(again.status, 304);
    const assets = filesOf(text(page), /\/assets\//);
    assert.ok(assets.some((url) => url.endsWith('.css')));
    assert.ok(assets.some((url) => url.endsWith('.woff2')));
    assert.ok(assets.filter((url) => url.endsWith('.js')).length >= 2, 'boot and app');
    for (const url of assets) {
      const plain = await get(url);
      assert.equal(plain.status, 200, url);
      assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable');
      if (plain.body.length < 500 || url.endsWith('.woff2')) continue;
      for (const [accepted, encoding, unpack] of [
        ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
        ['gzip', 'gzip', gunzipSync],
      ] as const) {
        const packed = await get(url, { headers: { 'accept-encoding': accepted } });
        assert.equal(packed.headers['content-encoding'], encoding);
        assert.equal(packed.headers['content-type'], plain.headers['content-type']);
        assert.match(String(packed.headers.vary), /accept-encoding/i);
        assert.ok(packed.body.length < plain.body.length);
        assert.ok(unpack(packed.body).equals(plain.body));
      }
    }
    for (const url of filesOf(text(page), /^\/(?:wallet|scan)\/(?!assets)/)) {
      assert.equal((await get(url)).headers['cache-control'], 'no-cache', url);
    }
  }
});

test('the scanner gets its engine as what it is, so that it compiles while it arrives', async (t) => {
  const get = await website(t);
  const worker = text(await get('/scan/sw.js'));
  const wasm = /\/scan\/assets\/[\w-]+\.wasm/.exec(worker)?.[0];
  assert.ok(wasm);
  const engine = await get(wasm, { headers: { 'accept-encoding': 'br' } });
  assert.equal(engine.headers['content-type'], 'application/wasm');
  assert.equal(engine.headers['content-encoding'], 'br');
  assert.ok(engine.body.length < 400 * 1024);
});

test('every address inside an app is the app; a file that is not there is not', async (t) => {
  const get = await website(t);
  for (const base of BASES) {
    const index = await get(base);
    for (const path of ['history', 'redemptions/0197a-x', 'offers/5?redeem=1', 'index.html']) {
      const page = await get(base + path);
      assert.equal(page.status, 200, path);
      assert.equal(page.headers['cache-control'], 'no-cache');
      assert.ok(page.body.equals(index.body), path);
    }
    for (const path of ['assets/old-Xy12.js', 'assets/', 'gone.png', '.built', 'index.html.br']) {
      const missing = await get(base + path);
      assert.equal(missing.status, 404, path);
      assert.equal(missing.headers['content-type'], 'application/problem+json; charset=utf-8');
      assert.notEqual(missing.headers['cache-control'], 'public, max-age=31536000, immutable');
    }
    const head = await get(`${base}history`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    const bare = await get(`${base.slice(0, -1)}?lang=en`);
    assert.deepEqual([bare.status, bare.headers.location], [308, `${base}?lang=en`]);
    assert.equal((await get(base, { method: 'POST' })).status, 404);
  }
});

test('no spelling of a path leads out of an app', async (t) => {
  const get = await website(t);
  const index = await get('/wallet/');
  const outside = ['package.json', 'src/main.js', 'web/scan/sw.js', 'etc/passwd'];
  const ups = ['..', '%2e%2e', '.%2E', '%252e%252e', '..%2f..', '..%5c..', 'assets/..', '\\..'];
  for (const up of ups) {
    for (const target of outside) {
      for (const depth of [1, 2, 3, 6]) {
        const path = `/wallet/${`${up}/`.repeat(depth)}${target}`;
        const got = await get(path);
        // the app, where it could be an address of its own, but never a file from elsewhere
        const isApp = got.status === 200 && got.body.equals(index.body);
        assert.ok(isApp || [400, 404].includes(got.status), `${path}: ${got.status}`);
      }
    }
  }
  assert.equal((await get('/wallet/%00.js')).status, 400);
  assert.equal((await get('/wallet/%E0%A4%A')).status, 400);
});

test('a process without the role web has no pages', async (t) => {
  const get = await website(t, ['api']);
  for (const path of ['/wallet/', '/wallet', '/scan/', '/scan/history', '/wallet/sw.js']) {
    assert.equal((await get(path)).status, 404, path);
  }
  assert.equal((await get('/healthz')).status, 200);
});

test('the service worker keeps exactly what is served, by its content', async (t) => {
  const get = await website(t);
  for (const base of BASES) {
    const worker = await get(`${base}sw.js`);
    assert.equal(worker.status, 200);
    assert.equal(worker.headers['cache-control'], 'no-cache');
    assert.match(String(worker.headers['content-type']), /javascript/);
    const entries = [
      ...text(worker).matchAll(/url:\s*[`"]([^`"]+)[`"],\s*revision:\s*(?:[`"](\w+)[`"]|null)/g),
    ];
    const urls = entries.map(([, url]) => url);
    assert.ok(urls.includes(`${base}index.html`));
    for (const file of filesOf(text(await get(base)), /^\/(?:wallet|scan)\//)) {
      if (!file.endsWith('.png')) assert.ok(urls.includes(file), `${file} is kept`);
    }
    for (const [, url = '', revision] of entries) {
      const kept = await get(url);
      assert.equal(kept.status, 200, url);
      if (revision === undefined) assert.match(url, /\/assets\//);
      else {
        const digest = createHash('sha256').update(kept.body).digest('hex');
        assert.equal(revision, digest.slice(0, 16), url);
      }
    }
  }
});

test('the apps can be installed: manifest, and icons of the sizes it names', async (t) => {
  const get = await website(t);
  for (const base of BASES) {
    const answer = await get(`${base}manifest.webmanifest`);
    assert.match(String(answer.headers['content-type']), /^application\/manifest\+json/);
    const manifest = JSON.parse(text(answer));
    assert.deepEqual(
      [manifest.start_url, manifest.scope, manifest.display, manifest.lang],
      [base, base, 'standalone', 'es'],
    );
    assert.ok(manifest.icons.some(({ purpose }: { purpose: string }) => purpose === 'maskable'));
    for (const { src, sizes, type } of manifest.icons) {
      const icon = await get(src);
      assert.equal(icon.headers['content-type'], type);
      if (type !== 'image/png') continue;
      const size = [icon.body.readUInt32BE(16), icon.body.readUInt32BE(20)].join('x');
      assert.equal(size, sizes);
    }
  }
});

test('a server whose web apps were not built says so', async (t) => {
  const { default: Fastify } = await import('fastify');
  const { webPages } = await import('../src/http/web.ts');
  const folder = mkdtempSync(join(tmpdir(), 'lumis-web-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await assert.rejects(webPages(Fastify() as any, folder, []), /npm run build/);
});
