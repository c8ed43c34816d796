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
  const [open, setOpen] = useState<CounterRedemption>();
  const { day } = view;
  const zone = day?.time_zone ?? 'America/Panama';

  return (
    <section class="today stack" aria-labelledby="today">
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
              <button type="button" class="today-row" onClick={() => setOpen(one)}>
                <span class="today-offer">
                  {one.offer_name ?? words.unnamed}
                  {one.redemption_status !== 'confirmed' && (
                    <span class="chip chip-stop">{words.reversed}</span>
                  )}
                </span>
                <span class="number muted today-time">{time(one.validated_at, locale, zone)}</span>
                <span class="muted small today-who">
                  <span class="today-code">{words.ends_in(one.code_ending)}</span>{' '}
                  {one.device_name ?? words.no_device}
                </span>
              </button>
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
        onClose={() => setOpen(undefined)}
        onReversed={view.reload}
      />
    </section>
  );
}
