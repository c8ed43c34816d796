import type { Writable } from 'node:stream';
import pg from 'pg';
import { Failure, type FailureCode } from '../core/failure.ts';
import { isoTime } from '../core/time.ts';
import { isConnectionLost, isLockTimeout, isRetryable, toFailure } from './sqlstate.ts';
import type { Statement } from './statement.ts';

// biome-ignore lint/suspicious/noExplicitAny: a row's type is the statement's to say
type Row = any;

/** A statement of a transaction; `onLockTimeout` names the failure if it waits for a lock in vain. */
export type Step = Statement & { onLockTimeout?: FailureCode };

/** The database, as every other room sees it. */
export interface Database {
  /** Runs one statement by itself. Throws Failure. */
  query<R = Row>(statement: Statement): Promise<R[]>;
  /**
   * Runs several statements as one transaction in one round trip; the rows of each. It waits up to
   * `lockTimeoutMs` for each lock. Throws Failure.
   */
  transaction(steps: Step[], lockTimeoutMs?: number): Promise<Row[][]>;
  /** Connections: in all, idle, and requests that wait for one. */
  usage(): { total: number; idle: number; waiting: number };
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  /** connections at most */
  max: number;
  /** how long a request waits for a connection */
  poolTimeoutMs: number;
  /** how long one statement by itself waits for its answer; then its connection counts as lost */
  answerTimeoutMs?: number;
  onError: (error: Error) => void;
}

/** How long a statement waits for a lock before its transaction gives up. */
export const LOCK_TIMEOUT_MS = 2000;
/** A statement that runs longer than this is ended by the server. */
const STATEMENT_TIMEOUT_MS = 15_000;
/**
 * A server that can be heard has ended the statement by then. One that is cut off says nothing, and
 * TCP believes in it for a quarter of an hour: whoever reads for all streams would wait that long.
 */
const ANSWER_TIMEOUT_MS = 20_000;
const RETRIES_MAX = 3;
// For statements by themselves. A transaction sets its own again: behind a transaction pooler the
// session may be another one by then.
const SESSION = `SET datestyle = 'ISO'; SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET statement_timeout = ${STATEMENT_TIMEOUT_MS}`;

// SET LOCAL and not a connection parameter: behind a transaction pooler a session is shared.
const begin = (lockTimeoutMs: number) => `BEGIN; SET LOCAL datestyle = 'ISO';
  SET LOCAL lock_timeout = ${lockTimeoutMs}; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`;

const OID = { int8: 20, numeric: 1700, timestamptz: 1184 } as const;

/** Connects lazily; the first statement opens the first connection. */
export function openDatabase(options: DatabaseOptions): Database {
  const { answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max,
    connectionTimeoutMillis: options.poolTimeoutMs,
    application_name: 'lumis',
    keepAlive: true,
    types: { getTypeParser },
    // all statements of a transaction leave together: one round trip instead of one each
    pipeline: true,
  } as pg.PoolConfig);
  pool.on('error', options.onError);
  pool.on('connect', (client) => {
    // a checked-out client whose server dies emits too; unheard, it would end the process
    client.on('error', options.onError);
    client.query(SESSION).catch(options.onError);
  });

  return {
    async query(statement) {
      const asked = { ...statement, query_timeout: answerTimeoutMs };
      try {
        return (await pool.query(asked)).rows;
      } catch (error) {
        throw toFailure(error);
      }
    },
    async transaction(steps, lockTimeoutMs = LOCK_TIMEOUT_MS) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await runOnce(pool, steps, lockTimeoutMs);
        } catch (error) {
          if (attempt > RETRIES_MAX || !isRetryable(error)) throw toFailure(error);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
        }
      }
    },
    usage: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}

/**
 * Connections for the job queue, which speaks to the driver by itself. End it after the queue and
 * before the database: the queue's own pool forgets its error handlers first, and a server that
 * stops a moment later would then end the process.
 */
export function openQueuePool(options: Pick<DatabaseOptions, 'url' | 'max' | 'onError'>): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max,
    application_name: 'lumis queue',
  });
  pool.on('error', options.onError);
  pool.on('connect', (client) => client.on('error', options.onError));
  return pool;
}

/** The same database, whose transactions wait less long, or longer, for a lock. */
export function withLockTimeout(db: Database, lockTimeoutMs: number): Database {
  return { ...db, transaction: (steps) => db.transaction(steps, lockTimeoutMs) };
}

/**
 * True when the database is away, or does not say what became of a transaction. To ask again at
 * once would not help, and an answer found then might not be where it was promised to be.
 */
export function isOutage(error: unknown): boolean {
  return error instanceof Failure && error.cause !== undefined && isConnectionLost(error.cause);
}

async function runOnce(pool: pg.Pool, steps: Step[], lockTimeoutMs: number): Promise<Row[][]> {
  const client = await pool.connect();
  let inDoubt: Error | undefined;
  // A warning at the commit itself: a standby did not confirm, so the commit is here but not where
  // it was promised to be.
  let isCommitting = steps.length === 0;
  const onNotice = (notice: { code?: string | undefined }) => {
    if (isCommitting && notice.code?.startsWith('01')) {
      inDoubt = new Error('commit is not replicated');
    }
  };
  client.on('notice', onNotice);
  const send = (step: Step, last: boolean) =>
    new Promise<pg.QueryResult>((resolve, reject) => {
      // a callback, since a promise would hear of the last step only after the commit's warning
      void client.query(step, (error: Error | undefined, result: pg.QueryResult) => {
        isCommitting ||= last;
        error ? reject(error) : resolve(result);
      });
    });
  // in one packet: the server wakes once, and has all it needs
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection;
  stream.cork();
  const sent = [
    client.query(begin(lockTimeoutMs)),
    ...steps.map((step, i) => send(step, i === steps.length - 1)),
    client.query('COMMIT'),
  ];
  stream.uncork();
  const results = await Promise.allSettled(sent);
  client.off('notice', onNotice);
  // an error makes every later statement fail too, and COMMIT roll back: the first one tells
  const failed = results.findIndex((result) => result.status === 'rejected');
  if (failed >= 0) {
    const error = (results[failed] as PromiseRejectedResult).reason;
    client.release(isConnectionLost(error));
    const step = steps[failed - 1];
    if (step?.onLockTimeout && isLockTimeout(error)) throw new Failure(step.onLockTimeout);
    throw error;
  }
  client.release();
  if (inDoubt) throw new Failure('overloaded', { cause: inDoubt, retryAfterSeconds: 1 });
  return results.slice(1, -1).map((result) => {
    return (result as PromiseFulfilledResult<pg.QueryResult>).value.rows;
  });
}

/** Points are whole or exact fractions far below 2^53; times keep their microseconds. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === OID.int8 || oid === OID.numeric) return Number;
  if (oid === OID.timestamptz) return isoTime;
  return pg.types.getTypeParser(oid, format as 'text');
}
