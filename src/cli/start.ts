import type { Command } from 'commander';
import { readConfig } from '../config.ts';
import { type Role, type Running, serve } from '../main.ts';
import { UsageFault } from './exit.ts';
import { welcome } from './welcome.ts';

const ROLES: Role[] = ['api', 'worker', 'web'];

/** `lumis start`: runs until SIGINT or SIGTERM, then finishes what is under way. */
export function startCommand(program: Command): void {
  program
    .command('start')
    .description('run the server, on its embedded database unless DATABASE_URL is set')
    .option('--roles <list>', 'what this process does: api, worker, web', ROLES.join(','))
    .action(async ({ roles }: { roles: string }) => {
      const wanted = roles.split(',').map((role) => role.trim()) as Role[];
      const unknown = wanted.filter((role) => !ROLES.includes(role));
      if (unknown.length > 0) {
        throw new UsageFault(`unknown role ${unknown.join(', ')}; there are: ${ROLES.join(', ')}`);
      }
      const config = readConfig();
      // asked before anything is opened, so that a signal during the start is not lost
      const asked = untilAsked();
      const running = await serve(config, wanted);
      console.log(welcome(config, running));
      await asked;
      await finish(running);
    });
}

function untilAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

const GRACE_MS = 20_000;

async function finish(running: Running): Promise<void> {
  running.log.info('stopping: finishing what is under way');
  const late = setTimeout(() => process.exit(1), GRACE_MS);
  late.unref();
  await running.stop();
  process.exit(0);
}
