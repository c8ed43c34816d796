import { useSyncExternalStore } from 'react';
import { openStore } from '../../shared/store.ts';
import { type Claims, readToken } from './token.ts';

/** Everything of the signed-in member on this device is below this prefix, and goes with them. */
export const store = openStore('lumis.wallet.');
export const tabStore = openStore('lumis.wallet.', 'session');

export interface Session {
  /** undefined: the session has ended, but its member's things are kept for their return */
  token: string | undefined;
  user_id: string;
  name: string | undefined;
  expires_at: number | undefined;
  /** whether the server has accepted this token at least once */
  is_proven: boolean;
}

/** What is to be said about the last sign-in that came, if anything. */
export type Notice = 'expired' | 'invalid' | 'stayed' | 'stayed-offline' | 'changed';

interface State {
  session: Session | undefined;
  notice: Notice | undefined;
}

const RETURN_MS = 30 * 60 * 1000;
const listeners = new Set<() => void>();
const forgetters = new Set<() => void>();
let state: State = { session: store.read<Session>('session'), notice: undefined };

function change(next: Partial<State>): void {
  state = { ...state, ...next };
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// another tab signed in, out, or got a fresh token
addEventListener('storage', (event) => {
  if (event.key !== null && event.key !== 'lumis.wallet.session') return;
  const session = store.read<Session>('session');
  if (session?.user_id !== state.session?.user_id) forgetAll();
  change({ session });
});

/** The token to send, if somebody is signed in. */
export function currentToken(): string | undefined {
  return state.session?.token;
}

/** Who is signed in, or was until their session ended. In components `useSession`. */
export function currentSession(): Session | undefined {
  return state.session;
}

/** The session and what is to be said of it; the component is drawn again when they change. */
export function useSession(): State {
  return useSyncExternalStore(subscribe, () => state);
}

/** Runs when a member's things are to be forgotten: on signing out and when another one comes. */
export function onForget(forget: () => void): void {
  forgetters.add(forget);
}

function forgetAll(): void {
  for (const forget of forgetters) forget();
}

/** Signs in with a token that was found good, or that nobody could check yet. */
export function signIn(token: string, claims: Claims, name?: string): void {
  const before = state.session;
  const isOther = before !== undefined && before.user_id !== claims.user_id;
  if (isOther) forgetEverything();
  const session = {
    token,
    user_id: claims.user_id,
    name: claims.name ?? name ?? (isOther ? undefined : before?.name),
    expires_at: claims.expires_at,
    is_proven: false,
  };
  store.write('session', session);
  change({ session, notice: isOther ? 'changed' : undefined });
}

/** Notes that the server accepts this token. */
export function proveSession(token: string | undefined): void {
  const { session } = state;
  if (!session || session.is_proven || session.token !== token) return;
  state = { ...state, session: { ...session, is_proven: true } };
  store.write('session', state.session);
}

/** Ends what this token began: it is refused. What its member was doing stays for their return. */
export function endSession(token: string | undefined): void {
  const { session } = state;
  if (!session?.token || session.token !== token) return;
  const ended = { ...session, token: undefined };
  store.write('session', ended);
  store.write('return', { path: location.pathname + location.search, at: Date.now() });
  // one that was never good did not end: it came too late
  change({ session: ended, notice: session.is_proven ? undefined : 'expired' });
  // the host app may have another one
  dispatchEvent(new Event('lumis:session'));
}

/** Signs out: nothing of the member stays on this device. */
export function signOut(): void {
  forgetEverything();
  change({ session: undefined, notice: undefined });
}

function forgetEverything(): void {
  store.clear();
  tabStore.clear();
  forgetAll();
}

/** Says something about a sign-in that came, or nothing any more. */
export function notify(notice: Notice | undefined): void {
  change({ notice });
}

/** Where the member was when their session ended, once, while that is recent. */
export function takeReturnPath(): string | undefined {
  const kept = store.read<{ path: string; at: number }>('return');
  store.remove('return');
  const isRecent = kept && Math.abs(Date.now() - kept.at) < RETURN_MS;
  return isRecent && kept.path.startsWith('/wallet/') ? kept.path : undefined;
}

/** Of two tokens of one member, whether `next` is worth changing to. */
export function lastsLonger(next: Claims, session: Session): boolean {
  if (!session.token) return true;
  return (next.expires_at ?? Infinity) >= (session.expires_at ?? Infinity);
}

export { readToken };
