import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { decodeQR } from 'qr/decode.js';
import { lanWelcome, openToLan } from '../src/cli/lan.ts';
import { ConfigFault, readConfig } from '../src/config.ts';
import { qrTerminal } from '../src/core/qr.ts';
import { lanAddresses } from '../src/lan/address.ts';
import { localTls } from '../src/lan/certificate.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { testApp } from './support/app.ts';

const DAY_MS = 86_400_000;
const NAMES = ['192.168.1.20', 'localhost', '127.0.0.1'];

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'lumis lan '));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const later = (days: number) => new Date(Date.now() + days * DAY_MS);

function card(address: string, internal = false, family = 'IPv4') {
  return { address, internal, family, netmask: '', mac: '', cidr: null, scopeid: 0 } as never;
}

test('the address that a phone most likely reaches comes first', () => {
  const best = (interfaces: Record<string, never[]>) => lanAddresses(interfaces)[0]?.address;
  const home = card('192.168.1.20');
  assert.equal(
    best({ lo: [card('127.0.0.1', true)], docker0: [card('172.17.0.1')], en5: [home] }),
    '192.168.1.20',
  );
  assert.equal(best({ eth0: [card('10.0.0.7')], wlan0: [home] }), '192.168.1.20');
  assert.equal(best({ eth0: [card('203.0.113.9')], en1: [home] }), '192.168.1.20');
  assert.equal(best({ en0: [card('169.254.3.4')], tun0: [card('10.8.0.2')] }), '10.8.0.2');
  assert.equal(best({ 'br-1f': [card('172.18.0.1')], eth0: [card('203.0.113.9')] }), '203.0.113.9');
  assert.equal(best({ eth0: [card('fd00::2', false, 'IPv6')] }), undefined);
  assert.deepEqual(
    lanAddresses({ lo: [card('127.0.0.1', true)] }).map(({ isInternal }) => isInternal),
    [true],
  );
});

test('the certificate is for its names, short-lived, and only for its owner to read', async (t) => {
  const directory = join(folder(t), 'data');
  const { key, cert, ca } = await localTls(directory, NAMES);
  const leaf = new X509Certificate(cert);
  const authority = new X509Certificate(ca);
  for (const name of NAMES) {
    assert.ok(/\d$/.test(name) ? leaf.checkIP(name) : leaf.checkHost(name), name);
  }
  assert.equal(leaf.checkIP('192.168.1.21'), undefined);
  assert.ok(leaf.verify(authority.publicKey) && authority.verify(authority.publicKey));
  assert.ok(authority.ca && !leaf.ca);
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']); // TLS server, nothing else
  const days = (Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)) / DAY_MS;
  assert.ok(days <= 397 && days > 300, `${days} days`);
  assert.ok(!ca.includes('PRIVATE') && !cert.includes('PRIVATE') && key.includes('PRIVATE'));
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(readdirSync(directory).length, 4);
  for (const name of readdirSync(directory)) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  }
  for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o644);
  writeFileSync(join(directory, 'lan.crt'), 'damaged');
  assert.equal((await localTls(directory, NAMES)).ca, ca);
  for (const name of ['lan-ca.key', 'lan.key', 'lan.crt']) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  }
});

test('the certificate is kept, and made anew when it no longer does', async (t) => {
  const directory = folder(t);
  const first = await localTls(directory, NAMES);
  assert.deepEqual(await localTls(directory, NAMES), first);
  assert.deepEqual(await localTls(directory, ['localhost']), first, 'it may be for more names');
  assert.deepEqual(await localTls(directory, NAMES, later(360)), first);

  const moved = await localTls(directory, ['10.0.0.9', ...NAMES.slice(1)]);
  assert.equal(moved.ca, first.ca, 'phones have installed it');
  assert.notEqual(moved.cert, first.cert);
  assert.ok(new X509Certificate(moved.cert).checkIP('10.0.0.9'));

  const old = await localTls(directory, NAMES, later(370));
  assert.equal(old.ca, first.ca);
  assert.ok(Date.parse(new X509Certificate(old.cert).validTo) > later(600).getTime());

  const decade = await localTls(directory, NAMES, later(3640));
  assert.notEqual(decade.ca, first.ca);
  assert.ok(new X509Certificate(decade.cert).verify(new X509Certificate(decade.ca).publicKey));
});

test('files that do not fit together are replaced', async (t) => {
  const directory = folder(t);
  const first = await localTls(directory, NAMES);
  writeFileSync(join(directory, 'lan.key'), readFileSync(join(directory, 'lan-ca.key')));
  const second = await localTls(directory, NAMES);
  assert.notEqual(second.cert, first.cert);
  assert.equal(second.ca, first.ca);
  writeFileSync(join(directory, 'lan-ca.crt'), first.ca.slice(0, 100));
  const third = await localTls(directory, NAMES);
  assert.notEqual(third.ca, first.ca);
  assert.ok(new X509Certificate(third.cert).verify(new X509Certificate(third.ca).publicKey));
});

interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

function ask(port: number, path: string, options: object, over = request): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = over(
      { host: '127.0.0.1', port, path, agent: false, ...options },
      async (reply) => {
        const parts: Buffer[] = [];
        for await (const part of reply) parts.push(part);
        const { statusCode: status = 0, headers } = reply;
        resolve({ status, headers, body: Buffer.concat(parts) });
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

test('HTTPS with it is trusted by whoever trusts the authority, and never for good', async (t) => {
  const tls = await localTls(folder(t), NAMES);
  const publicUrl = 'https://192.168.1.20:8000';
  const { app } = await testApp(t, { publicUrl }, { tls });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as { port: number };
  for (const options of [{}, { host: 'localhost', family: 4 }, { servername: 'localhost' }]) {
    const { status, headers } = await ask(port, '/healthz', { ca: tls.ca, ...options });
    assert.equal(status, 200);
    assert.equal(headers['strict-transport-security'], undefined);
  }
  await assert.rejects(ask(port, '/healthz', {}), /self.signed|unable to verify/);
  await assert.rejects(
    ask(port, '/healthz', { ca: tls.ca, servername: 'evil.example' }),
    /altnames/,
  );

  const given = await ask(port, '/lumis-ca.crt', { ca: tls.ca });
  assert.equal(given.headers['content-type'], 'application/x-x509-ca-cert');
  assert.equal(
    new X509Certificate(given.body).fingerprint256,
    new X509Certificate(tls.ca).fingerprint256,
  );
  const front = await ask(port, '/', { ca: tls.ca, headers: { accept: 'text/html' } });
  assert.ok(String(front.body).includes('href="/lumis-ca.crt"'));

  const sent = await ask(port, '/r/x?lang=en', {}, plainRequest as typeof request);
  assert.equal(sent.status, 307, 'a permanent one would outlive the certificate');
  assert.equal(sent.headers.location, `${publicUrl}/r/x?lang=en`);
  assert.equal(sent.headers['cache-control'], 'no-store');

  // neither silence nor nonsense keeps it from closing, nor what is begun and goes no further
  const beginnings = ['', Buffer.from([22, 0, 0, 0, 0, 1, 2, 3]), Buffer.from([22, 3, 1]), 'GET /'];
  for (const bytes of beginnings) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(bytes);
  }
  assert.equal((await ask(port, '/healthz', { ca: tls.ca })).status, 200);
  const began = Date.now();
  await app.close();
  assert.ok(Date.now() - began < 5000);
});

test('without it there is no certificate to fetch, and HTTPS in front is for good', async (t) => {
  const { app } = await testApp(t, { publicUrl: 'https://puntos.example' });
  assert.equal((await app.inject('/lumis-ca.crt')).statusCode, 404);
  const { headers, body } = await app.inject({ url: '/', headers: { accept: 'text/html' } });
  assert.ok(headers['strict-transport-security']);
  assert.ok(!body.includes('lumis-ca'));
});

test('what is printed leads to the apps, and warns where anybody may sign in', () => {
  const config = { ...readConfig({}), publicUrl: 'https://192.168.1.20:8000' };
  const demo = { merchantKey: 'x' };
  const wide = lanWelcome(config, { demo }, 100);
  for (const told of [
    `${config.publicUrl}/wallet/`,
    '/scan/',
    '/lumis-ca.crt',
    'WARNING',
    'ANYBODY',
  ]) {
    assert.ok(wide.includes(told), told);
  }
  const lines = qrTerminal(`${config.publicUrl}/wallet/`);
  for (const line of lines) assert.ok(wide.includes(line.trimEnd()));
  const narrow = lanWelcome(config, { demo }, 40);
  assert.ok(narrow.split('\n').length > wide.split('\n').length + 15);
  const plain = lanWelcome(config, { demo: undefined }, undefined);
  assert.ok(!plain.includes('\x1b') && !plain.includes('WARNING') && plain.includes('/wallet/'));
});

const COLOUR = new RegExp(`${'\u001b'}\\[[\\d;]*m`, 'g');

test('a QR in the terminal can be read', () => {
  const text = 'https://192.168.1.20:8000/wallet/';
  const lines = qrTerminal(text).map((line) => line.replace(COLOUR, ''));
  const width = lines[0]?.length ?? 0;
  const scale = 4;
  const size = { width: width * scale, height: lines.length * 2 * scale };
  const data = new Uint8Array(size.width * size.height * 4).fill(255);
  for (let y = 0; y < size.height; y += 1) {
    for (let x = 0; x < size.width; x += 1) {
      const row = Math.floor(y / scale);
      const cell = lines[row >> 1]?.[Math.floor(x / scale)] ?? ' ';
      const isDark = row % 2 === 0 ? '▀█'.includes(cell) : '▄█'.includes(cell);
      if (isDark) data.fill(0, (y * size.width + x) * 4, (y * size.width + x) * 4 + 3);
    }
  }
  assert.equal(decodeQR({ ...size, data }), text);
});

test('a PUBLIC_URL that was given stays, and must be HTTPS', async (t) => {
  const read = (environment: object) => ({
    ...readConfig({ LUMIS_DATA: folder(t), ...environment }),
  });
  const tunnel = await openToLan(read({ PUBLIC_URL: 'https://puntos.example' }), '127.0.0.1');
  assert.equal(tunnel.config.publicUrl, 'https://puntos.example');
  assert.ok(new X509Certificate(tunnel.tls.cert).checkHost('puntos.example'));
  const own = await openToLan(read({ PORT: '8123' }), '127.0.0.1');
  assert.equal(own.config.publicUrl, 'https://127.0.0.1:8123');
  assert.equal(own.config.host, '0.0.0.0');
  for (const environment of [{ PUBLIC_URL: 'http://192.168.1.20:8000' }, { PORT: '0' }]) {
    await assert.rejects(openToLan(read(environment), '127.0.0.1'), ConfigFault);
  }
});

const LUMIS = join(PROJECT_ROOT, 'dist/src/cli/main.js');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

test('lumis start --lan serves phones until it is told to stop; without it as before', async (t) => {
  const data = folder(t);
  const port = await freePort();
  const env = {
    PATH: process.env.PATH ?? '',
    LUMIS_DATA: data,
    PORT: String(port),
    LOG_LEVEL: 'warn',
  };
  const start = async (...more: string[]): Promise<{ child: ChildProcess; printed: string }> => {
    const args = [LUMIS, 'start', ...more];
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += chunk;
    });
    const last = more.length > 0 ? 'WARNING' : 'Ctrl+C';
    for (let i = 0; i < 400 && !printed.includes(last); i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { child, printed };
  };
  const stop = async (child: ChildProcess) => {
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  };

  const phones = await start('--lan', '127.0.0.1');
  assert.ok(phones.printed.includes(`https://127.0.0.1:${port}/wallet/`), phones.printed);
  assert.ok(phones.printed.includes(`CURL_CA_BUNDLE=`));
  assert.ok(!phones.printed.includes('\x1b'), 'no codes in a file');
  const ca = readFileSync(join(data, 'lan-ca.crt'));
  assert.equal((await ask(port, '/readyz', { ca })).status, 200);
  await stop(phones.child);

  const again = await start();
  assert.ok(again.printed.includes(`http://localhost:${port}`));
  assert.equal((await ask(port, '/readyz', {}, plainRequest as typeof request)).status, 200);
  await stop(again.child);
  assert.deepEqual(readFileSync(join(data, 'lan-ca.crt')), ca);
});

test('what cannot be is refused before anything is started', (t) => {
  const env = { PATH: process.env.PATH ?? '', LUMIS_DATA: join(folder(t), 'none') };
  const run = (args: string[], more: object = {}) =>
    spawnSync(process.execPath, [LUMIS, 'start', ...args], {
      env: { ...env, ...more },
      encoding: 'utf8',
      timeout: 30_000,
    });
  const foreign = run(['--lan', '203.0.113.77']);
  assert.equal(foreign.status, 64, foreign.stderr);
  assert.match(foreign.stderr, /203\.0\.113\.77 is not an address of this machine.*127\.0\.0\.1/);
  assert.equal(run(['--lan', '']).status, 64, 'a variable that is not set');
  assert.equal(run(['--lan', '127.0.0.1', '--roles', 'worker']).status, 64);
  assert.equal(run(['--lan', '127.0.0.1'], { PUBLIC_URL: 'http://a.example' }).status, 78);
  assert.equal(run(['--lan', '127.0.0.1'], { PORT: '0' }).status, 78);
  assert.throws(() => statSync(env.LUMIS_DATA), /ENOENT/);
});
