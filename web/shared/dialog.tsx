import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'react';

export interface SheetProps {
  isOpen: boolean;
  title: string;
  /** Esc, the backdrop and the phone's back gesture ask to close; the owner decides */
  onClose(): void;
  children?: ComponentChildren;
  /** buttons, the one that goes on first */
  actions?: ComponentChildren;
  /** `alertdialog` for what must be answered: it is read out at once */
  role?: 'dialog' | 'alertdialog';
  class?: string;
}

/**
 * A modal sheet on the native dialog: focus goes in and comes back, Esc asks to close, what is
 * behind cannot be reached. Focus lands on an element with `autofocus`, else on the title.
 */
export function Sheet({ isOpen, title, onClose, children, actions, role, ...rest }: SheetProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  useLayoutEffect(() => {
    const dialog = ref.current;
    if (!isOpen || !dialog) return;
    const before = document.activeElement;
    dialog.showModal();
    if (!dialog.querySelector('[autofocus]')) dialog.querySelector('h2')?.focus();
    // browsers close it at the second Esc whatever the first one was answered: the owner decides
    const reopen = () => dialog.showModal();
    dialog.addEventListener('close', reopen);
    return () => {
      dialog.removeEventListener('close', reopen);
      // also when the sheet goes away while open, which the browser does not give focus back for
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, [isOpen]);

  useLayoutEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    const cancel = (event: Event) => {
      event.preventDefault();
      onClose();
    };
    // a press that begins inside and ends outside (selecting text) is none on the backdrop
    const press = (event: PointerEvent) => {
      if (event.target === dialog) onClose();
    };
    dialog.addEventListener('cancel', cancel);
    dialog.addEventListener('pointerdown', press);
    return () => {
      dialog.removeEventListener('cancel', cancel);
      dialog.removeEventListener('pointerdown', press);
    };
  }, [onClose]);

  return (
    <dialog
      ref={ref}
      role={role}
      aria-labelledby={titleId}
      class={['sheet', rest.class].filter(Boolean).join(' ')}
    >
      {isOpen && (
        <div class="sheet-body stack">
          <h2 id={titleId} tabIndex={-1}>
            {title}
          </h2>
          {children}
          {actions && <div class="sheet-actions">{actions}</div>}
        </div>
      )}
    </dialog>
  );
}

export interface ConfirmDialogProps {
  isOpen: boolean;
  title: string;
  /** what will happen */
  children?: ComponentChildren;
  /** verbs, never yes and no: "Cancelar canje", "Conservarlo" */
  confirmLabel: string;
  cancelLabel: string;
  onConfirm(): void;
  onCancel(): void;
  /** the answer is on its way: both buttons wait */
  isBusy?: boolean;
  /** the deed takes something away: its button is red */
  isDanger?: boolean;
}

/** Asks before something that cannot be taken back. Focus is on the safe answer. */
export function ConfirmDialog(props: ConfirmDialogProps) {
  const { isBusy = false } = props;
  return (
    <Sheet
      isOpen={props.isOpen}
      title={props.title}
      role="alertdialog"
      onClose={() => {
        if (!isBusy) props.onCancel();
      }}
      actions={
        <>
          <button
            type="button"
            class={props.isDanger ? 'button button-danger' : 'button button-primary'}
            aria-disabled={isBusy}
            aria-busy={isBusy}
            onClick={() => {
              if (!isBusy) props.onConfirm();
            }}
          >
            {props.confirmLabel}
          </button>
          <button
            type="button"
            class="button button-quiet"
            autofocus
            aria-disabled={isBusy}
            onClick={() => {
              if (!isBusy) props.onCancel();
            }}
          >
            {props.cancelLabel}
          </button>
        </>
      }
    >
      {props.children}
    </Sheet>
  );
}
