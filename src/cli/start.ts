import type { Command } from 'commander';
import { type Config, readConfig } from '../config.ts';
import { type Role, type Running, serve } from '../main.ts';
import { UsageFault, untilAsked } from './exit.ts';
import { lanWelcome, openToLan } from './lan.ts';
import { welcome } from './welcome.ts';

const ROLES: Role[] = ['api', 'worker', 'web'];

interface StartOptions {
  roles: string;
  /** the address to be reached under, or true for the likeliest one */
  lan?: string | true;
}

/** `lumis start`: runs until SIGINT or SIGTERM, then finishes what is under way. */
export function startCommand(program: Command): void {
  program
    .command('start')
    .description('run the server, on its embedded database unless DATABASE_URL is set')
    .option('--roles <list>', 'what this process does: api, worker, web', ROLES.join(','))
    .option('--lan [address]', 'try it on phones in this network, over HTTPS (docs/phones.md)')
    .action(async ({ roles, lan }: StartOptions) => {
      const wanted = rolesOf(roles);
      if (lan !== undefined && !wanted.some((role) => role !== 'worker')) {
        throw new UsageFault('--lan needs the role api or web: a worker alone serves nobody');
      }
      const given = readConfig();
      const { config, tls } = lan === undefined ? { config: given } : await openToLan(given, lan);
      // asked before anything is opened, so that a signal during the start is not lost
      const asked = untilAsked();
      const running = await serve(config, wanted, tls);
      console.log(
        welcome(config, running, { pages: wanted.includes('web'), ownTls: Boolean(tls) }),
      );
      if (tls) printForPhones(config, running);
      await asked;
      await finish(running);
    });
}

function rolesOf(list: string): Role[] {
  const wanted = list.split(',').map((role) => role.trim()) as Role[];
  const unknown = wanted.filter((role) => !ROLES.includes(role));
  if (unknown.length > 0) {
    throw new UsageFault(`unknown role ${unknown.join(', ')}; there are: ${ROLES.join(', ')}`);
  }
  return wanted;
}

/** Last, so that the codes are what is on the screen; in a file they would be noise. */
function printForPhones(config: Config, running: Running): void {
  const { isTTY, columns = 80 } = process.stdout;
  console.log(lanWelcome(config, running, isTTY ? columns : undefined));
}

const GRACE_MS = 20_000;

async function finish(running: Running): Promise<void> {
  running.log.info('stopping: finishing what is under way');
  const late = setTimeout(() => process.exit(1), GRACE_MS);
  late.unref();
  await running.stop();
  process.exit(0);
}
