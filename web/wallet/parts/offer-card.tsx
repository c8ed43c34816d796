import { useState } from 'react';
import { Link } from 'wouter';
import { writeFilter } from '../state/filter.ts';
import { useFilter } from '../state/use-filter.ts';
import type { CatalogueOffer } from '../wire.ts';
import { useWords, type Words } from '../words/index.ts';
import { CategoryIcon } from './category.tsx';
import { useFormat } from './format.ts';

/** Stands in the history with a sheet that was opened from the list, which is one step back. */
export const FROM_LIST = 'list';

const STOCK_LOW = 5;
const SOON_MS = 48 * 60 * 60 * 1000;

/** Why an offer cannot be redeemed now, in words; undefined when it can. */
export function reasonOf(
  { availability }: CatalogueOffer,
  words: Words,
  points: (n: number) => string,
): string | undefined {
  if (availability.can_redeem) return undefined;
  const { reasons, missing_lumis } = availability;
  if (reasons.includes('out_of_stock')) return words.offers.soldOut;
  if (reasons.includes('limit_member')) return words.offers.limit;
  const onlyShort = reasons.every((reason) => reason === 'insufficient_points');
  return onlyShort ? words.offers.missing(points(missing_lumis)) : words.offers.notNow;
}

/** An offer in the list: what it is, where, what it costs, and whether it is within reach. */
export function OfferCard({
  offer,
  balance,
  now,
}: {
  offer: CatalogueOffer;
  balance: number;
  now: number;
}) {
  const words = useWords();
  const { points, number } = useFormat();
  const [filter] = useFilter();
  const name = offer.name_friendly || words.offers.unnamed;
  const reason = reasonOf(offer, words, points);
  const { can_redeem, missing_lumis } = offer.availability;
  const isShort = !can_redeem && missing_lumis > 0 && !isSoldOut(offer);
  const low = offer.stock_quantity;
  return (
    <li class="card offer" data-off={can_redeem ? undefined : ''}>
      <OfferPicture offer={offer} />
      <div class="offer-text">
        <h3 dir="auto">{name}</h3>
        <p class="muted small offer-where">
          <OfferWhere offer={offer} now={now} />
        </p>
      </div>
      {low !== null && low > 0 && low <= STOCK_LOW && (
        <span class="chip chip-attention offer-chip">
          {low === 1 ? words.offers.leftOne : words.offers.left(number(low))}
        </span>
      )}
      <div class="offer-foot">
        <p class="offer-cost">
          <span class="strong number">{points(offer.lumis_cost)}</span>
          {reason && <span class="small offer-reason">{reason}</span>}
        </p>
        <Link
          href={`/offers/${offer.offer_id}${writeFilter(filter)}`}
          state={FROM_LIST}
          class={can_redeem ? 'button button-primary' : 'button button-quiet'}
          aria-label={can_redeem ? words.offers.redeemNamed(name) : words.offers.viewNamed(name)}
        >
          {can_redeem ? words.offers.redeem : words.offers.view}
        </Link>
      </div>
      {isShort && (
        <progress
          class="reach"
          aria-hidden="true"
          max={offer.lumis_cost}
          value={Math.max(0, balance)}
        />
      )}
    </li>
  );
}

function isSoldOut({ availability }: CatalogueOffer): boolean {
  return availability.reasons.includes('out_of_stock');
}

/** "Café Test · hasta 22 dic", or how long it still is when that is soon. */
export function OfferWhere({ offer, now }: { offer: CatalogueOffer; now: number }) {
  const words = useWords();
  const { dayShort, span } = useFormat();
  const left = offer.valid_to ? new Date(offer.valid_to).getTime() - now : undefined;
  let end: string | undefined;
  if (left !== undefined && left > 0) {
    end =
      left < SOON_MS
        ? words.offers.endsIn(span(left))
        : words.offers.until(dayShort(offer.valid_to as string, now));
  }
  return (
    <>
      <bdi>{offer.merchant_name ?? words.offers.anywhere}</bdi>
      {end && ' · '}
      {end && <span class={left !== undefined && left < SOON_MS ? 'soon' : undefined}>{end}</span>}
    </>
  );
}

/** The offer's picture; a sign on warm ground where there is none or it does not load. */
export function OfferPicture({ offer }: { offer: CatalogueOffer }) {
  const [broken, setBroken] = useState<string>();
  const { image_url } = offer;
  if (image_url && broken !== image_url) {
    return (
      <img
        class="offer-picture"
        src={image_url}
        alt=""
        width={56}
        height={56}
        loading="lazy"
        decoding="async"
        referrerpolicy="no-referrer"
        onError={() => setBroken(image_url)}
      />
    );
  }
  return (
    <span class="offer-picture" aria-hidden="true">
      <CategoryIcon category={offer.offer_category} size={28} />
    </span>
  );
}
