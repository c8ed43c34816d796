import { Link } from 'wouter';
import { Icon, type IconName } from '../../shared/icons.tsx';
import { useFormat } from '../parts/format.ts';
import { TimelineList } from '../parts/timeline.tsx';
import { Title } from '../parts/title.tsx';
import type { Redemption } from '../wire.ts';
import { useWords, type Words } from '../words/all.ts';

/** Every state that a redemption is shown in. A reversal is a cancelled one that was confirmed. */
export type Fate = Redemption['redemption_status'] | 'reversed' | 'legacy';

/** Which of them it is. */
export function fateOf({ source, redemption_status, validated_at }: Redemption): Fate {
  if (source === 'legacy') return 'legacy';
  return redemption_status === 'cancelled' && validated_at ? 'reversed' : redemption_status;
}

/** A redemption that is over: how it ended, what came back, and every step. */
export function Ended({ redemption }: { redemption: Redemption }) {
  const words = useWords();
  const { points, dateTime } = useFormat();
  const fate = fateOf(redemption);
  const { title, body, icon, tone } = looksOf(redemption, fate, words, points);
  const { offer_id, offer_name, lumis_spent, cancellation_reason, redemption_id } = redemption;
  const isLegacy = fate === 'legacy';
  const at = redemption.validated_at ?? (isLegacy ? null : redemption.created_at);
  const hasRefund = fate === 'cancelled' || fate === 'reversed' || fate === 'expired';
  return (
    <>
      <div class="ended" data-tone={tone}>
        <span class="ended-icon">
          <Icon name={icon} size={56} />
        </span>
        <Title name={title}>
          <bdi>{title}</bdi>
        </Title>
        <p class="large">{body}</p>
      </div>
      <div class="card row row-apart ended-card">
        <div>
          <h2 class="ended-name" dir="auto">
            {offer_name ?? (isLegacy ? words.history.unnamed : words.offers.unnamed)}
          </h2>
          <p class="muted small">{at ? dateTime(at) : words.history.noDate}</p>
        </div>
        <p class="strong number">{points(lumis_spent)}</p>
      </div>
      {cancellation_reason && (
        <p class="muted" dir="auto">
          {words.ended.reason(cancellation_reason)}
        </p>
      )}
      {!isLegacy && (
        <section class="stack" aria-labelledby="steps">
          <h2 id="steps">{words.timeline.title}</h2>
          <TimelineList redemption_id={redemption_id} />
        </section>
      )}
      <div class="row ended-ways">
        {hasRefund && (
          <Link href={`/ledger?redemption=${redemption_id}`} class="button button-quiet">
            {words.ended.entry}
          </Link>
        )}
        {offer_id && (fate === 'expired' || fate === 'pending') && (
          <Link href={`/offers/${offer_id}`} class="button button-primary">
            {words.qr.again}
          </Link>
        )}
        {!hasRefund && fate !== 'pending' && (
          <Link href="/" class="button button-primary">
            {words.history.seeOffers}
          </Link>
        )}
      </div>
    </>
  );
}

interface Looks {
  title: string;
  body: string;
  icon: IconName;
  tone: 'deliver' | 'stop' | 'unsure';
}

function looksOf(
  redemption: Redemption,
  fate: Fate,
  { ended }: Words,
  points: (n: number) => string,
): Looks {
  const { merchant_name, lumis_spent, on_expiry } = redemption;
  const amount = points(lumis_spent);
  switch (fate) {
    case 'confirmed': {
      const title = merchant_name ? ended.confirmedAt(merchant_name) : ended.confirmedPlain;
      return { title, body: ended.enjoy, icon: 'tick-circle', tone: 'deliver' };
    }
    case 'legacy':
      return { title: ended.legacy, body: ended.legacyBody, icon: 'history', tone: 'unsure' };
    case 'cancelled':
      return {
        title: ended.cancelled,
        body: ended.cancelledBody(amount),
        icon: 'cross-octagon',
        tone: 'unsure',
      };
    case 'reversed':
      return {
        title: ended.reversed,
        body: ended.reversedBody(amount),
        icon: 'exclamation-circle',
        tone: 'unsure',
      };
    default: {
      // pending here is one whose end has come but is not booked yet
      const back = fate === 'expired' ? ended.expiredRefund(amount) : ended.expiredSoon(amount);
      const body = on_expiry === 'forfeit' ? ended.expiredForfeit : back;
      return { title: ended.expired, body, icon: 'clock', tone: 'stop' };
    }
  }
}
