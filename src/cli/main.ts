import '../core/ticks.ts';
import { Command, CommanderError } from 'commander';
import { VERSION } from '../project.ts';
import { benchCommand } from './bench.ts';
import { deviceCommand } from './device.ts';
import { doctorCommand } from './doctor.ts';
import { EXIT, endWith } from './exit.ts';
import { jobsCommand } from './jobs.ts';
import { merchantCommand } from './merchant.ts';
import { migrateCommand } from './migrate.ts';
import { pointsCommand } from './points.ts';
import { startCommand } from './start.ts';
import { tokenCommand } from './token.ts';
import { verifyCommand } from './verify.ts';

// a reader that has seen enough, as in `lumis --help | head`, is no fault
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const program = new Command('lumis')
  .description('Self-hosted redemption engine for loyalty points on PostgreSQL')
  .version(VERSION)
  .showHelpAfterError('(lumis --help lists the commands)')
  .addHelpText(
    'after',
    `
Exit codes: 0 done, 1 found wrong, 64 usage, 69 database unreachable, 78 configuration,
130 or 143 interrupted.
Configuration is read from the environment; .env.example lists it.`,
  );

for (const command of [
  startCommand,
  migrateCommand,
  verifyCommand,
  tokenCommand,
  merchantCommand,
  deviceCommand,
  pointsCommand,
  jobsCommand,
  doctorCommand,
  benchCommand,
]) {
  command(program);
}

for (const command of [
  program,
  ...program.commands,
  ...program.commands.flatMap((c) => c.commands),
]) {
  command.exitOverride();
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  } else {
    endWith(error);
  }
}
