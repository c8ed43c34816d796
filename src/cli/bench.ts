import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { PROJECT_ROOT } from '../project.ts';
import { EXIT, UsageFault } from './exit.ts';

const ENTRY = join(PROJECT_ROOT, 'dist', 'bench', 'bench.js');

/** `lumis bench`: what the bench answers, in a process of its own; every option is the bench's. */
export function benchCommand(program: Command): void {
  program
    .command('bench')
    .description('measure what this machine holds, beside bare SQL (bench --help)')
    .argument('[options...]', 'of the bench')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (options: string[]) => {
      if (!existsSync(ENTRY)) {
        throw new UsageFault(
          'the bench is not in this installation; in a checkout, npm run bench builds it',
        );
      }
      const child = spawn(process.execPath, [ENTRY, ...options], { stdio: 'inherit' });
      // it ends in order, and we end with it; a terminal's SIGINT has reached it already
      process.on('SIGINT', () => undefined);
      process.on('SIGTERM', () => child.kill('SIGTERM'));
      process.exitCode = await new Promise<number>((resolve, reject) => {
        child.once('error', reject);
        child.once('exit', (code) => resolve(code ?? EXIT.foundWrong));
      });
    });
}
