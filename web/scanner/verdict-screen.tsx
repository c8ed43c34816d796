import type { RefObject } from 'preact';
import { useId, useLayoutEffect, useMemo, useRef } from 'react';
import { useNow } from '../shared/clock.ts';
import { Status } from '../shared/status.tsx';
import { useLocale } from '../shared/words.ts';
import type { Counter } from './counter.ts';
import { type Family, familyOf, type Verdict } from './verdict.ts';
import { placeOf, sayVerdict } from './verdict-words.ts';
import { useDictionary, useWords } from './words.ts';

/** The shape of each family, on a 24 × 24 grid: a diamond to act on, a circle, an octagon. */
const SHAPES: Record<Family, string> = {
  ask: 'M12 1.8 22.2 12 12 22.2 1.8 12zM7.8 12h8.4m-3.4-3.4 3.4 3.4-3.4 3.4',
  deliver: 'M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19M7.6 12.4l3.1 3.1 5.8-6.4',
  stop: 'M8.1 2.5h7.8l5.6 5.6v7.8l-5.6 5.6H8.1l-5.6-5.6V8.1zM8.7 8.7l6.6 6.6m0-6.6-6.6 6.6',
  unsure: 'M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19M12 7v6m0 3.6v.01',
};

export interface VerdictScreenProps {
  verdict: Verdict;
  counter: Counter;
  zone: string;
  /** it was closed to type the code */
  onType(): void;
  /** it was closed to see what is pending */
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
  // once for each verdict: what counts down on the screen is not to be read out each second
  const aloud = useMemo(() => `${said.title}. ${said.order}`, [verdict.kind, locale]);
  const family = familyOf(verdict);
  const title = useId();
  const text = useId();
  useModal(dialog);
  useSafeFocus(dialog, verdict.kind);
  useEscape(dialog, () => {
    if (verdict.kind !== 'unsure') counter.close();
  });

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
          <Status isHidden>{aloud}</Status>
          <div class="verdict-text">
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

/** Opens it over everything, and gives the focus back to what had it. */
function useModal(dialog: RefObject<HTMLDialogElement | null>): void {
  useLayoutEffect(() => {
    const before = document.activeElement;
    const { current } = dialog;
    // browsers close it at the second Esc whatever the first one was answered
    const open = () => current?.showModal();
    open();
    current?.addEventListener('close', open);
    return () => {
      current?.removeEventListener('close', open);
      current?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
}

/** Each verdict anew: the button under the finger or the focus may have gone with the last one. */
function useSafeFocus(dialog: RefObject<HTMLDialogElement | null>, kind: Verdict['kind']): void {
  useLayoutEffect(() => {
    if (kind !== 'confirming') dialog.current?.querySelector<HTMLElement>('[data-safe]')?.focus();
    dialog.current?.scrollTo(0, 0);
  }, [kind]);
}

/** Esc and the phone's back gesture ask to leave; the owner decides. */
function useEscape(dialog: RefObject<HTMLDialogElement | null>, onEscape: () => void): void {
  const latest = useRef(onEscape);
  latest.current = onEscape;
  useLayoutEffect(() => {
    const cancel = (event: Event) => {
      event.preventDefault();
      latest.current();
    };
    dialog.current?.addEventListener('cancel', cancel);
    return () => dialog.current?.removeEventListener('cancel', cancel);
  }, []);
}

type ActionsProps = Omit<VerdictScreenProps, 'zone'>;

function Actions({ verdict, counter, onType, onPending }: ActionsProps) {
  const words = useWords();
  const close = () => counter.close();
  const closeFor = (next: () => void) => () => {
    close();
    next();
  };
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
          <Action label={words.type} isSecond onClick={closeFor(onType)} />
        </>
      );
    case 'offline':
    case 'no_answer':
    case 'server':
      return (
        <>
          <Action label={words.retry} isSafe onClick={() => counter.retry()} />
          <Action label={words.see_pending} isSecond onClick={closeFor(onPending)} />
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
