/** The launcher of the embedded PostgreSQL, on real processes, folders and signals. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Cluster, findCluster, startCluster } from '../src/db/embedded/cluster.ts';

const LAUNCHER = new URL('../src/db/embedded/cluster.js', import.meta.url).href;
const IS_ROOT = process.getuid?.() === 0;

const workshop = mkdtempSync(join(tmpdir(), 'lumis-embedded-'));
// mkdtemp makes it for root alone; the folder closed to others has a test of its own.
chmodSync(workshop, 0o755);
const project = join(workshop, 'un año con espacios');
mkdirSync(project, { mode: 0o755 });
const home = join(project, '.lumis');
const data = join(home, 'postgres', 'data');
const pidFile = join(data, 'postmaster.pid');
after(() => rmSync(workshop, { recursive: true, force: true }));

// Below the range that outgoing connections draw from: they could take it during a restart.
const PORT = 20_000 + (process.pid % 600) * 20;
const start = (directory = home): Promise<Cluster> =>
  startCluster({ directory, port: PORT, durable: true });

const postmasterPid = (): number => Number.parseInt(readFileSync(pidFile, 'utf8'), 10);

async function query<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  // The tests cut sessions off.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What a child says when it runs `body`, in which `start` and `directory` are at hand. */
const childScript = (body: string): string => `
  const { startCluster } = await import(${JSON.stringify(LAUNCHER)});
  const directory = process.argv.at(-1);
  const start = () => startCluster({ directory, port: ${PORT}, durable: true });
  ${body}`;

function child(body: string, directory: string, prefix: string[] = []): ChildProcess {
  const node = [process.execPath, '--input-type=module', '-e', childScript(body), directory];
  const [program = '', ...rest] = [...prefix, ...node];
  return spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Waits for the child's first line, or its end. */
async function firstLine(process_: ChildProcess): Promise<string> {
  const line = once(process_.stdout ?? process_, 'data').then(([chunk]) => String(chunk));
  const end = once(process_, 'close').then(([code]) => `ended silently with ${code}`);
  return (await Promise.race([line, end])).split('\n')[0] ?? '';
}

async function untilGone(path: string, patienceMs = 5_000): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (existsSync(path) && Date.now() < deadline) {
    await sleep(20);
  }
  assert.ok(!existsSync(path), `${path} is still there`);
}

test('the first start: closed, UTF-8, UTC, and rid of what an interrupted one left', async () => {
  mkdirSync(join(home, 'postgres', 'data.new-1', 'base'), { recursive: true, mode: 0o700 });
  const cluster = await start();
  try {
    const [row] = await query(
      cluster.url,
      `select current_user as "user", current_database() as "database", encoding,
         datlocprovider as provider, datlocale as locale, current_setting('timezone') as zone,
         current_setting('listen_addresses') as listen, current_setting('fsync') as fsync,
         current_setting('unix_socket_directories') as sockets,
         current_setting('shared_preload_libraries') as preloaded,
         (select rolpassword like 'SCRAM-SHA-256%' from pg_authid where rolname = 'lumis') as scram
       from pg_database where datname = current_database()`,
    );
    assert.deepEqual(row, {
      user: 'lumis',
      database: 'lumis',
      encoding: 6,
      provider: 'b',
      locale: 'C.UTF-8',
      zone: 'UTC',
      listen: '127.0.0.1',
      fsync: 'on',
      sockets: '',
      preloaded: 'pg_stat_statements',
      scram: true,
    });
    assert.equal(await findCluster(home), cluster.url);
    const wrong = cluster.url.replace(/:[^:@]+@/, ':wrong@');
    await assert.rejects(query(wrong, 'select 1'), { code: '28P01' });
    await query(cluster.url, 'create table kept (n int); insert into kept values (1)');
  } finally {
    await cluster.stop();
  }
  await cluster.stop();
  assert.equal(await findCluster(home), undefined);
  assert.deepEqual(readdirSync(join(home, 'postgres')).sort(), [
    'data',
    'postgres.log',
    'settings.json',
  ]);
});

test('secrets are for their owner alone', () => {
  const mode = (...path: string[]): string =>
    (statSync(join(home, 'postgres', ...path)).mode & 0o777).toString(8);
  assert.equal(mode('settings.json'), '600');
  assert.equal(mode('postgres.log'), '600');
  assert.equal(mode('data'), '700');
  assert.equal(mode('data', 'pg_hba.conf'), '600');
  assert.equal(mode(), IS_ROOT ? '711' : '700');
});

test('a restart keeps the data and the URL, and stops under open sessions', async () => {
  const first = await start();
  const session = new pg.Client({ connectionString: first.url });
  session.on('error', () => undefined);
  await session.connect();
  const began = performance.now();
  await first.stop();
  assert.ok(performance.now() - began < 5_000);
  const second = await start();
  try {
    assert.equal(second.url, first.url);
    assert.deepEqual(await query(second.url, 'select n from kept'), [{ n: 1 }]);
  } finally {
    await second.stop();
  }
});

test('one owner per folder: a second start is refused by pid and harms nothing', async () => {
  const cluster = await start();
  try {
    await assert.rejects(start(), new RegExp(`already running in .* \\(process ${process.pid}\\)`));
    const other = child('await start().catch((e) => console.log(e.message));', home);
    assert.match(await firstLine(other), new RegExp(`\\(process ${process.pid}\\)`));
    assert.deepEqual(await query(cluster.url, 'select n from kept'), [{ n: 1 }]);
  } finally {
    await cluster.stop();
  }
});

test('of several first starts at once exactly one wins', async () => {
  const directory = join(workshop, 'race');
  const said = await Promise.all(
    [1, 2, 3].map(async () => {
      const body = `await start().then(
        (c) => { console.log('won'); setTimeout(() => c.stop(), 800); },
        (e) => console.log(e.message));`;
      return firstLine(child(body, directory));
    }),
  );
  assert.equal(said.filter((line) => line === 'won').length, 1);
  assert.equal(said.filter((line) => line.includes('already running')).length, 2);
  await untilGone(join(directory, 'postgres', 'lock'));
});

test('a lock from before a reboot, or of a container long gone, is no hindrance', async () => {
  const lock = join(home, 'postgres', 'lock');
  writeFileSync(lock, `${process.pid}\n1\nelsewhere\n`);
  utimesSync(lock, 0, 0);
  await (await start()).stop();
});

test('kill -9 of PostgreSQL: it comes back by itself with every acknowledged row', async () => {
  const cluster = await start();
  try {
    await query(cluster.url, 'create table acknowledged (n int primary key)');
    let acknowledged = 0;
    const session = new pg.Client({ connectionString: cluster.url });
    session.on('error', () => undefined);
    await session.connect();
    const writing = (async () => {
      for (let n = 1; ; n += 1) {
        await session.query('insert into acknowledged values ($1)', [n]);
        acknowledged = n;
      }
    })().catch(() => undefined);
    await sleep(200);
    const killed = postmasterPid();
    process.kill(killed, 'SIGKILL');
    await writing;
    while (!(await findCluster(home)) || postmasterPid() === killed) {
      await sleep(20);
    }
    const [row] = await query<{ found: number }>(
      cluster.url,
      `select count(*)::int as found from acknowledged where n <= ${acknowledged}`,
    );
    assert.ok(acknowledged > 0);
    assert.equal(row?.found, acknowledged);
  } finally {
    await cluster.stop();
  }
});

test('kill -9 of Node takes PostgreSQL along where setpriv is there', async (t) => {
  if (spawnSync('setpriv', ['--pdeathsig=INT', 'true']).status !== 0) {
    t.skip('no setpriv with --pdeathsig here');
    return;
  }
  const owner = child('await start(); console.log("up"); await new Promise(() => {});', home);
  assert.equal(await firstLine(owner), 'up');
  owner.kill('SIGKILL');
  await untilGone(pidFile);
});

test('an orphan of a killed Node does not keep the next start out', async () => {
  // Started from a worker thread, the server is not tied to its process.
  const worker = childScript('await start(); console.log("up"); await new Promise(() => {});');
  const body = `
    const { Worker } = await import('node:worker_threads');
    new Worker(${JSON.stringify(worker)}, { eval: true, argv: [directory] });`;
  const owner = child(body, home);
  assert.equal(await firstLine(owner), 'up');
  const orphan = postmasterPid();
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  await sleep(100);
  assert.ok(await findCluster(home), 'the orphan still answers');
  const cluster = await start();
  try {
    assert.notEqual(postmasterPid(), orphan);
    assert.deepEqual(await query(cluster.url, 'select n from kept'), [{ n: 1 }]);
  } finally {
    await cluster.stop();
  }
});

test('kill -9 of both, and the pid now belongs to another process of the same user', async () => {
  const owner = child('await start(); console.log("up"); await new Promise(() => {});', home);
  assert.equal(await firstLine(owner), 'up');
  process.kill(postmasterPid(), 'SIGKILL');
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const { uid, gid } = statSync(data);
  const stranger = spawn('sleep', ['60'], { ...(IS_ROOT ? { uid, gid } : {}), cwd: '/' });
  try {
    const rest = readFileSync(pidFile, 'utf8').split('\n').slice(1);
    writeFileSync(pidFile, [stranger.pid, ...rest].join('\n'));
    await (await start()).stop();
    assert.equal(stranger.exitCode, null);
    assert.equal(stranger.signalCode, null);
  } finally {
    stranger.kill();
  }
});

for (const [what, text] of Object.entries({ empty: '', damaged: 'x\ny\n' })) {
  test(`a postmaster.pid that is ${what} does not keep the next start out`, async () => {
    writeFileSync(pidFile, text);
    await (await start()).stop();
  });
}

test('a taken port: the next free one, remembered from then on', async () => {
  const before = await start();
  await before.stop();
  const squatter = createServer().listen(before.port, '127.0.0.1');
  await once(squatter, 'listening');
  const moved = await start();
  await moved.stop();
  squatter.close();
  assert.ok(moved.port > before.port);
  const again = await start();
  await again.stop();
  assert.equal(again.url, moved.url);
});

test('a lost password file is healed with a new password', async () => {
  rmSync(join(home, 'postgres', 'settings.json'));
  const cluster = await start();
  try {
    assert.deepEqual(await query(cluster.url, 'select n from kept'), [{ n: 1 }]);
  } finally {
    await cluster.stop();
  }
});

test('data of another major version is refused untouched', async () => {
  writeFileSync(join(data, 'PG_VERSION'), '17\n');
  await assert.rejects(start(), /from PostgreSQL 17, the bundled one is 18.*DATABASE_URL/s);
  writeFileSync(join(data, 'PG_VERSION'), '18\n');
});

test('a folder that cannot be made is named, with the way out', async () => {
  const path = join(workshop, 'file');
  writeFileSync(path, '');
  await assert.rejects(start(join(path, '.lumis')), (error: Error) => {
    assert.ok(error.message.includes(join(path, '.lumis')));
    assert.match(error.message, /DATABASE_URL/);
    return true;
  });
});

/** Runs start, insert, stop in a child and returns what it printed. */
async function roundTrip(directory: string, prefix: string[]): Promise<string> {
  const body = `
    const { readFileSync } = await import('node:fs');
    const c = await start();
    const pid = parseInt(readFileSync(directory + '/postgres/data/postmaster.pid', 'utf8'));
    const [, uid] = /Uid:\\s+(\\d+)/.exec(readFileSync('/proc/' + pid + '/status', 'utf8'));
    await c.stop();
    console.log('ran as ' + uid);`;
  return firstLine(child(body, directory, prefix));
}

test('as root: folders and machines that give PostgreSQL no user', async (t) => {
  if (!IS_ROOT || process.platform !== 'linux') {
    t.diagnostic('NOT TESTED: needs root on Linux');
    t.skip('not root');
    return;
  }
  const closed = join(workshop, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  await t.test('a folder only root can enter', async () => {
    assert.match(await roundTrip(join(closed, '.lumis'), []), /^ran as \d+$/);
  });
  if (spawnSync('unshare', ['--mount', 'true']).status !== 0) {
    t.diagnostic('NOT TESTED: /etc/passwd without nobody, missing tools (no mount namespaces)');
    return;
  }
  const passwd = join(workshop, 'passwd');
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  writeFileSync(passwd, users.filter((line) => !/^(nobody|postgres):/.test(line)).join('\n'));
  const hide = (...paths: string[]): string[] => {
    const mounts = paths.map((path) => `mount --bind ${path} && `).join('');
    return ['unshare', '--mount', 'sh', '-c', `${mounts}exec "$@"`, 'sh'];
  };
  const noUser = `${passwd} /etc/passwd`;
  const tool = (name: string): string => {
    const path = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    return `/bin/false ${path.stdout.trim()}`;
  };
  const cases: [string, string, string[]][] = [
    ['nobody and postgres missing', home, [noUser]],
    ['setpriv missing', home, [tool('setpriv')]],
    ['nobody, postgres and unshare missing', home, [noUser, tool('unshare')]],
    ['unshare missing, closed folder', join(closed, '.lumis'), [tool('unshare')]],
    ['setpriv missing, closed folder', join(closed, '.lumis'), [tool('setpriv')]],
  ];
  const canChangeUser = spawnSync('setpriv', ['--reuid=1', 'true']).status === 0;
  for (const [what, directory, hidden] of cases) {
    if (!canChangeUser && hidden.includes(tool('unshare'))) {
      t.diagnostic(`NOT TESTED: ${what} (this root cannot become another user)`);
      continue;
    }
    await t.test(what, async () => {
      assert.match(await roundTrip(directory, hide(...hidden)), /^ran as \d+$/);
    });
  }
  await t.test('no way at all is said in words', async () => {
    const body = 'await start().catch((e) => console.log(e.message));';
    const prefix = hide(tool('unshare'), tool('setpriv'));
    const said = await firstLine(child(body, join(closed, '.lumis'), prefix));
    assert.match(said, /no other user can enter .*DATABASE_URL/);
  });
});
