import { QueryClientProvider } from '@tanstack/react-query';
import { useEffect, useLayoutEffect, useRef } from 'react';
import { Link, Router, useLocation } from 'wouter';
import { Boundary } from '../shared/boundary.tsx';
import { Frame } from './frame.tsx';
import { Later, loadScreens } from './parts/later.tsx';
import { Empty } from './parts/states.tsx';
import { Title } from './parts/title.tsx';
import { Home } from './screens/home.tsx';
import { keptRedemption } from './state/kept.ts';
import { queryClient, useReconnect } from './state/queries.ts';
import { type Session, useSession } from './state/session.ts';
import { useWords, words } from './words/index.ts';

/** By then the first page has what it needs, also on a slow line. */
const AFTER_FIRST_MS = 2000;
const UUID = '([0-9a-fA-F-]{36})';
const OFFER = new RegExp(`^/offers/${UUID}/?$`);
const REDEMPTION = new RegExp(`^/redemptions/${UUID}/?$`);

/** The wallet, below /wallet/. */
export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <Router base="/wallet">
        <Boundary fallback={<p class="page">{words().app.failedServer}</p>}>
          <Wallet />
        </Boundary>
      </Router>
    </QueryClientProvider>
  );
}

function Wallet() {
  const { session, notice } = useSession();
  const [path] = useLocation();
  useReconnect();
  useEffect(() => {
    // whoever is about to redeem should not wait for it, nor be offline without it
    const timer = setTimeout(() => loadScreens().catch(() => undefined), AFTER_FIRST_MS);
    return () => clearTimeout(timer);
  }, []);
  useRouteFocus(path);
  const isOutside = !session || (!session.token && !showsKeptCode(session, path));
  useLayoutEffect(() => {
    if (isOutside) scrollTo(0, 0); // another page at the same address
  }, [isOutside]);
  if (isOutside) {
    return <Later>{({ SignIn }) => <SignIn key={notice} />}</Later>;
  }
  return (
    // another member begins with nothing of what was open before
    <Frame key={session.user_id}>
      <Page path={path} />
    </Frame>
  );
}

/** A code that is kept here can be shown at the counter although the session has ended. */
function showsKeptCode({ user_id }: Session, path: string): boolean {
  const [, redemption_id] = REDEMPTION.exec(path) ?? [];
  return redemption_id !== undefined && keptRedemption(user_id, redemption_id) !== undefined;
}

function Page({ path }: { path: string }) {
  const [, offer_id] = OFFER.exec(path) ?? [];
  const [, redemption_id] = REDEMPTION.exec(path) ?? [];
  if (path === '/' || path === '' || offer_id) {
    // one page with or without the sheet: the list stays where it is
    return (
      <>
        <Home />
        {offer_id && <Later>{({ RedeemSheet }) => <RedeemSheet offer_id={offer_id} />}</Later>}
      </>
    );
  }
  if (redemption_id) {
    return (
      <Later>
        {({ RedemptionScreen }) => (
          <RedemptionScreen key={redemption_id} redemption_id={redemption_id} />
        )}
      </Later>
    );
  }
  if (path === '/history') return <Later>{({ History }) => <History />}</Later>;
  if (path === '/ledger') return <Later>{({ Ledger }) => <Ledger />}</Later>;
  if (path === '/settings') return <Later>{({ Settings }) => <Settings />}</Later>;
  return <NotFound />;
}

function NotFound() {
  const words = useWords();
  return (
    <>
      <Title>{words.app.notFoundTitle}</Title>
      <Empty
        icon="search"
        title={words.app.notFoundBody}
        action={
          <Link href="/" class="button button-quiet">
            {words.app.goHome}
          </Link>
        }
      />
    </>
  );
}

/** A new page begins at its top, and its title has the focus; a way back stays where it was. */
function useRouteFocus(path: string): void {
  const place = OFFER.test(path) ? '/' : path;
  const before = useRef(place);
  const backTo = useRef<string>(undefined);
  useEffect(() => {
    const note = () => {
      backTo.current = location.pathname;
    };
    addEventListener('popstate', note);
    return () => removeEventListener('popstate', note);
  }, []);
  useEffect(() => {
    const isBack = backTo.current === location.pathname;
    backTo.current = undefined;
    if (before.current === place) return;
    before.current = place;
    if (!isBack) scrollTo(0, 0);
    document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
  }, [path, place]);
}
