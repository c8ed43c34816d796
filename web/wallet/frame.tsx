import type { ComponentChildren, RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import { useNow } from '../shared/clock.ts';
import { Icon, type IconName } from '../shared/icons.tsx';
import { Logo } from '../shared/logo.tsx';
import { useUpdate } from '../shared/pwa.ts';
import { Status } from '../shared/status.tsx';
import { useFormat } from './parts/format.ts';
import { useConnectionLost } from './state/connection.ts';
import { useBalance, usePending } from './state/queries.ts';
import { notify, store, useSession } from './state/session.ts';
import { useWords } from './words/index.ts';

const TABS = [
  { path: '/', word: 'home', icon: 'home' },
  { path: '/history', word: 'history', icon: 'history' },
  { path: '/ledger', word: 'ledger', icon: 'list' },
  { path: '/settings', word: 'settings', icon: 'settings' },
] as const satisfies { path: string; word: string; icon: IconName }[];

/** How much of the window's height the bar may take for good. */
const PINNED_SHARE = 0.16;

/** Which tab a page belongs to. */
function tabOf(path: string): string {
  if (path.startsWith('/offers')) return '/';
  if (path.startsWith('/redemptions')) return '/history';
  return path;
}

/** What is around every page of a signed-in member: mark, news, page, sections. */
export function Frame({ children }: { children: ComponentChildren }) {
  const words = useWords();
  const [path] = useLocation();
  const bar = useRef<HTMLElement>(null);
  usePinned(bar);
  return (
    <div class="app">
      <a class="skip-link" href="#main">
        {words.app.skip}
      </a>
      <header class="page top">
        {path.startsWith('/redemptions') ? (
          <Link href="/history" class="brand back">
            <Icon name="back" />
            <span>{words.app.history}</span>
          </Link>
        ) : (
          <Link href="/" class="brand">
            <Logo size={28} />
            <span>{words.app.name}</span>
          </Link>
        )}
      </header>
      <main id="main" class="page" tabIndex={-1}>
        <News />
        {children}
      </main>
      <nav ref={bar} class="sections" aria-label={words.app.sections}>
        <ul>
          {TABS.map(({ path: to, word, icon }) => (
            <li key={to}>
              <Link href={to} aria-current={tabOf(path) === to ? 'page' : undefined}>
                <Icon name={icon} class="section-icon" />
                <span>{words.app[word]}</span>
              </Link>
            </li>
          ))}
        </ul>
      </nav>
    </div>
  );
}

/**
 * Keeps the bar at the bottom of the window, and room for it at the end of the page, as long as it
 * takes no more than a small part: with large text it goes to the end of the page instead.
 */
function usePinned(bar: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const { current } = bar;
    if (!current) return;
    const page = document.documentElement;
    const fit = () => {
      const height = current.offsetHeight;
      const isPinned = height < innerHeight * PINNED_SHARE;
      current.toggleAttribute('data-pinned', isPinned);
      page.style.setProperty('--sections', isPinned ? `${height}px` : '0px');
    };
    const observer = new ResizeObserver(fit);
    observer.observe(current);
    addEventListener('resize', fit);
    fit();
    return () => {
      observer.disconnect();
      removeEventListener('resize', fit);
      page.style.removeProperty('--sections');
    };
  }, [bar]);
}

/** What concerns every page: no network, a new version, somebody else signed in. */
function News() {
  const words = useWords();
  const update = useUpdate();
  return (
    <div class="news">
      <Status>
        <OfflineBanner />
        <NoticeBanner />
      </Status>
      {!store.isPersistent && window.parent === window && (
        <p class="banner banner-attention small">{words.app.notKept}</p>
      )}
      {update.isReady && (
        <p class="banner small">
          {words.app.updateReady}
          <button type="button" class="button button-plain" onClick={update.apply}>
            {words.app.update}
          </button>
        </p>
      )}
    </div>
  );
}

function OfflineBanner() {
  const words = useWords();
  const isLost = useConnectionLost();
  const { data: balance } = useBalance();
  const { data: pending = [] } = usePending();
  const { isToday, time: timeOf, dateTime } = useFormat();
  const now = useNow(60_000);
  if (!isLost) return null;
  const at = balance?.as_of;
  let time: string | undefined;
  if (at) {
    time = isToday(at, now) ? words.app.ofTime(timeOf(at)) : words.app.ofDay(dateTime(at));
  }
  let text = words.app.offlinePlain;
  if (time && pending.some((one) => one.redemption_code)) text = words.app.offlineWithQr(time);
  else if (time) text = words.app.offlineBalance(time);
  return (
    <div class="banner small">
      <Icon name="offline" size={20} />
      <p>
        <strong>{words.app.offlineTitle}.</strong> {text}
      </p>
    </div>
  );
}

/** What became of a sign-in that came while somebody was here. */
function NoticeBanner() {
  const words = useWords();
  const { session, notice } = useSession();
  if (!session || !notice) return null;
  const name = session.name ?? words.notice.member(session.user_id);
  let text = words.notice.changed(name);
  if (notice === 'stayed-offline') text = words.notice.stayedOffline(name);
  else if (notice !== 'changed') text = words.notice.stayed(name);
  return (
    <div class={notice === 'changed' ? 'banner small' : 'banner banner-attention small'}>
      <p>{text}</p>
      <button
        type="button"
        class="button button-plain icon-button"
        aria-label={words.app.close}
        onClick={() => notify(undefined)}
      >
        <Icon name="cross" size={18} />
      </button>
    </div>
  );
}
