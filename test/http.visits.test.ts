import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { landingToken } from '../src/core/ids.ts';
import { createLog } from '../src/core/log.ts';
import { openDatabase } from '../src/db/pool.ts';
import { prepared } from '../src/db/statement.ts';
import { createMetrics } from '../src/http/metrics.ts';
import { WORDS } from '../src/http/pages/words.ts';
import { buildServer } from '../src/http/server.ts';
import { type TestApp, testApp } from './support/app.ts';

const BROWSER = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'user-agent': 'Mozilla/5.0',
};
const HTML = /^text\/html; charset=utf-8/;
const PROBLEM = /^application\/problem\+json/;

interface Issued {
  redemption_id: string;
  qr_landing_url: string;
  path: string;
}

/** A member's redemption of 10 Lümis, as the API hands it out. */
async function redeem(api: TestApp, offer_id: string, userId = 7): Promise<Issued> {
  const token = await api.member(userId);
  const { status, body } = await api.call('POST', '/rewards/redemptions', {
    token,
    body: { offer_id },
  });
  assert.equal(status, 201);
  return { ...body, path: new URL(body.qr_landing_url).pathname };
}

async function shop(t: TestContext, changes: object = {}) {
  const api = await testApp(t, changes);
  const merchant = await api.merchant('Café Sur');
  await api.grant(7, 1000);
  const offer = await api.offer({
    name_friendly: 'Café gratis',
    merchant_id: merchant.merchant_id,
  });
  const open = (url: string, headers: object = {}, method: 'GET' | 'HEAD' = 'GET') =>
    api.app.inject({ method, url, headers: { ...BROWSER, ...headers } });
  return { api, merchant, offer, open };
}

const STATE = prepared(
  'test.state',
  `SELECT (SELECT json_agg(r ORDER BY redemption_id) FROM rewards.user_redemptions r) AS redemptions,
     (SELECT json_agg(a ORDER BY a::text) FROM rewards.redemption_audit_log a) AS audit,
     (SELECT count(*) FROM lumis.events) AS events,
     (SELECT json_agg(b ORDER BY user_id) FROM lumis.balances b) AS balances`,
);

test('opening the pages changes nothing, by GET and HEAD, in any state', async (t) => {
  const { api, merchant, offer, open } = await shop(t);
  const pending = await redeem(api, offer);
  const due = await redeem(api, offer);
  const used = await redeem(api, offer);
  await api.call('POST', `/merchant/redemptions/${used.redemption_id}/confirm`, {
    token: merchant.api_key,
  });
  await api.db.query(
    prepared(
      'test.due',
      `UPDATE rewards.user_redemptions SET code_expires_at = now() - interval '1 hour'
       WHERE redemption_id = $1`,
    )(due.redemption_id),
  );
  const before = await api.db.query(STATE());
  const paths = [
    pending.path,
    due.path,
    used.path,
    `/r/${landingToken()}`,
    '/',
    '/assets/page.css',
  ];
  for (const path of paths) {
    const got = await open(path);
    const head = await open(path, {}, 'HEAD');
    assert.equal(head.statusCode, got.statusCode, path);
    assert.equal(head.body, '');
    for (const name of ['content-type', 'content-length', 'cache-control', 'x-robots-tag']) {
      assert.equal(head.headers[name], got.headers[name], `${path} ${name}`);
    }
  }
  assert.deepEqual(await api.db.query(STATE()), before);
  assert.ok((await open(due.path)).body.includes(WORDS.es.landing.verdict.expired.title));
});

test('the landing page is kept by nobody, indexed by nobody and tells nobody where', async (t) => {
  const { api, offer, open } = await shop(t);
  const { path } = await redeem(api, offer);
  for (const url of [path, `/r/${landingToken()}`]) {
    const { headers, body } = await open(url);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-robots-tag'], 'noindex');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['set-cookie'], undefined);
    const csp = String(headers['content-security-policy']);
    assert.match(csp, /default-src 'none'/);
    assert.doesNotMatch(csp, /script-src|unsafe|\*|http/);
    assert.ok(Buffer.byteLength(body) < 14 * 1024);
  }
});

test('whatever stands in the address, a visitor gets a page', async (t) => {
  const { api, offer, open } = await shop(t);
  const { path } = await redeem(api, offer);
  for (const query of [
    '?lang=fr',
    '?lang=',
    `?lang=${'x'.repeat(500)}`,
    '?lang=en&lang=es',
    '?x',
  ]) {
    const { statusCode, body } = await open(path + query);
    assert.equal(statusCode, 200, query);
    assert.ok(body.includes('<html lang="es">'), query);
  }
  const { body } = await open(`${path}?lang=en`, { 'accept-language': 'es' });
  assert.ok(body.includes('<html lang="en">') && body.includes('href="/?lang=en"'));
  assert.ok((await open(path, { 'accept-language': 'en-GB' })).body.includes('<html lang="en">'));
  for (const [url, status] of [
    ['/r/x', 404],
    [`/r/${'A'.repeat(22)}`, 404],
    ['/r/%00', 400],
    ['/r/%ff', 400],
    ['/r/%zz', 400],
    [`/r/${'a'.repeat(300)}`, 414],
    ['/r/', 404],
    ['/nothing?lang=en', 404],
    ['/r/..%2f..%2fetc%2fpasswd', 404],
    ["/r/'%20OR%201=1--", 404],
    ['/r/%3Cscript%3Ealert(1)%3C%2Fscript%3E', 404],
  ] as const) {
    const { statusCode, headers, body: page } = await open(url);
    assert.equal(statusCode, status, url);
    assert.match(String(headers['content-type']), HTML, url);
    assert.equal(page.match(/<h1>/g)?.length, 1, url);
    assert.doesNotMatch(page, /<script|passwd"/);
    assert.ok(String(headers['content-security-policy']).includes("default-src 'none'"), url);
  }
});

test('an API caller gets a problem where a browser gets a page', async (t) => {
  const { api, open } = await shop(t);
  for (const accept of ['application/json', '*/*', 'text/html;q=0, */*', undefined]) {
    const headers = accept === undefined ? {} : { accept };
    const reply = await api.app.inject({ url: '/nothing', headers });
    assert.match(String(reply.headers['content-type']), PROBLEM, accept);
  }
  assert.match(String((await open('/api/v1/nothing')).headers['content-type']), PROBLEM);
  const posted = await api.app.inject({ method: 'POST', url: '/r/x', headers: BROWSER });
  assert.match(String(posted.headers['content-type']), PROBLEM);
});

test('too many visits are told to wait, in both languages', async (t) => {
  const rateLimits = {
    ...(await import('../src/config.ts')).readConfig({}).rateLimits,
    landing: 2,
  };
  const { open, api } = await shop(t, { rateLimits });
  for (let i = 0; i < 2; i += 1) assert.equal((await open(`/r/${landingToken()}`)).statusCode, 404);
  for (const locale of ['es', 'en'] as const) {
    const { statusCode, headers, body } = await open('/r/x', { 'accept-language': locale });
    assert.equal(statusCode, 429);
    assert.match(String(headers['content-type']), HTML);
    assert.equal(headers['content-language'], locale);
    assert.equal(headers['cache-control'], 'no-store');
    assert.ok(body.includes(WORDS[locale].fault.kinds.rate_limited.title));
    assert.ok(Number(headers['retry-after']) > 0);
    assert.ok(body.includes(` ${headers['retry-after']} s `), body);
  }
  const json = await api.app.inject({ url: '/r/x' });
  assert.equal(json.statusCode, 429);
  assert.equal(json.json().code, 'rate_limited');
});

test('without its database the page still says what to do', async (t) => {
  const { api } = await shop(t);
  const log = createLog('silent');
  const url = 'postgresql://nobody@127.0.0.1:1/none';
  const db = openDatabase({ url, max: 2, poolTimeoutMs: 2000, onError: () => undefined });
  const metrics = createMetrics(db);
  const alone = await buildServer({ ...api, db, log, metrics, version: 'test', demo: false });
  t.after(async () => {
    await alone.close();
    await db.close();
  });
  for (const locale of ['es', 'en'] as const) {
    const { statusCode, headers, body } = await alone.inject({
      url: `/r/${landingToken()}?lang=${locale}`,
      headers: BROWSER,
    });
    assert.equal(statusCode, 503);
    assert.match(String(headers['content-type']), HTML);
    assert.ok(Number(headers['retry-after']) > 0);
    assert.ok(body.includes(WORDS[locale].fault.kinds.overloaded.title));
    assert.ok(body.includes(`>${WORDS[locale].fault.retry}</a>`));
    assert.ok(body.includes(String(headers['x-request-id'])));
    assert.doesNotMatch(body, /ECONNREFUSED|127\.0\.0\.1|postgres/);
  }
  assert.equal((await alone.inject({ url: '/', headers: BROWSER })).statusCode, 200);
});

test('a code keeps working after the server has moved to another address', async (t) => {
  const { api, merchant, offer } = await shop(t, { publicUrl: 'http://localhost:8000' });
  const old = await redeem(api, offer);
  const moved = { ...api.config, publicUrl: 'https://192.168.1.20:8000' };
  const metrics = createMetrics(api.db);
  const log = createLog('silent');
  const parts = { db: api.db, log, metrics, version: 'test', demo: false };
  const app = await buildServer({ ...parts, config: moved });
  t.after(() => app.close());
  const validate = async (code: string) => {
    const { statusCode } = await app.inject({
      method: 'POST',
      url: '/api/v1/merchant/validate',
      headers: { authorization: `Bearer ${merchant.api_key}` },
      payload: { code },
    });
    return statusCode;
  };
  const token = old.path.slice('/r/'.length);
  assert.equal(old.qr_landing_url, `http://localhost:8000/r/${token}`);
  for (const code of [
    old.qr_landing_url,
    `${moved.publicUrl}/r/${token}`,
    `${moved.publicUrl}/r/${token}?lang=en`,
    token,
  ]) {
    assert.equal(await validate(code), 200, code);
  }
  for (const code of [
    `https://evil.example/r/${token}`,
    `https://192.168.1.20:8001/r/${token}`,
    `${moved.publicUrl}.evil.example/r/${token}`,
    `${moved.publicUrl}/x/r/${token}`,
  ]) {
    assert.equal(await validate(code), 404, code);
  }
  const page = await app.inject({ url: old.path, headers: BROWSER });
  const { qrSvg } = await import('../src/core/qr.ts');
  assert.ok(page.body.includes(qrSvg(`${moved.publicUrl}${old.path}`)));
});
