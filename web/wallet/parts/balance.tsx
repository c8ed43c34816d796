import { useEffect, useRef, useState } from 'react';
import { useNow } from '../../shared/clock.ts';
import { Icon } from '../../shared/icons.tsx';
import { useBalance } from '../state/queries.ts';
import { useWords } from '../words/index.ts';
import { useFormat } from './format.ts';

const COUNT_MS = 600;
/** From here on the figure is set smaller, to stay on one line. */
const LONG = 10_000_000;

/** The one figure that matters, with what is held and how old it is. */
export function BalanceBlock() {
  const words = useWords();
  const { number, moment } = useFormat();
  const { data, isFetching, refetch } = useBalance();
  const now = useNow(60_000);
  // what can be spent; a debt is shown as it is
  const whole = data && (data.balance < 0 ? data.balance : Math.floor(data.balance));
  const shown = useCount(whole);
  if (!data || whole === undefined || shown === undefined) {
    return (
      <section class="balance" aria-busy="true" aria-label={words.balance.title}>
        <p>
          <span class="balance-figure skeleton">0,000</span>
          <span>{words.balance.available}</span>
        </p>
        <p>
          <span class="skeleton">{words.balance.asOf('00:00')}</span>
        </p>
      </section>
    );
  }
  const unit = whole === 1 ? words.balance.availableOne : words.balance.available;
  const updated = moment(data.as_of, now);
  return (
    <section class="balance" aria-label={words.balance.title}>
      <p>
        <span
          class="balance-figure number"
          data-long={Math.abs(whole) >= LONG ? '' : undefined}
          aria-hidden="true"
        >
          {minus(number(shown))}
        </span>
        <span class="visually-hidden">{minus(number(whole))} </span>
        <span>{unit}</span>
      </p>
      <p class="muted">
        {data.held > 0
          ? `${words.balance.held(number(data.held))} · ${updated}`
          : words.balance.asOf(updated)}
      </p>
      <button
        type="button"
        class="icon-button balance-refresh"
        aria-label={words.balance.refresh}
        aria-busy={isFetching}
        onClick={() => void refetch()}
      >
        <Icon name="reload" size={20} />
      </button>
      {data.balance !== whole && (
        <p class="muted small">{words.balance.exact(minus(number(data.balance)))}</p>
      )}
      {data.balance < 0 && <p class="small">{words.balance.negative}</p>}
    </section>
  );
}

/** A hyphen is not a minus: it is shorter, and not everybody hears it. */
const minus = (text: string) => text.replace('-', '−');

/** Counts from the last figure to the new one; at once for who asked for less motion. */
function useCount(target: number | undefined): number | undefined {
  const [shown, setShown] = useState(target);
  const from = useRef(target);
  useEffect(() => {
    const start = from.current;
    from.current = target;
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (target === undefined || start === undefined || start === target || isStill) {
      setShown(target);
      return;
    }
    const startedAt = performance.now();
    let frame = 0;
    const step = (at: number) => {
      const done = Math.min(1, (at - startedAt) / COUNT_MS);
      setShown(Math.round(start + (target - start) * (1 - (1 - done) ** 3)));
      if (done < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [target]);
  return shown ?? target;
}
