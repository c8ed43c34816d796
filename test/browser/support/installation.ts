/** `lumis start` as somebody runs it at home: its own folder, its own database, demo data. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROJECT_ROOT } from '../../../src/project.ts';

const LUMIS = join(PROJECT_ROOT, 'bin/lumis.js');
const READY_MS = 60_000;

export interface Installation {
  url: string;
  /** ends it at once, as a power cut does, and waits until it is gone */
  kill(): Promise<void>;
  /** starts it again on the same folder and port, and waits until it answers */
  start(): Promise<void>;
  /** runs a command of `lumis` beside it; throws with what it printed unless it ends with 0 */
  lumis(...command: string[]): string;
}

/** Starts an installation, which ends with the file and leaves nothing. */
export async function install(environment: Record<string, string> = {}): Promise<Installation> {
  const data = mkdtempSync(join(tmpdir(), 'lumis-browser-'));
  const port = await freePort();
  const env = {
    PATH: process.env.PATH ?? '',
    LUMIS_DATA: data,
    PORT: String(port),
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    LOG_LEVEL: 'warn',
    ...environment,
  };
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  after(async () => {
    if (child?.exitCode === null) {
      child.kill('SIGTERM');
      await Promise.race([once(child, 'exit'), sleep(10_000, undefined, { ref: false })]);
      child.kill('SIGKILL');
    }
    rmSync(data, { recursive: true, force: true });
  });
  const installation: Installation = {
    url,
    async kill() {
      if (!child) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    async start() {
      child = spawn(process.execPath, [LUMIS, 'start'], {
        cwd: PROJECT_ROOT,
        env,
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      await untilReady(url, child);
    },
    lumis(...command) {
      const run = spawnSync(process.execPath, [LUMIS, ...command], {
        cwd: PROJECT_ROOT,
        env,
        encoding: 'utf8',
        timeout: 60_000,
      });
      if (run.status !== 0) throw new Error(`lumis ${command}: ${run.stdout}${run.stderr}`);
      return run.stdout.trim();
    },
  };
  await installation.start();
  return installation;
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const reply = await fetch(`${url}/readyz`).catch(() => undefined);
    if (reply?.ok) return;
    await sleep(100);
  }
  throw new Error(`lumis start is not ready (exit code ${child.exitCode})`);
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
