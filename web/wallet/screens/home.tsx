import { Link } from 'wouter';
import { useNow } from '../../shared/clock.ts';
import { Icon } from '../../shared/icons.tsx';
import { Status } from '../../shared/status.tsx';
import { BalanceBlock } from '../parts/balance.tsx';
import { filterWords, useFacets } from '../parts/facets.ts';
import { Filters } from '../parts/filters.tsx';
import { isNever, useFormat } from '../parts/format.ts';
import { OfferCard } from '../parts/offer-card.tsx';
import { Empty, Failed, Loading, More } from '../parts/states.tsx';
import { Title } from '../parts/title.tsx';
import { countOf, type Filter } from '../state/filter.ts';
import { unansweredIntents } from '../state/intents.ts';
import { useBalance, useOffers, usePending } from '../state/queries.ts';
import { useSession } from '../state/session.ts';
import { useFilter } from '../state/use-filter.ts';
import type { CatalogueOffer, Redemption } from '../wire.ts';
import { useWords } from '../words/index.ts';

const TICK_MS = 15_000;

/** Balance, what waits to be used, and the offers. */
export function Home() {
  const words = useWords();
  const { session } = useSession();
  const name = session?.name?.split(/\s+/)[0];
  return (
    <div class="stack home">
      <div class="glow">
        <Title class="hello" name={words.app.title}>
          {name ? <bdi>{words.balance.hello(name)}</bdi> : words.app.title}
        </Title>
        <BalanceBlock />
      </div>
      <Below />
    </div>
  );
}

/** All at once, so that nothing is pushed down by what comes a moment later. */
function Below() {
  const { isPending, data } = usePending();
  const [filter] = useFilter();
  useOffers(filter); // asked for at the same time
  if (isPending && data.length === 0) return <Loading rows={4} />;
  return (
    <>
      <Active />
      <Offers />
    </>
  );
}

/** Codes that can be used now, soonest to end first, and wishes that were never answered. */
function Active() {
  const words = useWords();
  const now = useNow(TICK_MS);
  const { data: pending = [] } = usePending();
  const usable = pending
    .filter((one) => new Date(one.code_expires_at).getTime() > now)
    .sort((a, b) => a.code_expires_at.localeCompare(b.code_expires_at));
  const unsure = unansweredIntents().filter(
    ({ sent_at = 0 }) => Math.abs(Date.now() - sent_at) > TICK_MS,
  );
  if (usable.length === 0 && unsure.length === 0) return null;
  return (
    <section class="stack" aria-labelledby="active">
      <h2 id="active">{words.active.title}</h2>
      {unsure.map(({ offer_id, offer_name }) => (
        <p key={offer_id} class="banner banner-attention">
          <span dir="auto">{words.active.unsure(offer_name)}</span>
          <Link href={`/offers/${offer_id}`} class="button button-plain">
            {words.active.check}
          </Link>
        </p>
      ))}
      {usable.length > 0 && (
        <ul class="stack">
          {usable.map((one) => (
            <ActiveCard key={one.redemption_id} redemption={one} now={now} />
          ))}
        </ul>
      )}
    </section>
  );
}

function ActiveCard({ redemption, now }: { redemption: Redemption; now: number }) {
  const words = useWords();
  const { span } = useFormat();
  const { redemption_id, offer_name, merchant_name, code_expires_at } = redemption;
  const name = offer_name ?? words.offers.unnamed;
  const left = new Date(code_expires_at).getTime() - now;
  return (
    <li class="card active-card">
      <div>
        <h3 dir="auto">{name}</h3>
        <p class="small">
          <bdi>{merchant_name ?? words.offers.anywhere}</bdi>
        </p>
        <p class="small strong">
          {isNever(code_expires_at) ? words.active.noEnd : words.active.endsIn(span(left))}
        </p>
      </div>
      <Link
        href={`/redemptions/${redemption_id}`}
        class="button button-ink"
        aria-label={words.active.show(name)}
      >
        <Icon name="qr" size={20} />
        {words.active.showShort}
      </Link>
    </li>
  );
}

function Offers() {
  const words = useWords();
  const { number } = useFormat();
  const [filter, setFilter] = useFilter();
  const query = useOffers(filter);
  const offers = query.data?.pages.flatMap((page) => page.data);
  const count = offers?.length ?? 0;
  return (
    <section class="stack" aria-labelledby="offers">
      <h2 id="offers" class={offers && isGrouped(filter, offers) ? 'visually-hidden' : undefined}>
        {words.offers.title}
      </h2>
      <Filters filter={filter} onChange={setFilter} />
      <Status isHidden>
        {offers && (count === 1 ? words.offers.shownOne : words.offers.shown(number(count)))}
      </Status>
      {query.isPending && <Loading rows={4} />}
      {query.isError && !offers && (
        <Failed error={query.error} onRetry={() => void query.refetch()} />
      )}
      {offers && count === 0 && <NoOffers filter={filter} onClear={() => setFilter({})} />}
      {offers && count > 0 && <Groups filter={filter} offers={offers} />}
      <More query={query} />
    </section>
  );
}

const isWithin = ({ availability }: CatalogueOffer) => availability.can_redeem;
const isBeyond = ({ availability: { can_redeem, reasons } }: CatalogueOffer) =>
  !can_redeem && reasons.every((reason) => reason === 'insufficient_points');

/** Cheapest first, the list is parted: within reach, to earn more for, and not to be had now. */
function isGrouped(filter: Filter, offers: CatalogueOffer[]): boolean {
  return filter.sort === undefined && offers.length > 0;
}

function Groups({ filter, offers }: { filter: Filter; offers: CatalogueOffer[] }) {
  const words = useWords();
  if (!isGrouped(filter, offers)) return <Cards offers={offers} />;
  const within = offers.filter(isWithin);
  const beyond = offers.filter(isBeyond);
  const closed = offers.filter((offer) => !isWithin(offer) && !isBeyond(offer));
  return (
    <>
      {within.length > 0 && <h2>{words.offers.within}</h2>}
      {within.length > 0 && <Cards offers={within} />}
      {beyond.length > 0 && <h2>{words.offers.beyond}</h2>}
      {beyond.length > 0 && <Cards offers={beyond} />}
      {closed.length > 0 && <h2>{words.offers.closed}</h2>}
      {closed.length > 0 && <Cards offers={closed} />}
    </>
  );
}

function Cards({ offers }: { offers: CatalogueOffer[] }) {
  const now = useNow(60_000);
  const { data: balance } = useBalance();
  return (
    <ul class="stack offers">
      {offers.map((offer) => (
        <OfferCard key={offer.offer_id} offer={offer} balance={balance?.balance ?? 0} now={now} />
      ))}
    </ul>
  );
}

function NoOffers({ filter, onClear }: { filter: Filter; onClear(): void }) {
  const words = useWords();
  const { number } = useFormat();
  const facets = useFacets(true);
  if (countOf(filter) === 0) {
    return (
      <Empty icon="gift" title={words.offers.none}>
        {words.offers.noneBody}
      </Empty>
    );
  }
  const names = filterWords(filter, words, facets, number).map(({ label }) => label);
  return (
    <Empty
      icon="search"
      title={words.offers.noneFiltered(names.join(' · '))}
      action={
        <button type="button" class="button button-quiet" onClick={onClear}>
          {words.filters.clear}
        </button>
      }
    >
      {words.offers.noneFilteredBody}
    </Empty>
  );
}
