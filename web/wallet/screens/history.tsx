import { Link, useSearch } from 'wouter';
import { useNow } from '../../shared/clock.ts';
import { isNever, useFormat } from '../parts/format.ts';
import { Empty, Failed, Loading, More } from '../parts/states.tsx';
import { Title } from '../parts/title.tsx';
import { keptRedemptions } from '../state/kept.ts';
import { useRedemptions } from '../state/queries.ts';
import { useSession } from '../state/session.ts';
import type { Redemption } from '../wire.ts';
import { useWords } from '../words/all.ts';
import { fateOf } from './redemption-ended.tsx';

const TABS = ['active', 'used', 'over'] as const;
type Tab = (typeof TABS)[number];

/** All that was ever redeemed, in three lists. */
export function History() {
  const words = useWords();
  const search = useSearch();
  const tab = TABS.find((one) => one === new URLSearchParams(search).get('tab')) ?? 'active';
  return (
    <div class="stack">
      <Title>{words.history.title}</Title>
      <nav class="tabs history-tabs" aria-label={words.history.tabs}>
        {TABS.map((one) => (
          <Link
            key={one}
            href={one === 'active' ? '/history' : `/history?tab=${one}`}
            replace
            aria-current={one === tab ? 'page' : undefined}
          >
            {words.history[one]}
          </Link>
        ))}
      </nav>
      {tab === 'over' ? <Over /> : <OneStatus key={tab} tab={tab} />}
    </div>
  );
}

function OneStatus({ tab }: { tab: 'active' | 'used' }) {
  const query = useRedemptions(tab === 'active' ? 'pending' : 'confirmed');
  const member = useSession().session?.user_id ?? '';
  // codes that can be used are there without a network too
  const kept = tab === 'active' ? keptRedemptions(member) : [];
  const rows = query.data?.pages.flatMap((page) => page.data) ?? (kept.length ? kept : undefined);
  return <Rows tab={tab} rows={rows} query={query} />;
}

/** Two lists in one: what is shown goes no further back than both have been read. */
function Over() {
  const expired = useRedemptions('expired');
  const cancelled = useRedemptions('cancelled');
  const both = [expired, cancelled];
  const lists = both.map((query) => query.data?.pages.flatMap((page) => page.data));
  const horizon = both
    .map((query, index) => (query.hasNextPage ? (lists[index]?.at(-1)?.created_at ?? '') : ''))
    .reduce((later, one) => (one > later ? one : later), '');
  const isRead = lists.every((list) => list !== undefined);
  const rows = lists
    .flatMap((list) => list ?? [])
    .filter((one) => one.created_at >= horizon)
    .sort((a, b) => b.created_at.localeCompare(a.created_at));
  const query = {
    hasNextPage: both.some((one) => one.hasNextPage),
    isFetchingNextPage: both.some((one) => one.isFetchingNextPage),
    error: expired.error ?? cancelled.error,
    fetchNextPage: () => {
      for (const [index, one] of both.entries()) {
        const isAtHorizon = lists[index]?.at(-1)?.created_at === horizon;
        if (one.hasNextPage && isAtHorizon) void one.fetchNextPage();
      }
    },
    refetch: () => both.forEach((one) => void one.refetch()),
  };
  return <Rows tab="over" rows={isRead ? rows : undefined} query={query} />;
}

function Rows({
  tab,
  rows,
  query,
}: {
  tab: Tab;
  rows: Redemption[] | undefined;
  query: {
    error: unknown;
    hasNextPage: boolean;
    isFetchingNextPage: boolean;
    fetchNextPage(): unknown;
    refetch(): unknown;
  };
}) {
  const words = useWords();
  const { history } = words;
  if (!rows) {
    return query.error ? (
      <Failed error={query.error} onRetry={() => query.refetch()} />
    ) : (
      <Loading rows={4} />
    );
  }
  if (rows.length === 0) {
    const texts = {
      active: [history.noneActive, history.noneActiveBody],
      used: [history.noneUsed, history.noneUsedBody],
      over: [history.noneOver, history.noneOverBody],
    }[tab];
    return (
      <Empty
        icon={tab === 'active' ? 'qr' : 'history'}
        title={texts[0] as string}
        action={
          <Link href="/" class="button button-quiet">
            {history.seeOffers}
          </Link>
        }
      >
        {texts[1]}
      </Empty>
    );
  }
  return (
    <>
      <ul class="rows">
        {rows.map((row) => (
          <Row key={row.redemption_id} redemption={row} />
        ))}
      </ul>
      <More query={query} />
    </>
  );
}

const TONES = {
  pending: 'chip chip-attention',
  confirmed: 'chip chip-deliver',
  cancelled: 'chip',
  reversed: 'chip',
  expired: 'chip chip-stop',
  legacy: 'chip',
};

function Row({ redemption }: { redemption: Redemption }) {
  const words = useWords();
  const { points, dateTime, span } = useFormat();
  const now = useNow(60_000);
  const { offer_name, merchant_name, lumis_spent, code_expires_at, on_expiry } = redemption;
  const isOver = new Date(code_expires_at).getTime() <= now;
  const said = fateOf(redemption);
  // its end has come, though nobody has booked it yet
  const fate = said === 'pending' && isOver ? 'expired' : said;
  let when = whenOf(redemption, dateTime) ?? words.history.noDate;
  if (fate === 'pending') {
    when = isNever(code_expires_at)
      ? words.active.noEnd
      : words.active.endsIn(span(new Date(code_expires_at).getTime() - now));
  }
  const isBack = fate === 'cancelled' || fate === 'reversed' || fate === 'expired';
  const isForfeit = fate === 'expired' && on_expiry === 'forfeit';
  return (
    <li class="history-row">
      <div class="row row-apart">
        <Link href={`/redemptions/${redemption.redemption_id}`} class="row-link" dir="auto">
          {offer_name ?? (fate === 'legacy' ? words.history.unnamed : words.offers.unnamed)}
        </Link>
        <span class="strong number">{points(lumis_spent)}</span>
      </div>
      <p class="muted small">
        {merchant_name && <bdi>{merchant_name}</bdi>}
        {merchant_name && ' · '}
        {when}
      </p>
      <p class="row small">
        <span class={TONES[fate]}>{words.history.status[fate]}</span>
        {isBack && said !== 'pending' && (
          <span class="muted">
            {isForfeit ? words.history.notReturned : words.history.returned(points(lumis_spent))}
          </span>
        )}
      </p>
    </li>
  );
}

/** When it ended, or was bought; a purchase taken over may not know. */
function whenOf(
  { validated_at, closed_at, created_at, source }: Redemption,
  moment: (at: string) => string,
): string | undefined {
  const at = closed_at ?? validated_at ?? (source === 'legacy' ? undefined : created_at);
  return at && moment(at);
}
