import { useEffect, useRef } from 'react';
import type { RedemptionEvent } from '../../../sdk/index.ts';
import type { Redemption } from '../wire.ts';
import { client, isRefused } from './client.ts';
import { queryClient, refreshAll, showRedemption } from './queries.ts';
import { currentSession, currentToken, endSession } from './session.ts';

/** A normal reconnect is over before anybody should be told. */
const PATIENCE_MS = 4000;

/** Nothing goes back: pending, then confirmed, then perhaps taken back. */
const RANK = { pending: 0, confirmed: 1, expired: 2, cancelled: 2 };

/**
 * Follows a redemption while it waits: what happens to it is shown at once. `setLive` is told false
 * after the stream has been away for a while, and true when it is back.
 */
export function useLive(
  redemption_id: string,
  isWanted: boolean,
  setLive: (isLive: boolean) => void,
): void {
  const lastId = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (!isWanted) return;
    let stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = () => {
      stop = new AbortController();
      const token = currentToken();
      const { signal } = stop;
      client.rewards
        .watch(redemption_id, {
          lastEventId: lastId.current,
          signal,
          onEvent: ({ id, data }) => {
            lastId.current = id;
            take(data);
          },
          onState: (state) => {
            clearTimeout(timer);
            if (state === 'open') setLive(true);
            else timer = setTimeout(() => setLive(false), PATIENCE_MS);
          },
        })
        .catch((error) => {
          if (signal.aborted) return;
          setLive(false);
          if (isRefused(error)) endSession(token);
        });
    };
    // a phone that slept may hold a connection that is long dead
    const wake = () => {
      if (document.visibilityState !== 'visible') return;
      stop.abort();
      listen();
    };
    listen();
    document.addEventListener('visibilitychange', wake);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  }, [redemption_id, isWanted, setLive]);
}

/** Shows what an event says before the server is asked for the rest. */
function take(event: RedemptionEvent): void {
  const member = currentSession()?.user_id;
  const key = [member, 'redemption', event.redemption_id];
  const known = queryClient.getQueryData<Redemption>(key);
  if (!known) {
    refreshAll();
    return;
  }
  // the events so far come first, and say what is known, or what was before it
  if (RANK[event.redemption_status] <= RANK[known.redemption_status]) return;
  const { redemption_code, qr_image_url, qr_landing_url, ...rest } = known;
  const isConfirmed = event.redemption_status === 'confirmed';
  showRedemption({
    ...rest,
    redemption_status: event.redemption_status,
    merchant_name: event.merchant_name ?? known.merchant_name,
    validated_at: isConfirmed ? event.at : known.validated_at,
    closed_at: isConfirmed ? known.closed_at : event.at,
    cancellation_reason: event.reason ?? known.cancellation_reason,
  });
  refreshAll();
}
