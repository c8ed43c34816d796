import { type InfiniteData, QueryClient, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { serverNow } from '../../shared/clock.ts';
import type { Balance, CatalogueOffer, Redemption, SiteConfig } from '../wire.ts';
import { asMember, client, heard } from './client.ts';
import { isConnectionLost, onConnection } from './connection.ts';
import { type Filter, queryOf } from './filter.ts';
import {
  keepBalance,
  keepRedemption,
  keepRedemptions,
  keptBalance,
  keptRedemption,
  keptRedemptions,
} from './kept.ts';
import { currentSession, onForget, store, useSession } from './session.ts';

const FRESH_MS = 15_000;
const OFFERS_A_PAGE = 24;
const ROWS_A_PAGE = 30;
const PENDING_MAX = 100;
/** How often to knock while the server does not answer. */
const KNOCK_MS = 5000;
/** How often a waiting redemption is asked for when its events are not heard. */
const POLL_MS = 3000;
/** How often one whose end has come, and has not been booked yet. */
const BOOKING_MS = 10_000;

/** The sdk repeats what may be repeated, and the browser's idea of "online" is only a guess. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: false, networkMode: 'always', staleTime: FRESH_MS, throwOnError: false },
  },
});
onForget(() => queryClient.clear());

/** The member whose data is shown: part of every key, so that nobody ever sees another's. */
function useMember(): string {
  return useSession().session?.user_id ?? '';
}

/** Whether there is a token to ask with; without one, what is kept can still be shown. */
export function useSignedIn(): boolean {
  return useSession().session?.token !== undefined;
}

/** What this installation is; asked once. */
export const fetchConfig = () =>
  queryClient.fetchQuery({ queryKey: ['config'], queryFn: readConfig, staleTime: Infinity });

async function readConfig(): Promise<SiteConfig> {
  const config = await heard(() => client.config());
  store.write('config', config);
  return config;
}

/** What this installation is; what was known last, while it cannot be asked. */
export function useConfig(): SiteConfig | undefined {
  const { data } = useQuery({ queryKey: ['config'], queryFn: readConfig, staleTime: Infinity });
  return data ?? store.read<SiteConfig>('config');
}

/** The balance; what is kept of it while the server is asked or cannot be. */
export function useBalance() {
  const member = useMember();
  const query = useQuery({
    queryKey: [member, 'balance'],
    queryFn: async () => {
      const balance = await asMember(() => client.rewards.balance());
      if (currentSession()?.user_id === member) keepBalance(member, balance);
      return balance;
    },
    enabled: useSignedIn(),
  });
  return { ...query, data: query.data ?? keptBalance(member) };
}

/** Redemptions that wait to be used, newest first. */
export function usePending() {
  const member = useMember();
  const query = useQuery({
    queryKey: [member, 'pending'],
    queryFn: async () => {
      const query = { status: 'pending' as const, limit: PENDING_MAX };
      const { data } = await asMember(() => client.rewards.redemptions(query));
      if (currentSession()?.user_id === member) keepRedemptions(member, data);
      return data;
    },
    enabled: useSignedIn(),
  });
  return { ...query, data: query.data ?? keptRedemptions(member) };
}

/** The catalogue as far as a filter lets it through, page by page. */
export function useOffers(filter: Filter) {
  const member = useMember();
  return useInfiniteQuery({
    queryKey: [member, 'offers', filter],
    queryFn: ({ pageParam }) => {
      const query = { ...queryOf(filter), limit: OFFERS_A_PAGE, cursor: pageParam };
      return asMember(() => client.rewards.offers(query));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    enabled: useSignedIn(),
  });
}

/** One offer; from the list while the server is asked. */
export function useOffer(offer_id: string | undefined) {
  const member = useMember();
  const query = useQuery({
    queryKey: [member, 'offer', offer_id],
    queryFn: () => asMember(() => client.rewards.offer(offer_id ?? '')),
    enabled: useSignedIn() && offer_id !== undefined,
    staleTime: 0,
  });
  return { ...query, data: query.data ?? listedOffer(member, offer_id) };
}

function listedOffer(member: string, offer_id: string | undefined): CatalogueOffer | undefined {
  return queryClient
    .getQueriesData<InfiniteData<{ data: CatalogueOffer[] }>>({ queryKey: [member, 'offers'] })
    .flatMap(([, list]) => list?.pages.flatMap((page) => page.data) ?? [])
    .find((offer) => offer.offer_id === offer_id);
}

/**
 * One redemption; what is kept of it while the server is asked or cannot be. While it waits it is
 * asked for now and then, unless its events are heard (`isLive`).
 */
export function useRedemption(redemption_id: string, isLive: boolean) {
  const member = useMember();
  const query = useQuery({
    queryKey: [member, 'redemption', redemption_id],
    queryFn: async () => {
      const redemption = await asMember(() => client.rewards.redemption(redemption_id));
      if (currentSession()?.user_id === member) keepRedemption(member, redemption);
      return redemption;
    },
    enabled: useSignedIn(),
    staleTime: 0,
    refetchInterval: ({ state }) => pollMs(state.data, isLive),
  });
  return { ...query, data: query.data ?? keptRedemption(member, redemption_id) };
}

/** Also once its end has come, until somebody has booked that. */
function pollMs(redemption: Redemption | undefined, isLive: boolean): number | false {
  if (redemption?.redemption_status !== 'pending') return false;
  if (new Date(redemption.code_expires_at).getTime() <= serverNow()) return BOOKING_MS;
  return isLive ? false : POLL_MS;
}

/** What became of a redemption, step by step. */
export function useTimeline(redemption_id: string, isWanted: boolean) {
  const member = useMember();
  return useQuery({
    queryKey: [member, 'timeline', redemption_id],
    queryFn: () => asMember(() => client.rewards.timeline(redemption_id)),
    enabled: useSignedIn() && isWanted,
    staleTime: 0,
  });
}

/** A member's redemptions in one state (all of them without), page by page. */
export function useRedemptions(status: Redemption['redemption_status'] | undefined, isOn = true) {
  const member = useMember();
  return useInfiniteQuery({
    queryKey: [member, 'redemptions', status ?? 'all'],
    queryFn: ({ pageParam }) => {
      const query = { ...(status && { status }), limit: ROWS_A_PAGE, cursor: pageParam };
      return asMember(() => client.rewards.redemptions(query));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    enabled: useSignedIn() && isOn,
  });
}

/** Every entry of the member's ledger, newest first, page by page. */
export function useLedger() {
  const member = useMember();
  return useInfiniteQuery({
    queryKey: [member, 'ledger'],
    queryFn: ({ pageParam }) =>
      asMember(() => client.rewards.ledger({ limit: ROWS_A_PAGE, cursor: pageParam })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    enabled: useSignedIn(),
  });
}

/** Puts what an answer said of the balance on the screen at once; the server is asked as well. */
export function showBalance(balance: number, heldChange: number): void {
  const member = currentSession()?.user_id;
  if (!member) return;
  queryClient.setQueryData<Balance>([member, 'balance'], (known) =>
    known ? { ...known, balance, held: Math.max(0, known.held + heldChange) } : known,
  );
}

/** Shows and keeps what is known of a redemption now. */
export function showRedemption(redemption: Redemption): void {
  const member = currentSession()?.user_id;
  if (!member) return;
  keepRedemption(member, redemption);
  queryClient.setQueryData([member, 'redemption', redemption.redemption_id], redemption);
}

/** Something moved: all that hangs on it is out of date. `except` was just told by the server. */
export function refreshAll(except: string[] = []): void {
  void queryClient.invalidateQueries({
    predicate: ({ queryKey }) =>
      queryKey[0] === currentSession()?.user_id && !except.includes(String(queryKey[1])),
  });
}

/** While the server does not answer: knocks now and then, and brings everything up to date. */
export function useReconnect(): void {
  useEffect(() => {
    let timer: ReturnType<typeof setInterval> | undefined;
    const knock = () => {
      if (document.visibilityState === 'hidden') return;
      heard(() => client.config()).catch(() => undefined);
    };
    const follow = () => {
      clearInterval(timer);
      if (isConnectionLost()) timer = setInterval(knock, KNOCK_MS);
      else void queryClient.invalidateQueries();
    };
    if (isConnectionLost()) follow();
    const stop = onConnection(follow);
    addEventListener('online', knock);
    return () => {
      stop();
      clearInterval(timer);
      removeEventListener('online', knock);
    };
  }, []);
}
