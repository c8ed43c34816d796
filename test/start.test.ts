import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PROJECT_ROOT } from '../src/project.ts';

const LUMIS = join(PROJECT_ROOT, 'bin/lumis.js');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** `lumis start` in a folder of its own, as `npm start` runs it; dies with this test. */
async function start(t: TestContext, environment: Record<string, string>) {
  const child = spawn(process.execPath, [LUMIS, 'start'], {
    cwd: PROJECT_ROOT,
    env: { PATH: process.env.PATH ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  for (let i = 0; i < 300 && !printed.includes('Ctrl+C'); i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { child, printed };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  const [code] = await once(child, 'exit');
  return code;
}

/** The walk is made of curl. In CI it must be there: a check that cannot run there is a failure. */
function hasCurl(t: TestContext): boolean {
  const found = spawnSync('curl', ['--version']).status === 0;
  if (!found && process.env.CI) throw new Error('curl is missing; in CI it must be installed');
  if (!found) t.diagnostic('NOT CHECKED: curl is not installed on this machine');
  return found;
}

test('the printed walk works line by line, and the data outlives a kill', async (t) => {
  if (!hasCurl(t)) return;
  const data = mkdtempSync(join(tmpdir(), 'lumis walk '));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  const environment = { LUMIS_DATA: data, PORT: String(await freePort()), LOG_LEVEL: 'warn' };
  const first = await start(t, environment);
  assert.match(first.printed, /postgresql:\/\/lumis:\S+@127\.0\.0\.1:\d+\/lumis/);
  const lines = first.printed.split('\n').map((line) => line.trim());
  const walk = lines.slice(
    lines.findIndex((line) => line.startsWith('# a member')),
    lines.findIndex((line) => line.startsWith('Ctrl+C')),
  );
  assert.ok(walk.length > 15);
  // npx would ask the registry on a machine that has the project under another name
  const script = walk.join('\n').replaceAll('npx lumis', `${process.execPath} ${LUMIS}`);
  const run = spawnSync('sh', ['-eu'], {
    cwd: PROJECT_ROOT,
    input: script,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', ...environment },
    timeout: 60_000,
  });
  assert.equal(run.status, 0, run.stderr);
  const redeemed = JSON.parse(readFileSync(join(data, 'redeemed.json'), 'utf8'));
  assert.match(redeemed.redemption_code, /^LUMS-/);
  assert.equal(readFileSync(join(data, 'qr.png')).subarray(1, 4).toString(), 'PNG');
  for (const told of [
    '"redemption_status":"confirmed"',
    '"code":"already_redeemed"',
    '"today_redemptions":1',
    '"lumis_refunded":50',
    '"action":"reversed"',
    'invariants hold',
    redeemed.offer_name,
  ]) {
    assert.ok(run.stdout.includes(told), `${told} is missing in:\n${run.stdout}`);
  }
  await stop(first.child, 'SIGKILL');
  const second = await start(t, environment);
  assert.match(second.printed, /Lümis is running/);
  const verified = spawnSync(process.execPath, [LUMIS, 'verify'], { env: environment });
  assert.equal(verified.status, 0, String(verified.stdout));
  assert.equal(await stop(second.child, 'SIGTERM'), 0);
});
