import { useState } from 'react';
import type { CounterRedemption } from '../../sdk/index.ts';
import { number, points, time } from '../shared/format.ts';
import { useLocale } from '../shared/words.ts';
import type { DayView } from './day.ts';
import { later } from './later.tsx';
import { useWords } from './words.ts';

const DetailSheet = later(async () => (await import('./detail.tsx')).DetailSheet);

/** The day at this counter: how many, for how much, and each with its time. */
export function Today({ view, canReverse }: { view: DayView; canReverse: boolean }) {
  const words = useWords();
  const locale = useLocale();
  const [tapped, setTapped] = useState<CounterRedemption>();
  const { day } = view;
  const zone = day?.time_zone ?? 'America/Panama';
  // as it stands now: another phone may have taken it back meanwhile
  const isTapped = ({ redemption_id }: CounterRedemption) =>
    redemption_id === tapped?.redemption_id;
  const open = tapped && (day?.data.find(isTapped) ?? tapped);

  return (
    <section class="stack" aria-labelledby="today">
      <div class="row row-apart">
        <h2 id="today" tabIndex={-1}>
          {words.today_title}
        </h2>
        {day && view.is_stale && (
          <span class="chip">{words.today_until(time(day.as_of, locale, zone))}</span>
        )}
      </div>
      {day && (
        <p class="today-sum">
          <strong class="number">
            {words.today_count(number(day.count, locale), day.count === 1)}
          </strong>{' '}
          <span class="muted number">{points(day.lumis, locale)}</span>
        </p>
      )}
      {!day && view.is_stale && (
        <p class="muted" role="status">
          {words.today_failed}{' '}
          <button type="button" class="button button-plain" onClick={view.reload}>
            {words.retry}
          </button>
        </p>
      )}
      {day?.data.length === 0 && <p class="muted">{words.today_none}</p>}
      {day && day.data.length > 0 && (
        <ul class="today-list">
          {day.data.map((one) => (
            <li key={one.redemption_id}>
              <Row redemption={one} zone={zone} onOpen={() => setTapped(one)} />
            </li>
          ))}
        </ul>
      )}
      {day?.next_cursor && (
        <button type="button" class="button button-quiet" onClick={view.more}>
          {words.today_more}
        </button>
      )}
      <DetailSheet
        redemption={open}
        zone={zone}
        canReverse={canReverse}
        onClose={() => setTapped(undefined)}
        onChanged={view.reload}
      />
    </section>
  );
}

interface RowProps {
  redemption: CounterRedemption;
  zone: string;
  onOpen(): void;
}

function Row({ redemption, zone, onOpen }: RowProps) {
  const words = useWords();
  const locale = useLocale();
  const { offer_name, redemption_status, validated_at, code_ending, device_name } = redemption;
  return (
    <button type="button" class="today-row" onClick={onOpen}>
      <span class="today-offer">
        {offer_name ?? words.unnamed}
        {redemption_status !== 'confirmed' && <span class="chip chip-stop">{words.reversed}</span>}
      </span>
      <span class="number muted">{time(validated_at, locale, zone)}</span>
      <span class="muted small today-who">
        <span class="today-code">{words.ends_in(code_ending)}</span>{' '}
        {device_name ?? words.no_device}
      </span>
    </button>
  );
}
