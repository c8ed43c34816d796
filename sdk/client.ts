import { admin } from './admin.ts';
import { counters } from './counters.ts';
import { merchant } from './merchant.ts';
import { open } from './open.ts';
import { type ClientOptions, connect } from './request.ts';
import { rewards } from './rewards.ts';

/** Everything of the API, for one caller. What must be small takes `connect` and one audience. */
export function createClient(options: ClientOptions = {}) {
  const connection = connect(options);
  return {
    ...open(connection),
    rewards: rewards(connection),
    merchant: { ...merchant(connection), ...counters(connection) },
    admin: admin(connection),
    /** how far the server's clock is ahead of this one, in milliseconds */
    get clockOffsetMs() {
      return connection.clockOffsetMs;
    },
  };
}
export type Client = ReturnType<typeof createClient>;
