import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { systemCaller } from '../core/actor.ts';
import { createMerchant } from '../merchants/save.ts';
import { withDatabase } from './database.ts';
import { UsageFault } from './exit.ts';

/** `lumis merchant create`. */
export function merchantCommand(program: Command): void {
  program
    .command('merchant')
    .description('merchants')
    .command('create')
    .description('add a merchant and its first key, which is shown once')
    .requiredOption('--name <name>', 'unique')
    .option('--type <type>', 'restaurant, cinema, bookstore …')
    .option('--json', 'for scripts')
    .action((options: { name: string; type?: string; json?: boolean }) =>
      withDatabase(async ({ db }) => {
        if (options.name.trim() === '' || options.name.length > 255) {
          throw new UsageFault('--name needs 1 to 255 characters');
        }
        if (options.type !== undefined && !/^.{1,50}$/.test(options.type)) {
          throw new UsageFault('--type needs 1 to 50 characters');
        }
        const { merchant_id, api_key } = await createMerchant(
          db,
          systemCaller(`cli:${userInfo().username}`),
          {
            merchant_name: options.name,
            ...(options.type === undefined ? {} : { merchant_type: options.type }),
          },
        );
        if (options.json) console.log(JSON.stringify({ merchant_id, api_key }));
        else console.log(`merchant_id  ${merchant_id}\napi_key      ${api_key}  (shown once)`);
      }),
    );
}
