import { navigate } from 'wouter/use-browser-location';
import { checkToken, isRefused } from './client.ts';
import { isConnectionLost, onConnection } from './connection.ts';
import { fetchConfig } from './queries.ts';
import {
  currentSession,
  currentToken,
  lastsLonger,
  notify,
  readToken,
  signIn,
  takeReturnPath,
} from './session.ts';
import type { Claims } from './token.ts';

/**
 * Takes a token out of the URL's fragment, and out of the URL. A token in the query is never used:
 * it has been in logs. Undefined when there is none.
 */
export function takeFragment(): string | undefined {
  const { hash, pathname, search } = location;
  const fragment = new URLSearchParams(hash.slice(1));
  const token = fragment.get('token');
  const query = new URLSearchParams(search);
  if (token === null && !query.has('token')) return undefined;
  fragment.delete('token');
  query.delete('token');
  const rest = [query.toString(), fragment.toString()];
  const url = `${pathname}${rest[0] && `?${rest[0]}`}${rest[1] && `#${rest[1]}`}`;
  history.replaceState(history.state, '', url);
  return token ?? undefined;
}

/**
 * A token came from the host app. Nobody here: it is taken, and the server judges it on first use.
 * The same member: the one that lasts longer stays. Another member: it must be good first, then all
 * that is kept of the one before is cleared. `isLink`: it came with the address, which then is where
 * they want to go.
 */
export async function receive(token: unknown, isLink: boolean): Promise<void> {
  const claims = readToken(token);
  const session = currentSession();
  if (!claims || typeof token !== 'string') {
    notify('invalid');
    return;
  }
  if (!session || session.user_id === claims.user_id) {
    if (!session || lastsLonger(claims, session)) welcome(token, claims);
    return;
  }
  try {
    await checkToken(token);
  } catch (error) {
    if (session.token) notify(isRefused(error) ? 'stayed' : 'stayed-offline');
    else notify(isRefused(error) ? 'expired' : undefined);
    return;
  }
  signIn(token, claims);
  if (!isLink) go(START);
}

/** Signs in, and leads back to where this member was, or to the start for another one. */
export function welcome(token: string, claims: Claims, name?: string): void {
  const before = currentSession()?.user_id;
  signIn(token, claims, name);
  if (before !== undefined && before !== claims.user_id) go(START);
  else comeBack();
}

const START = '/wallet/';
const go = (path: string) => navigate(path, { replace: true });

/** Back to where the session ended, unless the link led somewhere of its own. */
function comeBack(): void {
  const path = takeReturnPath();
  if (path && location.pathname.replace(/\/$/, '') === '/wallet') go(path);
}

/**
 * Listens for tokens: in the fragment, and in messages of pages that may embed the wallet. They are
 * told when it is ready, and again when a session has ended.
 */
export function listenForTokens(): void {
  let origins: string[] = [];
  const hosts = [window.parent, window.opener as Window | null].filter(
    (host): host is Window => !!host && host !== window,
  );
  const takeHash = (event?: HashChangeEvent) => {
    const token = takeFragment();
    if (token !== undefined) void receive(token, event === undefined);
  };
  const takeMessage = ({ data, origin, source }: MessageEvent) => {
    if (!origins.includes(origin) || !hosts.includes(source as Window)) return;
    if (data?.type === 'lumis:token') void receive(data.token, false);
  };
  const sayReady = () => {
    // only a page of that very origin gets to read it
    for (const host of hosts) {
      for (const origin of origins) {
        host.postMessage({ type: 'lumis:ready', signed_in: !!currentToken() }, origin);
      }
    }
  };
  takeHash();
  addEventListener('hashchange', takeHash);
  addEventListener('message', takeMessage);
  addEventListener('lumis:session', sayReady);
  const meet = () => {
    if (isConnectionLost()) return;
    fetchConfig()
      .then((config) => {
        origins = config.embed_origins;
        sayReady();
      })
      .catch(() => undefined);
  };
  meet();
  onConnection(meet);
}
