import type { RedemptionEvent } from '../contract/live.ts';
import type { Database } from '../db/pool.ts';
import { type CounterWatch, counterReader, type Watcher } from './watch-counter.ts';
import { redemptionReader } from './watch-redemption.ts';

/** What this process tells those who wait for something to happen. */
export interface Feed {
  /**
   * Hands on the events of one redemption whose sequence is above `after`: those there are at once,
   * then each as it comes, in order and once. Returns how to stop.
   */
  watchRedemption(
    redemptionId: string,
    after: number,
    hand: (event: RedemptionEvent) => void,
  ): () => void;
  /** Hands on what a merchant, or one of its branches, confirms and reverses. See CounterWatch. */
  watchCounter(watch: CounterWatch): Watcher;
  /** Looks now: somebody was notified. */
  wake(): void;
  /** Ends, when what is being read has been read. */
  close(): Promise<void>;
}

export interface FeedOptions {
  /** opens a subscription to the dispatcher's notifications; called when somebody watches */
  listen?: ((onNotify: () => void) => { close(): Promise<void> }) | undefined;
  /** told once per outage of the database */
  onError: (error: unknown) => void;
}

/** How often it looks by itself while somebody watches: notifications may be lost, or nobody sends any. */
const NET_MS = 1000;

/**
 * Reads the events table for everybody in this process who waits: with short statements, so that no
 * connection is held, and from positions that each watcher keeps, so that an outage of the database
 * leaves no gap.
 */
export function openFeed(db: Database, { listen, onError }: FeedOptions): Feed {
  const redemptions = redemptionReader(db);
  const counters = counterReader(db);
  let listener: { close(): Promise<void> } | undefined;
  let net: NodeJS.Timeout | undefined;
  let reading: Promise<void> | undefined;
  let wakeAgain = false;
  let isAway = false;
  let closed = false;

  const look = async () => {
    try {
      do {
        wakeAgain = false;
        // both to their end: a reader reads once at a time
        const ends = await Promise.allSettled([redemptions.read(), counters.read()]);
        for (const end of ends) if (end.status === 'rejected') throw end.reason;
        isAway = false;
      } while (wakeAgain && !closed);
    } catch (error) {
      // the events are still there, and so are the positions: the net tries again
      if (!isAway) onError(error);
      isAway = true;
    }
    reading = undefined;
  };
  const wake = () => {
    wakeAgain = true;
    if (!closed && !reading && redemptions.size() + counters.size() > 0) reading = look();
  };
  const watched = (stop: () => void) => {
    listener ??= listen?.(wake);
    net ??= setInterval(wake, NET_MS);
    wake();
    return () => {
      stop();
      if (redemptions.size() + counters.size() > 0) return;
      clearInterval(net);
      net = undefined;
    };
  };

  return {
    watchRedemption: (id, after, hand) => watched(redemptions.add(id, after, hand)),
    watchCounter(watch) {
      const { stop, position } = counters.add(watch);
      return { stop: watched(stop), position };
    },
    wake,
    async close() {
      closed = true;
      clearInterval(net);
      await listener?.close();
      await reading;
    },
  };
}
