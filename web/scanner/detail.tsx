import { useEffect, useRef, useState } from 'react';
import { type CounterRedemption, type LumisError, newKey } from '../../sdk/index.ts';
import { Sheet } from '../shared/dialog.tsx';
import { dateTime, points } from '../shared/format.ts';
import { useLocale } from '../shared/words.ts';
import { api } from './api.ts';
import { useMoreWords as useWords } from './words-more.ts';

export interface DetailSheetProps {
  /** what was tapped; the sheet is open while there is one */
  redemption: CounterRedemption | undefined;
  zone: string;
  /** this phone may take a confirmation back */
  canReverse: boolean;
  onClose(): void;
  /** it was taken back, or may have been */
  onChanged(): void;
}

/** One row of the day with all that is known, and where the phone may, the way to take it back. */
export function DetailSheet(props: DetailSheetProps) {
  const { redemption, zone, canReverse, onClose, onChanged } = props;
  const words = useWords();
  const locale = useLocale();
  const [isAsking, setAsking] = useState(false);
  useEffect(() => setAsking(false), [redemption?.redemption_id]);
  const isConfirmed = redemption?.redemption_status === 'confirmed';
  const facts: [string, string][] = redemption
    ? [
        [words.offer, redemption.offer_name ?? words.unnamed],
        [words.cost, points(redemption.lumis_spent, locale)],
        [words.code, words.ends_in(redemption.code_ending)],
        [words.when, dateTime(redemption.validated_at, locale, zone)],
        ...(!isConfirmed && redemption.closed_at
          ? [[words.undone, dateTime(redemption.closed_at, locale, zone)] as [string, string]]
          : []),
        [words.who, redemption.device_name ?? words.no_device],
        [words.where, redemption.branch_name ?? '-'],
      ]
    : [];

  return (
    <Sheet isOpen={redemption !== undefined} title={words.detail} onClose={onClose}>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt class="muted">{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {isAsking && isConfirmed ? (
        <Reversal
          redemptionId={redemption.redemption_id}
          onKeep={() => setAsking(false)}
          onDone={() => {
            onChanged();
            onClose();
          }}
          onLost={onChanged}
        />
      ) : (
        <div class="sheet-actions">
          <button type="button" class="button button-primary" onClick={onClose}>
            {words.close}
          </button>
          {canReverse && isConfirmed && (
            <button type="button" class="button button-quiet" onClick={() => setAsking(true)}>
              {words.reverse}
            </button>
          )}
        </div>
      )}
    </Sheet>
  );
}

interface ReversalProps {
  redemptionId: string;
  onKeep(): void;
  onDone(): void;
  /** the answer was lost: it may be done */
  onLost(): void;
}

/** The reversals whose answer never came, by redemption: to be sent again, never anew. */
const unanswered = new Map<string, { key: string; reason: string }>();

function Reversal({ redemptionId, onKeep, onDone, onLost }: ReversalProps) {
  const words = useWords();
  const [reason, setReason] = useState(unanswered.get(redemptionId)?.reason ?? '');
  const [fault, setFault] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (isBusy) return;
    if (reason.trim() === '') {
      setFault(words.reverse_needs);
      input.current?.focus();
      return;
    }
    setBusy(true);
    const known = unanswered.get(redemptionId);
    const sent = known ?? { key: newKey(), reason: reason.trim() };
    unanswered.set(redemptionId, sent);
    try {
      const options = { key: sent.key, isRepeat: known !== undefined };
      await api.merchant.reverse(redemptionId, { reason: sent.reason }, options);
      unanswered.delete(redemptionId);
      onDone();
    } catch (error) {
      const { isAnswered, detail } = error as LumisError;
      setFault(isAnswered ? detail : words.reverse_lost);
      setBusy(false);
      if (isAnswered) unanswered.delete(redemptionId);
      else onLost();
    }
  };
  return (
    <form class="stack" noValidate onSubmit={submit}>
      <p>{words.reverse_what}</p>
      <div class="field">
        <label for="reason">{words.reverse_reason}</label>
        <input
          ref={input}
          id="reason"
          type="text"
          maxLength={500}
          value={reason}
          aria-invalid={fault ? true : undefined}
          aria-describedby="reason-fault"
          onInput={(event) => setReason(event.currentTarget.value)}
        />
        <p id="reason-fault" class="field-error" role="alert">
          {fault}
        </p>
      </div>
      <div class="sheet-actions">
        <button
          type="submit"
          class="button button-danger"
          aria-busy={isBusy}
          aria-disabled={isBusy}
        >
          {words.reverse}
        </button>
        <button type="button" class="button button-quiet" onClick={onKeep}>
          {words.reverse_keep}
        </button>
      </div>
    </form>
  );
}
