import pg from 'pg';

/** A subscription to a channel of the database. */
export interface Listener {
  /** Ends it and its connection. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** the database itself: a transaction pooler forgets who listens */
  url: string;
  channel: string;
  /** called for each notification, and whenever the connection stands: some may have been missed */
  onNotify: () => void;
  onError: (error: Error) => void;
}

const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 10_000;
const ANSWER_MS_MAX = 10_000;
const PROBE_AFTER_MS = 30_000;
/** How long a server that is gone is waited for when we say goodbye. */
const GOODBYE_MS = 500;

/**
 * Listens on a connection of its own, and connects again, ever more slowly, when it is lost. Never
 * throws: whoever listens has to look by itself from time to time anyhow.
 */
export function listen({ url, channel, onNotify, onError }: ListenOptions): Listener {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let pauseMs = PAUSE_MS_MIN;
  let closed = false;

  const retry = () => {
    if (closed || timer) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        void connect();
      },
      pauseMs * (0.5 + Math.random()),
    );
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
  };
  const connect = async () => {
    const attempt = new pg.Client({
      connectionString: url,
      application_name: 'lumis listen',
      connectionTimeoutMillis: ANSWER_MS_MAX,
      query_timeout: ANSWER_MS_MAX,
      keepAlive: true,
      keepAliveInitialDelayMillis: PROBE_AFTER_MS,
    });
    client = attempt;
    attempt.on('error', (error) => closed || onError(error));
    attempt.on('notification', onNotify);
    // comes after every loss, also that of a connection which never stood; of one that was given up
    // it may come when another one stands already
    attempt.on('end', () => client === attempt && retry());
    try {
      await attempt.connect();
      await attempt.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      pauseMs = PAUSE_MS_MIN;
      onNotify();
    } catch (error) {
      if (!closed) onError(error as Error);
      attempt.end().catch(() => undefined);
      retry();
    }
  };

  void connect();
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      const late = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref());
      await Promise.race([client?.end().catch(() => undefined), late]);
    },
  };
}
