import type { Command } from 'commander';
import { checkMigration } from '../db/checklist.ts';
import { migrateDown, migratePlan, migrateUp, migrationStates } from '../db/migrate.ts';
import { printTable, withDatabase } from './database.ts';
import { EXIT } from './exit.ts';
import { isClear, planText } from './plan.ts';

const say = (text: string) => process.stderr.write(`${text}\n`);

/** `lumis migrate plan|up|down|status|verify`. None of them ever asks. */
export function migrateCommand(program: Command): void {
  const migrate = program.command('migrate').description('the schema of the database');

  migrate
    .command('plan')
    .description('what `up` would do to this database and its neighbours; changes nothing')
    .option('--json', 'for scripts')
    .action(({ json }) =>
      withDatabase(async ({ directUrl }) => {
        const plan = await migratePlan(directUrl);
        console.log(json ? JSON.stringify(plan) : planText(plan));
        if (!isClear(plan)) process.exitCode = EXIT.configuration;
      }),
    );

  migrate
    .command('up')
    .description('apply what is pending, each migration as one transaction')
    .action(() =>
      withDatabase(async ({ directUrl }) => {
        const applied = await migrateUp(directUrl, say);
        console.log(applied.length > 0 ? `applied: ${applied.join(', ')}` : 'nothing to apply');
      }),
    );

  migrate
    .command('down')
    .description('take migrations back; data is put aside in schema lumis_archive')
    .option('--to <name>', 'stop before this one')
    .action(({ to }: { to?: string }) =>
      withDatabase(async ({ directUrl }) => {
        const taken = await migrateDown(directUrl, to, say);
        console.log(taken.length > 0 ? `taken back: ${taken.join(', ')}` : 'nothing to take back');
      }),
    );

  migrate
    .command('status')
    .description('which migrations the database has')
    .option('--json', 'for scripts')
    .action(({ json }) =>
      withDatabase(async ({ directUrl }) => {
        const states = await migrationStates(directUrl);
        if (json) console.log(JSON.stringify(states));
        else printTable(states.map((s) => ({ ...s, applied_at: s.applied_at ?? 'pending' })));
      }),
    );

  migrate
    .command('verify')
    .description('the checklist after a migration: tables, indexes, functions, triggers, rights')
    .option('--json', 'for scripts')
    .action(({ json }) =>
      withDatabase(async ({ db, directUrl }) => {
        const pending = (await migrationStates(directUrl)).filter((s) => s.applied_at === null);
        const checks = [
          {
            name: 'migrations are applied',
            ok: pending.length === 0,
            found: pending.length > 0 ? `pending: ${pending.map((s) => s.name)}` : '',
          },
          ...(pending.length > 0 ? [] : await checkMigration(db)),
        ];
        if (json) console.log(JSON.stringify(checks));
        else
          for (const c of checks) console.log(`${c.ok ? 'ok   ' : 'WRONG'} ${c.name}  ${c.found}`);
        if (checks.some((check) => !check.ok)) process.exitCode = EXIT.foundWrong;
      }),
    );
}
