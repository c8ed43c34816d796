import { randomUUID } from 'node:crypto';
import { Logger, run } from 'graphile-worker';
import { rest } from '../db/batches.ts';
import { openQueuePool } from '../db/pool.ts';
import { dispatchEvents, notifyReaders } from '../events/dispatch.ts';
import { CRONTAB, type JobDeps, taskList } from './tasks.ts';

const CONCURRENCY = 2;
const POLL_MS = 2000;
/** How long the dispatcher rests when nothing happened. */
const TICK_MS = 250;
const PAUSE_AFTER_FAULT_MS = 2000;

/** The queue's own schema: made by it, and removed by `migrate down`. */
const WORKER_SCHEMA = 'lumis_worker';

export interface Worker {
  /** Ends the jobs under way and returns when none is left. */
  stop(): Promise<void>;
}

/** Starts queue, crontab and event dispatcher. Any number of nodes may: the work is done once. */
export async function startWorker(url: string, deps: JobDeps): Promise<Worker> {
  const pgPool = openQueuePool({
    url,
    max: CONCURRENCY + 2,
    onError: (error) => deps.log.warn({ err: error }, 'the queue lost a connection'),
  });
  const queue = await startQueue(pgPool, deps).catch(async (error) => {
    await pgPool.end();
    throw error;
  });
  const dispatcher = startDispatcher(deps);
  return {
    async stop() {
      await Promise.all([dispatcher.stop(), queue.stop()]);
      await pgPool.end();
    },
  };
}

/** Runs the queue, and again when it has ended by itself. Throws when it cannot begin. */
async function startQueue(
  pgPool: ReturnType<typeof openQueuePool>,
  deps: JobDeps,
): Promise<Worker> {
  const { log } = deps;
  const begin = () =>
    run({
      pgPool,
      schema: WORKER_SCHEMA,
      concurrency: CONCURRENCY,
      pollInterval: POLL_MS,
      noHandleSignals: true,
      taskList: taskList(deps),
      crontab: CRONTAB,
      // In batches, if only of one: those alone are awaited when the queue stops, and a job whose end
      // cannot be written, as the database is away, ends the queue and not the process.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      logger: new Logger(() => (level, message) => {
        if (level === 'error') log.error(message);
        else if (level === 'warning') log.warn(message);
        else log.debug(message);
      }),
    });
  const stopping = new AbortController();
  let runner = await begin();
  const goOn = async () => {
    for (;;) {
      await runner.promise.catch(() => undefined); // it has logged why
      await rest(PAUSE_AFTER_FAULT_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      log.warn('the queue ended, and begins again');
      try {
        runner = await begin();
        if (stopping.signal.aborted) await runner.stop();
      } catch (error) {
        log.warn({ err: error }, 'the queue cannot begin, trying again');
      }
    }
  };
  const running = goOn();
  return {
    async stop() {
      stopping.abort();
      await runner.stop().catch(() => undefined);
      await running;
    },
  };
}

/** Follows the events table and writes what happened to the log. */
function startDispatcher({ db, log }: JobDeps): Worker {
  const node = randomUUID();
  const stopping = new AbortController();
  const { signal } = stopping;
  let untold = 0;
  let toldAt = 0;
  const tell = async (handed: number, more: boolean) => {
    untold += handed;
    // full steps follow each other at once: between them only as often as ticks come
    if (untold === 0 || (more && Date.now() - toldAt < TICK_MS)) return;
    untold = 0;
    toldAt = Date.now();
    await notifyReaders(db);
  };
  const loop = async () => {
    while (!signal.aborted) {
      try {
        const { handed, more } = await dispatchEvents(db, node, (event) =>
          log.info({ event }, event.type),
        );
        await tell(handed, more);
        if (!more) await rest(TICK_MS, signal);
      } catch (error) {
        // the events are still there; so is the cursor
        log.warn({ err: error }, 'dispatcher: cannot read events, trying again');
        await rest(PAUSE_AFTER_FAULT_MS, signal);
      }
    }
  };
  const running = loop();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
