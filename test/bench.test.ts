import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { Latencies, percentile, summarize } from '../bench/latency.ts';
import { type Response, ResponseReader } from '../bench/load/reader.ts';
import { memberAt, memberToken } from '../bench/load/requests.ts';
import { bestOf, judge, latencyOf, median, ratioOf, rowOf } from '../bench/measure.ts';
import { JWT_SECRET } from '../bench/node.ts';
import { readOptions } from '../bench/options.ts';
import { lastOf, readReport } from '../bench/pgbench.ts';
import { drawPicture } from '../bench/picture.ts';
import { figure, printReport, ratioSpread } from '../bench/report.ts';
import type { Row } from '../bench/scene.ts';
import { createTokenVerifier } from '../src/http/tokens.ts';
import { PROJECT_ROOT } from '../src/project.ts';

const latency = (ms: number) => ({ count: 1, mean: ms, p50: ms, p90: ms, p99: ms, max: ms });
const row = (what: string, side: string, clients: number, rates: number[], ms = 1): Row => {
  return { what, side, clients, size: '100k', rates, latencies: rates.map(() => latency(ms)) };
};

function read(chunks: Buffer[]) {
  const found: (Omit<Response, 'text'> & { body: string })[] = [];
  const reader = new ResponseReader(({ text, ...rest }) => found.push({ ...rest, body: text() }));
  for (const chunk of chunks) reader.feed(chunk);
  return found;
}

test('a database that is not on this machine is refused before anything happens', () => {
  const entry = join(PROJECT_ROOT, 'dist', 'bench', 'bench.js');
  for (const url of [
    'postgres://db.example.com/postgres',
    'postgres://postgres@127.0.0.1/postgres?host=db.example.com',
    'not a url',
  ]) {
    const { status, stderr } = spawnSync(process.execPath, [entry, '--url', url], {
      encoding: 'utf8',
    });
    assert.equal(status, 64, url);
    assert.match(stderr, /this machine/, url);
  }
});

test('lumis bench passes on what it is told, and the exit code', () => {
  const entry = join(PROJECT_ROOT, 'dist', 'src', 'cli', 'main.js');
  const run = (...parameters: string[]) =>
    spawnSync(process.execPath, [entry, 'bench', ...parameters], { encoding: 'utf8' });
  assert.match(run('--help').stdout, /--clients LIST/);
  const { status, stderr } = run('--only', 'nothing');
  assert.equal(status, 64);
  assert.match(stderr, /there are redeem, confirm/);
});

test('options: what is asked for, in the order in which it runs', () => {
  const asked = readOptions(['--only', 'reads,redeem', '--size', '10m,100k', '--json']);
  assert.ok(asked !== 'help');
  assert.deepEqual(asked.only, ['redeem', 'reads']);
  assert.deepEqual(asked.sizes, ['100k', '10m']);
  assert.deepEqual(asked.clients, [1, 16, 64, 256]);
  assert.equal(asked.json, '-');
  const smoke = readOptions(['--json', 'a.json', '--smoke']);
  assert.ok(smoke !== 'help');
  assert.deepEqual([smoke.json, smoke.clients, smoke.rounds], ['a.json', [16], 1]);
  for (const wrong of [
    ['--rounds', '0'],
    ['--clients', '1,many'],
    ['--size', '5m'],
    ['--keep', 'a;b'],
    ['--fast'],
  ]) {
    assert.throws(() => readOptions(wrong), { exit: 64 }, wrong.join(' '));
  }
});

test('responses are read wherever their bytes are cut', () => {
  const text =
    'HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nContent-Length: 13\r\n\r\n{"a":"Lümis"}' +
    'HTTP/1.1 304 Not Modified\r\netag: W/"abc"\r\n\r\n' +
    'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
  const bytes = Buffer.from(text.replace('Length: 13', 'Length: 14'));
  const whole = read([bytes]);
  assert.deepEqual(whole, [
    { status: 201, etag: undefined, size: { head: 76, body: 14 }, body: '{"a":"Lümis"}' },
    { status: 304, etag: 'W/"abc"', size: { head: 44, body: 0 }, body: '' },
    { status: 200, etag: undefined, size: { head: 38, body: 0 }, body: '' },
  ]);
  for (let at = 1; at < bytes.length; at += 1) {
    assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), whole, `cut at ${at}`);
  }
  assert.deepEqual(read([...bytes].map((byte) => Buffer.from([byte]))), whole, 'byte by byte');
  const endless = Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
  assert.throws(() => read([endless]), /without Content-Length/);
});

test('percentiles are exact', () => {
  const latencies = new Latencies();
  for (let ms = 5000; ms > 0; ms -= 1) latencies.add(ms);
  const found = latencies.summary();
  assert.deepEqual(found, {
    count: 5000,
    mean: 2500.5,
    p50: 2500,
    p90: 4500,
    p99: 4950,
    max: 5000,
  });
  assert.equal(percentile([1, 2, 3], 50), 2);
  assert.equal(percentile([7], 99), 7);
  assert.deepEqual(summarize(new Float64Array()), { ...latency(0), count: 0 });
});

test("members' tokens are the ones that the server takes", async () => {
  const verify = createTokenVerifier({
    secret: JWT_SECRET,
    jwksUrl: undefined,
    issuer: undefined,
    audience: undefined,
  });
  const { claims, isAdmin } = await verify(memberToken(4711));
  assert.equal(claims.user_id, 4711);
  assert.equal(isAdmin, false);
  const forged = memberToken(1).replace(/[^.]+$/, createHmac('sha256', 'x').digest('base64url'));
  await assert.rejects(verify(forged));
});

test('members with tokens are spread over all of them', () => {
  const spread = [0, 1, 2, 3, 4].map((index) => memberAt(index, 1000, 4));
  assert.deepEqual(spread, [1, 251, 501, 751, 1]);
});

test('what pgbench prints is read, and nothing is made up', () => {
  const text = `number of transactions actually processed: 16384
number of failed transactions: 2 (0.012%)
latency average = 3.9 ms
tps = 4096.5 (without initial connection time)`;
  assert.deepEqual(readReport(text), { transactions: 16384, failed: 2 });
  assert.throws(() => readReport('pgbench: error'), /something else/);
  const lines = [
    '0 1 2500 0 100 500000',
    '1 1 1000 0 102 0',
    '0 2 failed 0 102 1',
    '0 3 500 0 103 0',
  ];
  assert.deepEqual([...lastOf([...lines, ''], 2)], [1, 0.5]);
});

test('ratios: the median of the rounds, the best of each side, nothing where nothing was', () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  const rows = [
    row('redeem', 'ours', 1, [100, 120, 110]),
    row('redeem', 'ours', 64, [900, 800, 1000]),
    row('redeem', 'pgbench', 1, [200, 210, 190]),
    row('redeem', 'pgbench', 64, [400, 600, 500], 7),
  ];
  const best = bestOf(rows, 'redeem', 'pgbench');
  assert.equal(best?.clients, 64);
  assert.equal(ratioOf(rowOf(rows, 'redeem', 'ours', 64), best), 1.8);
  assert.equal(ratioOf(rowOf(rows, 'redeem', 'ours', 16), best), undefined);
  assert.equal(best && latencyOf(best, 'p99'), 7);
  assert.equal(ratioSpread([900, 800, 1000], [400, 600, 500]), '1.80 (1.33–2.25)');
});

test('a bar says what was wanted and found, and judges nothing that was not measured', () => {
  assert.deepEqual(judge('a', 1.314, { atLeast: 1.2 }), [
    { what: 'a', wanted: '≥ 1.2', found: '1.31', ok: true },
  ]);
  assert.deepEqual(judge('b', 112.4, { below: 100 }, ' ms'), [
    { what: 'b', wanted: '< 100 ms', found: '112 ms', ok: false },
  ]);
  assert.equal(judge('c', 1.3, { atMost: 1.3 })[0]?.ok, true);
  assert.deepEqual(judge('d', undefined, { atLeast: 1 }), []);
});

test('the report and the picture show both sides and the bars', () => {
  const report = {
    date: '2026-01-31T12:00:00.000Z',
    machine: { cpus: 2, model: 'A & B', memory_gb: 8, node: '20.0.0', system: 'linux' },
    settings: { server_version: '18.4', fsync: 'on' },
    sizes: {},
    options: {},
    wrong: ['redeem: answered 500'],
    scenarios: {
      redeem: {
        rows: [row('redeem', 'ours', 64, [5000]), row('redeem', 'pgbench', 64, [2500])],
        verdicts: [
          ...judge('ratio', 2, { atLeast: 1.2 }),
          ...judge('tax', 2, { atMost: 1.3 }),
          ...judge('best', 1, { atLeast: 4 }),
        ],
        wrong: [],
        notes: ['a note'],
      },
    },
  };
  const text = printReport(report);
  for (const words of [
    /redeem: ours +100k +64 +5,000/,
    /redeem: pgbench +100k +64 +2,500 .* 2\.00/,
    /ratio +wanted ≥ 1\.2: +2 +ok/,
    /tax +wanted ≤ 1\.3: +2 +ABOVE/,
    /best +wanted ≥ 4: +1 +BELOW/,
    /a note/,
    /WRONG:\n {2}redeem: answered 500/,
  ]) {
    assert.match(text, words);
  }
  const picture = drawPicture(report);
  assert.match(picture, /^<svg [^>]*viewBox/);
  assert.match(picture, /A &amp; B/);
  assert.match(picture, /prefers-color-scheme: dark/);
  assert.equal(picture.match(/<rect /g)?.length, 2);
});

test('figures keep three digits that say something', () => {
  assert.deepEqual([12_345.6, 123.4, 12.34, 1.234, Number.NaN].map(figure), [
    '12,346',
    '123',
    '12.3',
    '1.23',
    '-',
  ]);
});
