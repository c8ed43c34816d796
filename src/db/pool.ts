import type { Writable } from 'node:stream';
import pg from 'pg';
import { Failure, type FailureCode } from '../core/failure.ts';
import { isoTime } from '../core/time.ts';
import { isConnectionLost, isLockTimeout, isRetryable, toFailure } from './sqlstate.ts';
import type { Statement } from './statement.ts';

// biome-ignore lint/suspicious/noExplicitAny: a row's type is the statement's to say
type Row = any;

/** A statement of a transaction. */
export interface Step extends Statement {
  /** names the failure if it waits for a lock in vain */
  onLockTimeout?: FailureCode;
  /**
   * It is prepared, and sets its own lock timeout: by itself it needs no BEGIN, and is one message
   * instead of three.
   */
  isWhole?: boolean;
}

/** The database, as every other room sees it. */
export interface Database {
  /** Runs one statement by itself. Throws Failure. */
  query<R = Row>(statement: Statement): Promise<R[]>;
  /**
   * Runs statements as one transaction in one round trip, and again when that is right; the rows of
   * each. They wait up to `lockTimeoutMs` for each lock. Throws Failure.
   */
  transaction(steps: Step[]): Promise<Row[][]>;
  /** how long its transactions wait for a lock, in milliseconds */
  lockTimeoutMs: number;
  /**
   * The same database through one connection, which is held while it is used: what is sent while
   * an earlier statement runs begins the moment that one ends, with nobody's way to go in between.
   * Its transactions may wait less long, or longer, for a lock.
   */
  lane(lockTimeoutMs?: number): Database;
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
  /** how long a statement without BEGIN waits for its answer; then its connection counts as lost */
  answerTimeoutMs?: number;
  onError: (error: Error) => void;
  /** told what the server says beside its answers; nobody hears it otherwise */
  onNotice?: (message: string) => void;
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
// For statements by themselves. A transaction sets its own again, and so does a step that is whole:
// behind a transaction pooler the session may be another one by then.
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
    client.on('notice', ({ message = '' }) => options.onNotice?.(message));
    client.query(SESSION).catch(options.onError);
  });

  const fromPool: Borrow = async () => {
    const client = await pool.connect();
    return { client, giveBack: (isLost) => client.release(isLost) };
  };
  const through = (borrow: Borrow, lockTimeoutMs: number): Database => ({
    async query(statement) {
      const asked = { query_timeout: answerTimeoutMs, ...statement };
      try {
        const { client, giveBack } = await borrow();
        const result = client.query(asked);
        result.then(
          () => giveBack(false),
          (error) => giveBack(isConnectionLost(error)),
        );
        return (await result).rows;
      } catch (error) {
        throw toFailure(error);
      }
    },
    async transaction(steps) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await runOnce(borrow, steps, { lockTimeoutMs, answerTimeoutMs });
        } catch (error) {
          if (attempt > RETRIES_MAX || !isRetryable(error)) throw toFailure(error);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
        }
      }
    },
    lockTimeoutMs,
    lane: (patience = lockTimeoutMs) => through(shared(fromPool), patience),
    usage: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  });
  return through(fromPool, LOCK_TIMEOUT_MS);
}

/** Takes a connection; whoever has it gives it back once, and says whether it was lost. */
type Borrow = () => Promise<{ client: pg.PoolClient; giveBack: (isLost: boolean) => void }>;

/** One connection for all who ask while somebody has it. */
function shared(borrow: Borrow): Borrow {
  let lane: { held: ReturnType<Borrow>; users: number } | undefined;
  return async () => {
    lane ??= { held: borrow(), users: 0 };
    const own = lane;
    own.users += 1;
    const leave = (giveBack: (isLost: boolean) => void, isLost: boolean) => {
      own.users -= 1;
      // a lost one is given up at once: what others have asked on it is not answered any more
      if (lane === own && (isLost || own.users === 0)) {
        lane = undefined;
        giveBack(isLost);
      }
    };
    try {
      const { client, giveBack } = await own.held;
      return { client, giveBack: (isLost) => leave(giveBack, isLost) };
    } catch (error) {
      leave(() => undefined, true);
      throw error;
    }
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

/**
 * True when the database is away, or does not say what became of a transaction. To ask again at
 * once would not help, and an answer found then might not be where it was promised to be.
 */
export function isOutage(error: unknown): boolean {
  return error instanceof Failure && error.cause !== undefined && isConnectionLost(error.cause);
}

interface Patience {
  lockTimeoutMs: number;
  answerTimeoutMs: number;
}

async function runOnce(borrow: Borrow, steps: Step[], patience: Patience): Promise<Row[][]> {
  const { client, giveBack } = await borrow();
  const isWhole = steps.length === 1 && steps[0]?.isWhole === true;
  const messages = isWhole ? steps : [begin(patience.lockTimeoutMs), ...steps, 'COMMIT'];
  let inDoubt: Error | undefined;
  // A warning at the commit itself: a standby did not confirm, so the commit is here but not where
  // it was promised to be.
  let isCommitting = false;
  const onNotice = (notice: { code?: string | undefined }) => {
    if (isCommitting && notice.code?.startsWith('01')) {
      inDoubt = new Error('commit is not replicated');
    }
  };
  client.on('notice', onNotice);
  const send = (message: Statement | string, i: number) =>
    new Promise<pg.QueryResult>((resolve, reject) => {
      // Callbacks, which are called at once: a promise would hear of the end of a statement when the
      // warnings after it, or those of whoever comes next on this connection, have been told.
      const query = new pg.Query(message, (error, result) => {
        isCommitting = !isWhole && i === messages.length - 2; // COMMIT is next
        error ? reject(error) : resolve(result as pg.QueryResult);
      }) as pg.Query & { handleCommandComplete(...about: unknown[]): void; query_timeout?: number };
      if (isWhole) {
        query.query_timeout = patience.answerTimeoutMs;
        const complete = query.handleCommandComplete;
        query.handleCommandComplete = (...about) => {
          isCommitting = true;
          complete.apply(query, about);
        };
      }
      client.query(query);
    });
  // in one packet: the server wakes once, and has all it needs
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection;
  stream.cork();
  const sent = messages.map(send);
  stream.uncork();
  const results = await Promise.allSettled(sent);
  client.off('notice', onNotice);
  const answers = isWhole ? results : results.slice(1, -1);
  // an error makes every later statement fail too, and COMMIT roll back: the first one tells
  const fault = results.find((result) => result.status === 'rejected')?.reason;
  if (fault) {
    giveBack(isConnectionLost(fault));
    const step = steps[answers.findIndex((answer) => answer.status === 'rejected')];
    if (step?.onLockTimeout && isLockTimeout(fault)) throw new Failure(step.onLockTimeout);
    throw fault;
  }
  giveBack(false);
  if (inDoubt) throw new Failure('overloaded', { cause: inDoubt, retryAfterSeconds: 1 });
  return answers.map((answer) => (answer as PromiseFulfilledResult<pg.QueryResult>).value.rows);
}

/** Points are whole or exact fractions far below 2^53; times keep their microseconds. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === OID.int8 || oid === OID.numeric) return Number;
  if (oid === OID.timestamptz) return isoTime;
  return pg.types.getTypeParser(oid, format as 'text');
}
