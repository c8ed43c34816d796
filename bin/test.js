#!/usr/bin/env node
/**
 * Runs the built test files (`dist/test/*.test.js`) against one real PostgreSQL: a throwaway
 * embedded cluster, or the server named by TEST_DATABASE_URL (a role that may create databases).
 * Arguments are substrings of file names. With `--browser` it runs those that drive a browser
 * instead (`dist/test/browser/*.test.js`). The last line is `N passed, N failed`.
 */

import { spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { accessSync, constants, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import pg from 'pg';

const ROOT = resolve(import.meta.dirname, '..');
const TEMPLATE = 'lumis_template';
/** Every database a test makes begins with this; see `test/support/database.ts`. */
const PREFIX = 'lumis_test_';
const FILES_AT_ONCE = 2;
const FILE_TIMEOUT_MS = 300_000;
/** Makes a test process end when its parent was killed, which nothing else would do. */
const DIES_WITH_PARENT =
  'data:text/javascript,const{ppid}=process;' +
  'setInterval(()=>process.ppid===ppid||process.exit(1),500).unref()';
const MEMORY_BYTES_MIN = 2 * 1024 ** 3;
const EXIT_BY_SIGNAL = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

const interrupt = new AbortController();
// one for each file, which is no leak
setMaxListeners(0, interrupt.signal);
let interrupted;
for (const [signal, code] of Object.entries(EXIT_BY_SIGNAL)) {
  process.on(signal, () => {
    interrupted = code;
    interrupt.abort();
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
process.exitCode = interrupted ?? process.exitCode;

async function main(given) {
  const isBrowser = given.includes('--browser');
  const filters = given.filter((argument) => argument !== '--browser');
  const folder = join(ROOT, 'dist', 'test', isBrowser ? 'browser' : '');
  const files = listFiles(folder, filters);
  if (files.length === 0) {
    const wanted = filters.length === 0 ? '' : ` matches ${filters.join(' ')}`;
    console.error(`No test file in ${folder}${wanted}. Built? npm run build`);
    return 1;
  }
  if (isBrowser) {
    // first, because every one of them would fail by it
    const { chromiumPath } = await load('dist/test/browser/support/chromium-path.js');
    console.log(`Chromium: ${chromiumPath()}`);
  }
  const server = await openServer();
  try {
    await buildTemplate(server.url);
    return await runFiles(files, server.url, isBrowser ? 1 : FILES_AT_ONCE);
  } finally {
    await server.close();
  }
}

function listFiles(folder, filters) {
  let names = [];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.test.js'));
  } catch {
    // Not built: the caller says so.
  }
  return names
    .filter((name) => filters.length === 0 || filters.some((part) => name.includes(part)))
    .sort()
    .map((name) => join(folder, name));
}

async function openServer() {
  const given = process.env.TEST_DATABASE_URL;
  return given ? openGiven(given) : openEmbedded();
}

async function openEmbedded() {
  const { startCluster } = await load('dist/src/db/embedded/cluster.js');
  const directory = mkdtempSync(join(scratchFolder(), 'lumis-test-'));
  const removeLater = keepJanitor(directory);
  try {
    const options = { directory, port: 0, durable: false, maxConnections: 200 };
    const cluster = await startCluster({ ...options, log: console.log });
    return {
      url: cluster.url,
      close: async () => {
        await cluster.stop();
        rmSync(directory, { recursive: true, force: true });
        removeLater();
      },
    };
  } catch (error) {
    removeLater();
    throw error;
  }
}

/** Memory where there is plenty: a database is cloned ten times faster than on a disk. */
function scratchFolder() {
  const memory = '/dev/shm';
  try {
    accessSync(memory, constants.W_OK);
    const { bavail, bsize } = statfsSync(memory);
    if (Math.min(bavail * bsize, process.availableMemory()) > MEMORY_BYTES_MIN) {
      return memory;
    }
  } catch {
    // Not Linux, or a container without it.
  }
  return tmpdir();
}

/**
 * A shell that waits for the end of its input, which comes however this process ends (also by
 * SIGKILL), then stops what still runs in `directory` and removes it.
 */
function keepJanitor(directory) {
  const script = `
    read -r _
    pidfile="$1/postgres/data/postmaster.pid"
    [ -e "$pidfile" ] && kill -INT "$(head -n 1 "$pidfile")"
    i=0
    while [ -e "$pidfile" ] && [ "$i" -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
    rm -rf "$1"`;
  const janitor = spawn('sh', ['-c', script, 'sh', directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  janitor.unref();
  janitor.stdin.unref();
  return () => janitor.stdin.end();
}

/** The server is somebody's own: one run at a time, and nothing of ours stays on it. */
async function openGiven(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect().catch((error) => {
    throw new Error(`The server of TEST_DATABASE_URL does not answer: ${error.message}`);
  });
  const { rows } = await client.query("select pg_try_advisory_lock(hashtext('lumis test')) as won");
  if (!rows[0].won) {
    await client.end();
    throw new Error('Another test run is using the server of TEST_DATABASE_URL.');
  }
  await dropOurs(client);
  return {
    url,
    close: async () => {
      await dropOurs(client);
      await client.end();
    },
  };
}

async function dropOurs(client) {
  const { rows } = await client.query(
    'select datname as name from pg_database where datname = $1 or starts_with(datname, $2)',
    [TEMPLATE, PREFIX],
  );
  for (const { name } of rows) {
    await client.query(`alter database ${name} with is_template false`);
    await client.query(`drop database ${name} with (force)`);
  }
}

async function buildTemplate(server) {
  const { migrateUp } = await load('dist/src/db/migrate.js');
  const url = new URL(server);
  url.pathname = `/${TEMPLATE}`;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    const { rows } = await client.query("select current_setting('server_version') as version");
    await client.query(`create database ${TEMPLATE} template template0 encoding 'UTF8'`);
    const began = performance.now();
    const applied = await migrateUp(url.href);
    const took = Math.round(performance.now() - began);
    console.log(`PostgreSQL ${rows[0].version}, ${applied.length} migrations in ${took} ms`);
    // Nobody may enter, because a template with a session in it cannot be cloned.
    await client.query(`alter database ${TEMPLATE} with is_template true allow_connections false`);
  } finally {
    await client.end();
  }
}

async function load(path) {
  try {
    return await import(join(ROOT, path));
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new Error(`${path} cannot be loaded (${error.message}). Built? npm run build`);
    }
    throw error;
  }
}

/** Runs the files, each in a process of its own, and returns the exit code. */
async function runFiles(files, server, concurrency) {
  process.env.LUMIS_TEST_SERVER = server;
  const flags = `--enable-source-maps --import=${DIES_WITH_PARENT}`;
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} ${flags}`;
  const stream = run({
    files,
    concurrency,
    timeout: FILE_TIMEOUT_MS,
    signal: interrupt.signal,
  });
  let passed = 0;
  let failed = 0;
  stream.on('test:pass', ({ name, file, skip, todo, details }) => {
    if (resolve(name) === file) {
      console.error(`${basename(file)} holds no test`);
      failed += 1;
    } else if (details.type !== 'suite' && skip === undefined && todo === undefined) {
      passed += 1;
    }
  });
  stream.on('test:fail', ({ todo, details }) => {
    // A suite fails with its tests, which count themselves, or by its own hooks.
    const isEcho = details.type === 'suite' && details.error?.failureType === 'subtestsFailed';
    failed += todo === undefined && !isEcho ? 1 : 0;
  });
  const report = stream.compose(new spec());
  report.pipe(process.stdout);
  await finished(report);
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}
