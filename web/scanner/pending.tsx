import { serverNow } from '../shared/clock.ts';
import { Sheet } from '../shared/dialog.tsx';
import { dateTime, isSameDay, time } from '../shared/format.ts';
import { useLocale } from '../shared/words.ts';
import type { Counter, CounterState } from './counter.ts';
import { useMoreWords as useWords } from './words-more.ts';

export interface PendingSheetProps {
  isOpen: boolean;
  state: CounterState;
  counter: Counter;
  zone: string;
  onClose(): void;
}

/** What waits for a person: codes that were not verified, confirmations without an answer. */
export function PendingSheet({ isOpen, state, counter, zone, onClose }: PendingSheetProps) {
  const words = useWords();
  const locale = useLocale();
  const { tray, pendings, checking } = state;
  const at = (ms: number) =>
    isSameDay(ms, serverNow(), zone) ? time(ms, locale, zone) : dateTime(ms, locale, zone);
  return (
    <Sheet
      isOpen={isOpen}
      title={words.pending}
      onClose={onClose}
      actions={
        <button type="button" class="button button-quiet" onClick={onClose}>
          {words.close}
        </button>
      }
    >
      <p role="status" class="strong">
        {checking && words.checking}
      </p>
      <p class="muted">
        {tray.length + pendings.length > 0 ? words.pending_what : words.pending_none}
      </p>
      <ul class="pending-list">
        {pendings.map((one) => (
          <li key={one.redemption_id}>
            <p class="strong">{one.offer_name ?? words.unnamed}</p>
            {one.shown && <p class="code">{one.shown}</p>}
            <p class="muted small">{words.asked_at(at(one.began_at))}</p>
            <div class="row">
              <button
                type="button"
                class="button button-primary"
                onClick={() => counter.checkNow(one.redemption_id)}
              >
                {words.check}
              </button>
            </div>
          </li>
        ))}
        {tray.map((item) => (
          <li key={item.key}>
            <p class="code">{item.shown}</p>
            <p class="muted small">{words.read_at(at(item.read_at))}</p>
            <div class="row">
              <button
                type="button"
                class="button button-primary"
                onClick={() => counter.retry(item.key)}
              >
                {words.retry}
              </button>
              <button
                type="button"
                class="button button-quiet"
                onClick={() => counter.discard(item.key)}
              >
                {words.discard}
              </button>
            </div>
          </li>
        ))}
      </ul>
    </Sheet>
  );
}
