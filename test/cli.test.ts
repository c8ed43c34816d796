import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../src/db/pool.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { JWT_SECRET } from './support/app.ts';
import { issueCodes } from './support/codes.ts';
import { emptyDatabase, freshDatabase } from './support/database.ts';
import { legacyDatabase } from './support/legacy.ts';
import { MIGRATION, MIGRATIONS } from './support/schema.ts';

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the command line as an operator does, with nothing in the environment but this. */
function lumis(
  args: string[],
  environment: Record<string, string> = {},
  meanwhile: (child: ChildProcess) => void = () => undefined,
): Promise<Ended> {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'bin/lumis.js'), ...args], {
    env: { PATH: process.env.PATH ?? '', LUMIS_DATA: '/nonexistent/lumis', ...environment },
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  meanwhile(child);
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const on = (url: string) => ({ DATABASE_URL: url, JWT_SECRET });

test('an operator migrates, looks, and goes back', async (t) => {
  const { url } = await emptyDatabase(t);
  const run = (...args: string[]) => lumis(args, on(url));
  assert.match(
    (await run('migrate', 'plan')).out,
    new RegExp(`would apply: ${MIGRATIONS.join(', ')}`),
  );
  assert.equal((await run('migrate', 'verify')).code, 1);
  const up = await run('migrate', 'up');
  assert.deepEqual([up.code, up.out], [0, `applied: ${MIGRATIONS.join(', ')}\n`]);
  assert.deepEqual(await run('migrate', 'up'), { code: 0, out: 'nothing to apply\n', err: '' });
  const [state] = JSON.parse((await run('migrate', 'status', '--json')).out);
  assert.equal(state.name, MIGRATION);
  assert.match(state.applied_at, /^\d{4}/);
  const checked = await run('migrate', 'verify');
  assert.equal(checked.code, 0, checked.out);
  assert.doesNotMatch(checked.out, /WRONG/);
  const down = await run('migrate', 'down');
  assert.deepEqual(
    [down.code, down.out],
    [0, `taken back: ${MIGRATIONS.toReversed().join(', ')}\n`],
  );
});

test('merchant, points, verify, jobs and doctor work on a configured database', async (t) => {
  const { url, connect } = await freshDatabase(t);
  const run = (...args: string[]) => lumis(args, on(url));
  const created = JSON.parse((await run('merchant', 'create', '--name', 'Kiosco', '--json')).out);
  assert.match(created.api_key, /^lmk_/);
  assert.match(created.merchant_id, /^[0-9a-f-]{36}$/);
  const again = await run('merchant', 'create', '--name', 'Kiosco');
  assert.equal(again.code, 1);
  const granted = await run('points', 'grant', '--user', '7', '--amount', '50', '--reason', 'hola');
  assert.equal(granted.out, 'member 7 has 50 Lümis\n');
  const taken = await run('points', 'grant', '--user', '7', '--amount=-60', '--reason', 'no');
  assert.equal(taken.code, 1);
  assert.match(taken.err, /insufficient_points missing_lumis=10/);
  assert.match((await run('jobs', 'list')).out, /expire .*\* \* \* \* \*/);
  assert.deepEqual(JSON.parse((await run('jobs', 'run', 'expire')).out), { booked: 0 });
  assert.equal((await run('jobs', 'run', 'nonsense')).code, 64);
  const verified = await run('verify');
  assert.equal(verified.code, 0, verified.out);
  const client = await connect();
  await client.query('UPDATE lumis.balances SET balance = 51');
  const broken = await run('verify', '--json');
  assert.equal(broken.code, 1);
  assert.equal(JSON.parse(broken.out).violations[0].subject.includes('7'), true);
  await client.query('UPDATE lumis.balances SET balance = 50');
  const doctor = await run('doctor');
  assert.match(doctor.out, /PostgreSQL \d+/);
});

test('a job that is interrupted ends between two transactions, and says what it has done', async (t) => {
  const { url } = await freshDatabase(t);
  const db = openDatabase({ url, max: 2, poolTimeoutMs: 5000, onError: () => undefined });
  t.after(() => db.close());
  const ALL = 2000;
  await issueCodes(db, ALL, ALL, 5);
  const text = `SELECT count(*) AS n FROM lumis.events WHERE type = 'redemption.expired'`;
  const booked = async () => (await db.query({ name: '', text, values: [] }))[0].n;
  const stopped = await lumis(['jobs', 'run', 'expire'], on(url), async (child) => {
    while ((await booked()) === 0) await sleep(10);
    child.kill('SIGTERM');
  });
  assert.equal(stopped.code, 143, stopped.err);
  const done = await booked();
  assert.ok(done < ALL, `${done} of ${ALL}`);
  assert.deepEqual(JSON.parse(stopped.out), { booked: done });
  const rest = await lumis(['jobs', 'run', 'expire'], on(url));
  assert.deepEqual([rest.code, JSON.parse(rest.out)], [0, { booked: ALL - done }]);
});

test('wrong usage ends with 64 and says what would be right', async () => {
  for (const args of [
    ['nonsense'],
    ['token'],
    ['token', '--user', '0'],
    ['token', '--user', '1', '--role', 'king'],
    ['start', '--roles', 'api,chef'],
    ['points', 'grant', '--user', 'x', '--amount', '1', '--reason', 'r'],
    ['migrate', 'sideways'],
  ]) {
    const { code, err } = await lumis(args, on('postgresql://nobody@127.0.0.1:1/x'));
    assert.equal(code, 64, `${args.join(' ')}: ${err}`);
    assert.notEqual(err, '');
  }
  assert.equal((await lumis(['--help'])).code, 0);
});

test('wrong configuration ends with 78 and lists every fault at once', async () => {
  const { code, err } = await lumis(['start'], {
    DATABASE_URL: 'mysql://x',
    PORT: '99999',
    BUSINESS_TIME_ZONE: 'Mars/Olympus',
    RATE_LIMIT_READ: '-1',
  });
  assert.equal(code, 78);
  for (const name of [
    'DATABASE_URL',
    'JWT_SECRET',
    'PORT',
    'BUSINESS_TIME_ZONE',
    'RATE_LIMIT_READ',
  ]) {
    assert.match(err, new RegExp(name));
  }
});

test('a database that does not answer ends with 69', async () => {
  const url = 'postgresql://nobody:secret@127.0.0.1:1/nothing';
  for (const args of [['verify'], ['migrate', 'up'], ['start']]) {
    const { code, err } = await lumis(args, on(url));
    assert.equal(code, 69, `${args.join(' ')}: ${err}`);
    assert.doesNotMatch(err, /secret/);
  }
});

test('a database without room says so, and ends with 69', async (t) => {
  const { url, connect } = await freshDatabase(t);
  const client = await connect();
  await client.query(`INSERT INTO public.fact_accumulations (user_id, quantity)
    SELECT n, 1 FROM generate_series(1, 20000) n`);
  const narrow = new URL(url);
  narrow.searchParams.set('options', '-c work_mem=64kB -c temp_file_limit=0');
  const { code, err } = await lumis(['verify'], on(narrow.href));
  assert.equal(code, 69, err);
  assert.match(err, /the database has run out of something: temporary file size exceeds/);
});

test('a legacy database that start must not touch ends with 78', async (t) => {
  const { url } = await legacyDatabase(t, 'public');
  const { code, err } = await lumis(['start'], on(url));
  assert.equal(code, 78, err);
  assert.match(err, /holds a legacy points system in schema public/);
  assert.match(err, /lumis migrate plan/);
});

test('a token of the embedded installation needs no database', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lumis-cli-'));
  try {
    const { code, out } = await lumis(['token', '--user', '5'], { LUMIS_DATA: directory });
    assert.equal(code, 0);
    assert.equal(JSON.parse(Buffer.from(out.split('.')[1] ?? '', 'base64url').toString()).sub, '5');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
