import type { Command } from 'commander';
import { createLog } from '../core/log.ts';
import { jobDeps, jobNames, runJob } from '../main.ts';
import { printTable, withDatabase } from './database.ts';
import { EXIT, UsageFault, untilAsked } from './exit.ts';

/** How long who interrupts a job waits for it: one that is a single statement does not hear of it. */
const GRACE_MS = 5000;

/** `lumis jobs list|run NAME`. */
export function jobsCommand(program: Command): void {
  const jobs = program.command('jobs').description("the worker's jobs");
  jobs
    .command('list')
    .description('every job and when it runs (UTC)')
    .option('--json', 'for scripts')
    .action(({ json }) => {
      const rows = jobNames();
      if (json) console.log(JSON.stringify(rows));
      else printTable(rows);
    });
  jobs
    .command('run <name>')
    .description('run a job now, in this process')
    .action((name: string) => {
      // asked before anything is opened, so that a signal meanwhile is not lost
      const stopping = new AbortController();
      void untilAsked().then((code) => {
        process.exitCode = code;
        process.stderr.write('lumis: stopping after this step, or in five seconds\n');
        stopping.abort();
        setTimeout(() => process.exit(), GRACE_MS).unref();
      });
      return withDatabase(async ({ db }) => {
        if (!jobNames().some((job) => job.name === name)) {
          throw new UsageFault(`there is no job ${name}; lumis jobs list names them`);
        }
        const result = await runJob(name, jobDeps(db, createLog('silent')), stopping.signal);
        console.log(JSON.stringify(result));
        if ('violations' in result && result.violations !== 0) process.exitCode = EXIT.foundWrong;
      });
    });
}
