import { useCallback } from 'react';
import { useLocation } from 'wouter';
import { serverNow, useNow } from '../../shared/clock.ts';
import { Sheet } from '../../shared/dialog.tsx';
import { Icon, type IconName } from '../../shared/icons.tsx';
import { Status } from '../../shared/status.tsx';
import { useFormat } from '../parts/format.ts';
import { FROM_LIST, OfferPicture, OfferWhere, reasonOf } from '../parts/offer-card.tsx';
import { Failed, Loading } from '../parts/states.tsx';
import { useConnectionLost } from '../state/connection.ts';
import { writeFilter } from '../state/filter.ts';
import { useBalance, useConfig, useOffer } from '../state/queries.ts';
import { type Redeeming, useRedeem } from '../state/redeem.ts';
import { useFilter } from '../state/use-filter.ts';
import type { CatalogueOffer, Redemption } from '../wire.ts';
import { useWords, type Words } from '../words/all.ts';

/** The sheet of one offer: what it costs, what remains, the rules, and one button. */
export function RedeemSheet({ offer_id }: { offer_id: string }) {
  const words = useWords();
  const [, navigate] = useLocation();
  const [filter] = useFilter();
  const { data: offer, error, refetch } = useOffer(offer_id);
  const close = useCallback(() => {
    // so that the way back from the list does not lead into the sheet again
    if (history.state === FROM_LIST) history.back();
    else navigate(`/${writeFilter(filter)}`, { replace: true });
  }, [navigate, filter]);
  const show = useCallback(
    // in place of the sheet: going back leads to the list, not to an offer that is redeemed
    ({ redemption_id }: Redemption) => navigate(`/redemptions/${redemption_id}`, { replace: true }),
    [navigate],
  );
  if (offer) return <OfferSheet key={offer_id} offer={offer} onClose={close} onDone={show} />;
  return (
    <Sheet isOpen title={words.offers.title} onClose={close} actions={<Close onClose={close} />}>
      {error ? <Failed error={error} onRetry={() => void refetch()} /> : <Loading rows={2} />}
    </Sheet>
  );
}

function Close({ onClose }: { onClose(): void }) {
  const words = useWords();
  return (
    <button type="button" class="button button-quiet" onClick={onClose}>
      {words.app.close}
    </button>
  );
}

function OfferSheet({
  offer,
  onClose,
  onDone,
}: {
  offer: CatalogueOffer;
  onClose(): void;
  onDone(redemption: Redemption): void;
}) {
  const words = useWords();
  const { points } = useFormat();
  const { state, send, again } = useRedeem(offer, onDone);
  const isLost = useConnectionLost();
  const now = useNow(state.step === 'limited' ? 1000 : 30_000);
  const reason = reasonOf(offer, words, points);
  const isOpenForNow = state.step === 'ready' && !isLost && !reason;
  const isUnsure = state.step === 'unsure';
  const canTryAgain = state.step === 'limited' && state.until <= now;
  return (
    <Sheet
      isOpen
      title={offer.name_friendly || words.offers.unnamed}
      onClose={onClose}
      actions={
        <>
          {isUnsure ? (
            <button
              type="button"
              class="button button-primary"
              aria-disabled={state.isLooking}
              aria-busy={state.isLooking}
              onClick={() => void send()}
            >
              {state.isLooking ? words.redeem.checking : words.redeem.check}
            </button>
          ) : (
            <button
              type="button"
              class="button button-primary"
              aria-disabled={!isOpenForNow && !canTryAgain}
              aria-busy={state.step === 'sending'}
              onClick={() => {
                if (canTryAgain) again();
                if (isOpenForNow || canTryAgain) void send();
              }}
            >
              {state.step === 'sending' ? (
                <>
                  <span class="spinner" aria-hidden="true" /> {words.redeem.busy}
                </>
              ) : (
                words.redeem.button(points(offer.lumis_cost))
              )}
            </button>
          )}
          <Close onClose={onClose} />
        </>
      }
    >
      <Facts offer={offer} />
      <Status class="redeem-status">
        <News state={state} offer={offer} now={now} reason={reason} isLost={isLost} />
      </Status>
    </Sheet>
  );
}

function Facts({ offer }: { offer: CatalogueOffer }) {
  const words = useWords();
  const { points, span, number } = useFormat();
  const { data: balance } = useBalance();
  const config = useConfig();
  const minutes = offer.code_ttl_minutes ?? config?.redemption_ttl_minutes;
  const spendable = balance && Math.floor(balance.balance);
  const cost = offer.lumis_cost;
  // what follows a redeem is said only of what could be redeemed, with points enough
  const isOpen = offer.availability.reasons.every((reason) => reason === 'insufficient_points');
  const rules: [IconName, string | undefined][] = [
    ['clock', minutes ? words.redeem.within(span(minutes * 60_000)) : words.redeem.withinUnknown],
    ['history', offer.on_expiry === 'refund' ? words.redeem.refund(points(cost)) : undefined],
    ['diamond', offer.on_expiry === 'forfeit' ? words.redeem.forfeit : undefined],
    ['cross', words.redeem.cancel(points(cost))],
    [
      'gift',
      offer.max_redemptions_per_user
        ? words.redeem.limit(number(offer.max_redemptions_per_user))
        : undefined,
    ],
  ];
  return (
    <>
      <div class="sheet-offer">
        <OfferPicture offer={offer} />
        <div>
          <p class="muted">
            <OfferWhere offer={offer} now={serverNow()} />
          </p>
          {offer.description && <p dir="auto">{offer.description}</p>}
        </div>
      </div>
      <dl class="sums">
        <div>
          <dt>{words.redeem.cost}</dt>
          <dd class="strong number">{points(cost)}</dd>
        </div>
        {isOpen && spendable !== undefined && spendable >= cost && (
          <div>
            <dt>{words.redeem.after}</dt>
            <dd class="number">{points(spendable - cost)}</dd>
          </div>
        )}
        {spendable !== undefined && spendable < cost && (
          <div>
            <dt>{words.redeem.now}</dt>
            <dd class="number">{points(balance?.balance ?? 0)}</dd>
          </div>
        )}
      </dl>
      <ul class="rules small" aria-label={words.redeem.rules}>
        {(isOpen ? rules : []).map(
          ([icon, text]) =>
            text && (
              <li key={icon}>
                <Icon name={icon} size={20} />
                <span>{text}</span>
              </li>
            ),
        )}
      </ul>
      {offer.terms && (
        <details class="terms small">
          <summary>{words.redeem.terms}</summary>
          <p dir="auto">{offer.terms}</p>
        </details>
      )}
    </>
  );
}

/** What is in the way, or what became of the try. */
function News({
  state,
  offer,
  now,
  reason,
  isLost,
}: {
  state: Redeeming;
  offer: CatalogueOffer;
  now: number;
  reason: string | undefined;
  isLost: boolean;
}) {
  const words = useWords();
  const { points, span } = useFormat();
  const { redeem } = words;
  if (state.step === 'unsure') {
    let text = redeem.unsureBody;
    if (state.isOld) text = redeem.unsureAsk;
    else if (isLost) text = redeem.unsureOffline;
    return <Note tone="" icon="exclamation-circle" title={redeem.unsureTitle} text={text} />;
  }
  if (state.step === 'refused') {
    const missing = state.error.problem?.missing_lumis ?? offer.availability.missing_lumis;
    const title = refusalTitle(state.error.code, words, points(missing));
    const isKnown = title !== redeem.refused;
    const text = isKnown ? redeem.nothingTaken : state.error.detail;
    return <Note tone="banner-stop" icon="cross-octagon" title={title} text={text} />;
  }
  if (state.step === 'limited') {
    if (state.until <= now) return null;
    const text = redeem.wait(span(state.until - now));
    return <Note tone="banner-attention" icon="clock" title={redeem.rate_limited} text={text} />;
  }
  if (state.step === 'sending') return state.isSlow ? <p class="small">{redeem.slow}</p> : null;
  if (isLost) return <Note tone="" icon="offline" text={redeem.offline} />;
  if (reason) return <Note tone="banner-attention" icon="diamond" text={reason} />;
  return null;
}

function refusalTitle(code: string, { redeem }: Words, missing: string): string {
  switch (code) {
    case 'insufficient_points':
      return redeem.insufficient_points(missing);
    case 'out_of_stock':
    case 'limit_member':
    case 'offer_ended':
    case 'offer_inactive':
    case 'offer_not_started':
    case 'unknown_offer':
      return redeem[code];
    default:
      return redeem.refused;
  }
}

function Note({
  tone,
  icon,
  title,
  text,
}: {
  tone: '' | 'banner-stop' | 'banner-attention';
  icon: IconName;
  title?: string;
  text: string;
}) {
  return (
    <div class={`banner ${tone}`}>
      <Icon name={icon} />
      <p>
        {title && <strong class="block">{title}</strong>}
        {text}
      </p>
    </div>
  );
}
