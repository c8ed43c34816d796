import type { Command } from 'commander';
import { migrationStates } from '../db/migrate.ts';
import { prepared } from '../db/statement.ts';
import { withDatabase } from './database.ts';
import { EXIT } from './exit.ts';

const FACTS = prepared(
  'doctor.facts',
  `SELECT current_setting('server_version') AS version,
     current_setting('server_version_num')::integer >= 150000 AS new_enough,
     current_setting('fsync')::boolean AND current_setting('full_page_writes')::boolean
       AND current_setting('synchronous_commit') NOT IN ('off', 'local') AS durable,
     current_setting('max_connections')::integer AS max_connections,
     pg_is_in_recovery() AS is_replica, clock_timestamp() AS now`,
);
const CLOCK_DRIFT_MAX_MS = 5000;

/** `lumis doctor`: what usually goes wrong with an installation. */
export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('look for what usually goes wrong: configuration, database, clock')
    .action(() =>
      withDatabase(async ({ config, db, directUrl }) => {
        const [facts] = await db.query(FACTS());
        const pending = (await migrationStates(directUrl)).filter((s) => s.applied_at === null);
        const drift = Math.abs(Date.parse(facts.now) - Date.now());
        const checks: [boolean, string][] = [
          [true, `Node ${process.versions.node}`],
          [facts.new_enough, `PostgreSQL ${facts.version} (15 or newer)`],
          [!facts.is_replica, 'the database takes writes'],
          [facts.durable, 'commits are durable: fsync, full_page_writes, synchronous_commit'],
          [
            facts.max_connections > config.databasePoolMax,
            `max_connections ${facts.max_connections} is more than DATABASE_POOL_MAX ${config.databasePoolMax}`,
          ],
          [pending.length === 0, 'migrations are applied (lumis migrate plan, then up)'],
          [drift < CLOCK_DRIFT_MAX_MS, `clocks agree within 5 s (off by ${drift} ms)`],
        ];
        for (const [ok, text] of checks) console.log(`${ok ? 'ok   ' : 'WRONG'} ${text}`);
        if (checks.some(([ok]) => !ok)) process.exitCode = EXIT.foundWrong;
      }),
    );
}
