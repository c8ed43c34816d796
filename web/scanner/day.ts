import { useCallback, useEffect, useRef, useState } from 'react';
import type { CounterRedemption, Day, LumisError } from '../../sdk/index.ts';
import { serverNow, useNow } from '../shared/clock.ts';
import { isSameDay } from '../shared/format.ts';
import { api } from './api.ts';
import { store } from './session.ts';

export interface DayView {
  day: Day | undefined;
  /** what is shown may be old: the list could not be read again */
  is_stale: boolean;
  more(): void;
  reload(): void;
}

/** Several events in a row are one reason to read. */
const SETTLE_MS = 250;
/** Also without any event: one may have been lost. */
const NET_MS = 120_000;

/**
 * Today at this counter: from the phone at once, then from the server, then whenever something is
 * confirmed or reversed here. `onLost`: the server does not know this phone any more.
 */
export function useDay(onLost: () => void): DayView {
  const [known, setDay] = useState(readKept);
  // a phone without a network keeps yesterday: that is not to be called today
  useNow(NET_MS);
  const day = known && isSameDay(known.as_of, serverNow(), known.time_zone) ? known : undefined;
  const [isStale, setStale] = useState(true);
  const run = useRef(0);

  const load = useCallback(async () => {
    run.current += 1;
    const mine = run.current;
    try {
      const read = await api.merchant.day();
      if (mine !== run.current) return;
      store.write('day', read);
      setDay(read);
      setStale(false);
    } catch (error) {
      if (mine !== run.current) return;
      if ((error as LumisError).code === 'unauthorized') onLost();
      else setStale(true);
    }
  }, [onLost]);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(load, SETTLE_MS);
    };
    const stop = new AbortController();
    void load();
    // every event, `reset` too, means no more than: read the day again
    api.merchant.watch({ signal: stop.signal, onEvent: soon, onState: soon }).catch((error) => {
      if ((error as LumisError).code === 'unauthorized') onLost();
    });
    const net = setInterval(load, NET_MS);
    addEventListener('online', soon);
    const turn = () => {
      if (document.visibilityState === 'visible') soon();
    };
    document.addEventListener('visibilitychange', turn);
    return () => {
      stop.abort();
      clearTimeout(timer);
      clearInterval(net);
      removeEventListener('online', soon);
      document.removeEventListener('visibilitychange', turn);
    };
  }, [load, onLost]);

  const more = async () => {
    if (!day?.next_cursor) return;
    const mine = run.current;
    const page = await api.merchant
      .day({ date: day.date, cursor: day.next_cursor })
      .catch(() => null);
    // a list that was read again meanwhile begins anew
    if (page && mine === run.current) setDay({ ...page, data: joined(day.data, page.data) });
  };
  return { day, is_stale: isStale, more: () => void more(), reload: () => void load() };
}

function readKept(): Day | undefined {
  const kept = store.read<Day>('day');
  return Array.isArray(kept?.data) ? kept : undefined;
}

function joined(first: CounterRedemption[], next: CounterRedemption[]): CounterRedemption[] {
  const known = new Set(first.map(({ redemption_id }) => redemption_id));
  return [...first, ...next.filter(({ redemption_id }) => !known.has(redemption_id))];
}
