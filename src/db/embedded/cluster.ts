/** A real PostgreSQL of our own, from npm, for machines that have none. */

import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Binaries, findBinaries, OWN_SERVER } from './binaries.ts';
import { acquireLock, isPostmaster } from './lock.ts';
import {
  explain,
  newPassword,
  type Place,
  placeOf,
  preparePlace,
  readSettings,
  type Settings,
  urlOf,
  writeSettings,
} from './place.ts';
import { freePort } from './port.ts';
import {
  clearLeftovers,
  createData,
  launch,
  readLog,
  readPidFile,
  rotateLog,
  runAlone,
  sizeOf,
  stopChild,
  waitReady,
} from './process.ts';
import { chooseRunner, giveTo, type Runner } from './runner.ts';

export interface Cluster {
  /** `postgresql://lumis:<password>@127.0.0.1:<port>/lumis`; the role is a superuser. */
  url: string;
  port: number;
  /** Fast shutdown: sessions are cut off, what was committed stays. May be called twice. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  /** Everything goes below it, into `postgres/`; made if absent. */
  directory: string;
  /**
   * Wished for at the first start (54329; 0 = any). The port is remembered in the directory,
   * and changes only when something else has taken it.
   */
  port?: number | undefined;
  /** False for tests: a crash of the machine may then lose or damage everything. */
  durable: boolean;
  maxConnections?: number | undefined;
  log?: ((line: string) => void) | undefined;
}

/** What every start of the server needs, also the one after a crash. */
interface Starter {
  place: Place;
  binaries: Binaries;
  runner: Runner;
  options: ClusterOptions;
  log: (line: string) => void;
}

interface Running {
  child: ChildProcess;
  settings: Settings;
}

const PORT_DEFAULT = 54_329;
/** How long leftovers of a killed server may keep the next one out. */
const LEFTOVERS_MS = 5_000;
const LOG_BYTES_MAX = 32 * 1024 * 1024;
const LOG_CHECK_MS = 60_000;
/** A server that dies more often than this within a minute stays down. */
const RESTARTS_MAX = 5;

/**
 * Starts the cluster in `directory`, making it first if need be, and keeps it running until
 * `stop()` or the end of this process. Throws an Error with the path and the way out.
 */
export async function startCluster(o: ClusterOptions): Promise<Cluster> {
  const log = o.log ?? (() => undefined);
  const place = preparePlace(o.directory);
  let release = (): void => undefined;
  try {
    release = await acquireLock(place.lock, place.directory, log);
    const binaries = findBinaries(place.links);
    const runner = chooseRunner(binaries, place.folder);
    const starter = { place, binaries, runner, options: o, log };
    const settings = await prepareData(starter);
    rotateLog(place.log);
    return supervise(starter, await bringUp(starter, settings), release);
  } catch (error) {
    release();
    // An error of the system is not yet in words for people; ours are.
    throw (error as NodeJS.ErrnoException).code === undefined
      ? error
      : explain(place.folder, error);
  }
}

/**
 * URL of the cluster in `directory` if it is running now (for commands beside a running
 * server), else undefined. Throws when this user may not read the folder.
 */
export async function findCluster(directory: string): Promise<string | undefined> {
  const place = placeOf(directory);
  if (!existsSync(place.folder)) {
    return undefined;
  }
  try {
    const settings = readSettings(place.settings);
    const server = readPidFile(place.data);
    if (settings === undefined || server?.status !== 'ready') {
      return undefined;
    }
    const isRunning = isPostmaster(server.pid, realpathSync(place.data));
    return isRunning ? urlOf({ ...settings, port: server.port }) : undefined;
  } catch (error) {
    throw explain(place.folder, error);
  }
}

/** Leaves a complete, stopped cluster of this runner behind and tells its port and password. */
async function prepareData({ place, binaries, runner, options, log }: Starter): Promise<Settings> {
  const known = readSettings(place.settings);
  const settings = {
    port: known?.port ?? options.port ?? PORT_DEFAULT,
    password: known?.password ?? newPassword(),
  };
  const { password } = settings;
  if (!existsSync(place.data)) {
    log(`making a PostgreSQL ${runner.major} cluster in ${place.data}`);
    await createData(runner, binaries, place.data, { password, durable: options.durable });
    writeSettings(place.settings, settings);
    return settings;
  }
  giveTo(runner, place.data);
  const major = Number(readFileSync(join(place.data, 'PG_VERSION'), 'utf8'));
  if (major !== runner.major) {
    throw new Error(
      `The data in ${place.data} is from PostgreSQL ${major}, the bundled one is ` +
        `${runner.major}. Dump it with the earlier version of Lümis and restore it here, ` +
        `or move the folder away. ${OWN_SERVER}`,
    );
  }
  await clearLeftovers(place.data, log);
  if (known === undefined) {
    // Written last: if this is interrupted, the next start does it again.
    log(`${place.settings} was lost: giving the role lumis a new password`);
    await runAlone(runner, binaries, place.data, [`ALTER ROLE lumis PASSWORD '${password}'`]);
    writeSettings(place.settings, settings);
  }
  return settings;
}

/** Starts the server on the remembered port or the next free one, past what a crash left. */
async function bringUp(starter: Starter, wanted: Settings): Promise<Running> {
  const { place, binaries, runner, options, log } = starter;
  const began = Date.now();
  let port = await freePort(wanted.port);
  for (;;) {
    const from = sizeOf(place.log);
    const flags = serverFlags(options, port);
    const child = launch(runner, [binaries.postgres, '-D', place.data, ...flags], place.log);
    if (await waitReady(child, place.data, log)) {
      const settings = { ...wanted, port };
      if (port !== wanted.port) {
        log(`port ${port} from now on${wanted.port > 0 ? `: ${wanted.port} is taken` : ''}`);
        writeSettings(place.settings, settings);
      }
      log(`PostgreSQL ${runner.major} is ready on 127.0.0.1:${port} (${Date.now() - began} ms)`);
      return { child, settings };
    }
    const said = readLog(place.log, from);
    if (/Address already in use/.test(said)) {
      port = await freePort(port + 1);
    } else if (/pre-existing shared memory|lock file "postmaster.pid"/.test(said)) {
      // Processes of a killed server take a moment to notice and leave.
      if (Date.now() - began > LEFTOVERS_MS) {
        throw explain(place.data, said);
      }
      await sleep(200);
      await clearLeftovers(place.data, log);
    } else {
      throw explain(place.folder, `${said || 'It said nothing.'}\nMore in ${place.log}`);
    }
  }
}

function serverFlags(o: ClusterOptions, port: number): string[] {
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: o.maxConnections ?? 100,
    shared_preload_libraries: 'pg_stat_statements',
    timezone: 'UTC',
    log_timezone: 'UTC',
    cluster_name: 'lumis',
    ...(o.durable ? {} : { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** The cluster's handle. A server that dies by itself is started again, on the same port. */
function supervise(starter: Starter, first: Running, release: () => void): Cluster {
  const { place, log } = starter;
  let { child } = first;
  let stopping: Promise<void> | undefined;
  let restart: Promise<void> = Promise.resolve();
  let deaths: number[] = [];

  const onEnd = (code: number | null, signal: string | null): void => {
    if (stopping !== undefined) {
      return;
    }
    log(`PostgreSQL ended by itself (${signal ?? code}); its log is ${place.log}`);
    deaths = [...deaths.filter((time) => time > Date.now() - 60_000), Date.now()];
    if (deaths.length <= RESTARTS_MAX) {
      restart = bringBack();
    }
  };
  const bringBack = async (): Promise<void> => {
    try {
      await clearLeftovers(place.data, log);
      const next = await bringUp(starter, first.settings);
      child = next.child;
      child.once('exit', onEnd);
      if (next.settings.port !== first.settings.port) {
        log(`port ${first.settings.port} is taken now: start Lümis again to use the new one`);
      }
    } catch (error) {
      log(`PostgreSQL could not be started again: ${(error as Error).message}`);
    }
  };
  child.once('exit', onEnd);

  const logWatch = setInterval(() => limitLog(place.log), LOG_CHECK_MS).unref();
  // Where the system cannot tie the server to this process, at least an orderly end takes it.
  const onExit = (): void => {
    child.kill('SIGINT');
    release();
  };
  process.once('exit', onExit);

  const stop = async (): Promise<void> => {
    clearInterval(logWatch);
    await restart;
    await stopChild(child);
    process.off('exit', onExit);
    release();
  };
  return {
    url: urlOf(first.settings),
    port: first.settings.port,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** The server opened its log for appending, so it goes on writing at the new end. */
function limitLog(path: string): void {
  try {
    if (sizeOf(path) > LOG_BYTES_MAX) {
      truncateSync(path);
    }
  } catch {
    // Removed by hand: nothing to limit.
  }
}
