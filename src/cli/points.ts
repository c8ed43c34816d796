import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { changedBy, systemCaller } from '../core/actor.ts';
import { unwrap } from '../core/answer.ts';
import { claim } from '../idempotency/claim.ts';
import { adjust } from '../ledger/adjust.ts';
import { withDatabase } from './database.ts';
import { UsageFault } from './exit.ts';

const AMOUNT_MAX = 1_000_000_000;

/** `lumis points grant`. */
export function pointsCommand(program: Command): void {
  program
    .command('points')
    .description("members' points")
    .command('grant')
    .description('give points (or take them, with a negative amount), with a reason')
    .requiredOption('--user <id>', 'the member id')
    .requiredOption('--amount <n>', 'whole points, not zero')
    .requiredOption('--reason <text>', 'kept in the ledger')
    .option('--json', 'for scripts')
    .action((options: { user: string; amount: string; reason: string; json?: boolean }) =>
      withDatabase(async ({ db }) => {
        const caller = systemCaller(`cli:${userInfo().username}`);
        const entry = {
          user_id: whole('--user', options.user, 1, 2_147_483_647),
          quantity: whole('--amount', options.amount, -AMOUNT_MAX, AMOUNT_MAX),
          reason: options.reason.trim(),
        };
        if (entry.quantity === 0) throw new UsageFault('--amount must not be zero');
        if (entry.reason === '') throw new UsageFault('--reason must say something');
        const key = claim(caller.actor, randomUUID(), 'adjust', entry);
        const [answer] = await adjust(db, [{ ...key, ...entry, changed_by: changedBy(caller) }]);
        const adjusted = unwrap(answer);
        if (options.json) console.log(JSON.stringify(adjusted));
        else console.log(`member ${adjusted.user_id} has ${adjusted.balance} Lümis`);
      }),
    );
}

function whole(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageFault(`${option} must be a whole number from ${min} to ${max}, not "${text}"`);
}
