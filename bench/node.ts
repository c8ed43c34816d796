/** A Lümis node as a child process: what `lumis start` runs, with the bench's environment. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RATE_LIMIT_MAX } from '../src/config.ts';
import { freePort } from '../src/db/embedded/port.ts';
import { PROJECT_ROOT } from '../src/project.ts';
import { cpuOf, memoryOf } from './usage.ts';

export interface NodeOptions {
  /** what it does: api (default), worker, web */
  roles?: string;
  /** more for its environment */
  env?: Record<string, string>;
}

export interface Node {
  url: string;
  pid: number;
  /** resident, in bytes */
  memory(): number;
  /** seconds used so far */
  cpu(): number;
  kill(signal: NodeJS.Signals): void;
  /** asks it to finish, and waits; one that does not finish is killed */
  stop(): Promise<void>;
  exited: Promise<number | null>;
}

/** Signs the members' tokens of the bench; nobody else's server has it. */
export const JWT_SECRET = 'a secret of the bench, for servers that live as long as it does';
/** Makes a child end when its parent was killed, which nothing else would do. */
export const DIES_WITH_PARENT =
  'data:text/javascript,const{ppid}=process;' +
  'setInterval(()=>process.ppid===ppid||process.exit(1),500).unref()';
const READY_MS = 60_000;
const STOP_MS = 25_000;
/** As many as the configuration allows: the cost of counting is paid, nobody is refused. */
const LIMIT = String(RATE_LIMIT_MAX);
const LIMITED = 'REDEEM READ VALIDATE CONFIRM MISSES AUTH_FAILURES LANDING ADMIN'.split(' ');

/** Starts a node; throws what it printed when it ends instead of getting ready. */
export async function startNode(
  databaseUrl: string,
  options: NodeOptions,
  say: (text: string) => void,
): Promise<Node> {
  const port = await freePort(0);
  const roles = options.roles ?? 'api';
  const node = await startServer({
    entry: join('src', 'cli', 'main.js'),
    parameters: ['start', '--roles', roles],
    env: environmentOf(databaseUrl, port, options.env),
    port,
    // a worker alone listens nowhere; it says that it runs
    ready: /api|web/.test(roles) ? '/readyz' : undefined,
  });
  say(`node ${node.pid} (${roles}) on ${node.url}`);
  return node;
}

/** A server of ours to be started: `entry` lies below dist/. */
export interface ServerJob {
  entry: string;
  parameters: string[];
  env: Record<string, string>;
  port: number;
  /** answers 200 when it is ready; undefined: it is when it has printed something */
  ready: string | undefined;
}

/** Starts a server process and waits until it is ready. Throws what it printed when it is not. */
export async function startServer(job: ServerJob): Promise<Node> {
  const url = `http://127.0.0.1:${job.port}`;
  const entry = join(PROJECT_ROOT, 'dist', job.entry);
  const child = spawn(
    process.execPath,
    [`--import=${DIES_WITH_PARENT}`, entry, ...job.parameters],
    { env: job.env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const said = keepWords(child);
  let hasEnded = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
    child.once('error', () => resolve(null));
  }).finally(() => {
    hasEnded = true;
  });
  const began = performance.now();
  while (job.ready ? !(await answers(url + job.ready)) : said().length === 0) {
    if (hasEnded || performance.now() - began > READY_MS) {
      child.kill('SIGKILL');
      throw new Error(`a server did not start: ${job.entry}\n${said()}`);
    }
    await sleep(50);
  }
  const pid = child.pid as number;
  return {
    url,
    pid,
    exited,
    memory: () => memoryOf(pid),
    cpu: () => cpuOf(pid),
    kill: (signal) => child.kill(signal),
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(late);
    },
  };
}

/** The variables of ours, and of the operator's only what a process needs to run. */
function environmentOf(databaseUrl: string, port: number, more: Record<string, string> = {}) {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  return {
    PATH,
    HOME,
    ...(TMPDIR ? { TMPDIR } : {}),
    DATABASE_URL: databaseUrl,
    JWT_SECRET,
    PORT: String(port),
    HOST: '127.0.0.1',
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    LOG_LEVEL: 'warn',
    ...Object.fromEntries(LIMITED.map((name) => [`RATE_LIMIT_${name}`, LIMIT])),
    ...more,
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).status === 200;
  } catch {
    return false;
  }
}

const WORDS_MAX = 10_000;

/** Keeps the end of what a child prints, and lets it go on printing. */
function keepWords(child: ChildProcess): () => string {
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-WORDS_MAX);
    });
  }
  return () => words;
}
