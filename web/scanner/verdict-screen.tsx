import { useEffect, useId, useLayoutEffect, useRef } from 'react';
import { useNow } from '../shared/clock.ts';
import { useLocale } from '../shared/words.ts';
import type { Counter } from './counter.ts';
import { type Family, familyOf, type Verdict } from './verdict.ts';
import { placeOf, sayVerdict } from './verdict-words.ts';
import { useDictionary, useWords } from './words.ts';

/** The shape of each family, on a 24 × 24 grid: a diamond to act on, a circle, an octagon. */
const SHAPES: Record<Family, string> = {
  ask: 'M12 1.8 22.2 12 12 22.2 1.8 12zM8 12.3l2.8 2.8 5-5.6',
  deliver: 'M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19M7.6 12.4l3.1 3.1 5.8-6.4',
  stop: 'M8.1 2.5h7.8l5.6 5.6v7.8l-5.6 5.6H8.1l-5.6-5.6V8.1zM8.7 8.7l6.6 6.6m0-6.6-6.6 6.6',
  unsure: 'M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19M12 7v6m0 3.6v.01',
};

export interface VerdictScreenProps {
  verdict: Verdict;
  counter: Counter;
  zone: string;
  onType(): void;
  onPending(): void;
}

/**
 * The verdict: a modal alert over the whole screen. Nothing behind it can be reached, and the focus
 * is on the answer that does no harm.
 */
export function VerdictScreen({ verdict, counter, zone, onType, onPending }: VerdictScreenProps) {
  const locale = useLocale();
  const dialog = useRef<HTMLDialogElement>(null);
  const said = sayVerdict(verdict, useDictionary().verdicts, placeOf(locale, zone, useNow(1000)));
  const family = familyOf(verdict);
  const title = useId();
  const text = useId();
  const isBusy = verdict.kind === 'confirming';

  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      dialog.current?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  // each verdict anew: the button under the finger or the focus may have gone with the last one
  useLayoutEffect(() => {
    if (!isBusy) dialog.current?.querySelector<HTMLElement>('[data-safe]')?.focus();
    dialog.current?.scrollTo(0, 0);
  }, [verdict.kind]);
  useEffect(() => {
    const cancel = (event: Event) => {
      event.preventDefault();
      if (verdict.kind !== 'unsure') counter.close();
    };
    dialog.current?.addEventListener('cancel', cancel);
    return () => dialog.current?.removeEventListener('cancel', cancel);
  }, [verdict.kind, counter]);

  return (
    <dialog
      ref={dialog}
      role="alertdialog"
      class="verdict"
      data-family={family}
      data-kind={verdict.kind}
      aria-labelledby={title}
      aria-describedby={text}
    >
      <div class="verdict-body">
        <div class="verdict-said">
          <svg class="verdict-shape" viewBox="0 0 24 24" aria-hidden="true">
            <path d={SHAPES[family]} />
          </svg>
          <div class="verdict-text" role="status">
            <h2 id={title}>{said.title}</h2>
            <div id={text} class="verdict-details">
              {family === 'ask' && <p class="verdict-offer">{said.offer}</p>}
              <p class="verdict-order">{said.order}</p>
              {family !== 'ask' && said.offer && <p class="verdict-offer">{said.offer}</p>}
              {said.body && <p>{said.body}</p>}
            </div>
          </div>
        </div>
        <div class="verdict-actions">
          <Actions verdict={verdict} counter={counter} onType={onType} onPending={onPending} />
        </div>
      </div>
    </dialog>
  );
}

type ActionsProps = Omit<VerdictScreenProps, 'zone'>;

function Actions({ verdict, counter, onType, onPending }: ActionsProps) {
  const words = useWords();
  const close = () => counter.close();
  switch (verdict.kind) {
    case 'valid':
    case 'confirming': {
      const isBusy = verdict.kind === 'confirming';
      return (
        <>
          <Action
            label={isBusy ? words.confirming : words.confirm}
            isBusy={isBusy}
            onClick={() => counter.confirm()}
          />
          <Action label={words.cancel} isSafe isSecond isOff={isBusy} onClick={close} />
        </>
      );
    }
    case 'unsure':
      return (
        <>
          <Action
            label={words.check}
            isSafe
            isBusy={verdict.is_checking}
            onClick={() => counter.checkNow()}
          />
          <Action label={words.later} isSecond onClick={close} />
        </>
      );
    case 'unknown':
    case 'not_ours':
      return (
        <>
          <Action label={words.again} isSafe onClick={close} />
          <Action label={words.type} isSecond onClick={onType} />
        </>
      );
    case 'offline':
    case 'no_answer':
    case 'server':
      return (
        <>
          <Action label={words.retry} isSafe onClick={() => counter.retry()} />
          <Action label={words.see_pending} isSecond onClick={onPending} />
          <Action label={words.next} isSecond onClick={close} />
        </>
      );
    case 'too_many':
      return <TooMany until={verdict.wait_until} counter={counter} />;
    default:
      return <Action label={words.next} isSafe onClick={close} />;
  }
}

function TooMany({ until, counter }: { until: number; counter: Counter }) {
  const words = useWords();
  const mustWait = useNow(500) < until;
  return (
    <>
      <Action label={words.retry} isOff={mustWait} onClick={() => counter.retry()} />
      <Action label={words.next} isSafe isSecond onClick={() => counter.close()} />
    </>
  );
}

interface ActionProps {
  label: string;
  /** gets the focus: pressing it by mistake does no harm */
  isSafe?: boolean;
  isSecond?: boolean;
  isBusy?: boolean;
  isOff?: boolean;
  onClick(): void;
}

function Action({ label, isSafe, isSecond, isBusy, isOff, onClick }: ActionProps) {
  const mustWait = isBusy || isOff;
  return (
    <button
      type="button"
      class={isSecond ? 'verdict-action verdict-second' : 'verdict-action'}
      data-safe={isSafe}
      aria-busy={isBusy}
      aria-disabled={mustWait}
      onClick={() => {
        if (!mustWait) onClick();
      }}
    >
      {isBusy && <span class="spinner" aria-hidden="true" />}
      {label}
    </button>
  );
}
