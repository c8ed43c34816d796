import { useEffect, useRef, useState } from 'react';
import type { Reading } from './code.ts';
import { readCode } from './code.ts';
import { useWords } from './words.ts';

export interface ManualProps {
  isBusy: boolean;
  /** grows by one when the field should take the focus */
  focus: number;
  onReading(reading: Reading): void;
}

/** The code by hand: typed, pasted, or from a hand scanner. Mistakes are named here, at the field. */
export function Manual({ isBusy, focus, onReading }: ManualProps) {
  const words = useWords();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const [fault, setFault] = useState<string>();

  useEffect(() => {
    if (focus > 0) input.current?.focus();
  }, [focus]);

  const submit = (event: Event) => {
    event.preventDefault();
    if (isBusy) return;
    const reading = readCode(text, location.origin);
    if (reading.kind === 'redemption') {
      setFault(undefined);
      setText('');
      onReading(reading);
      return;
    }
    setFault(text.trim() === '' ? words.manual_empty : faultOf(reading, words));
    input.current?.focus();
    input.current?.select();
  };

  return (
    <form class="manual stack" noValidate onSubmit={submit}>
      <div class="field field-code">
        <label for="code">{words.manual}</label>
        <input
          ref={input}
          id="code"
          name="code"
          type="text"
          inputMode="text"
          autocomplete="off"
          autocapitalize="characters"
          autocorrect="off"
          spellcheck={false}
          enterkeyhint="go"
          maxLength={2000}
          placeholder="LUMS-0000-0000-0000-0000"
          value={text}
          aria-invalid={fault ? true : undefined}
          aria-describedby="code-fault"
          onInput={(event) => {
            setText(event.currentTarget.value);
            setFault(undefined);
          }}
        />
        <p id="code-fault" class="field-error" role="alert">
          {fault}
        </p>
      </div>
      <button
        type="submit"
        class="button button-primary button-large button-wide"
        aria-disabled={isBusy}
        aria-busy={isBusy}
      >
        {isBusy ? words.checking : words.manual_do}
      </button>
    </form>
  );
}

function faultOf(reading: Reading, words: ReturnType<typeof useWords>): string {
  switch (reading.kind) {
    case 'mistyped':
      return reading.symbols === 16 ? words.manual_wrong : words.manual_short(reading.symbols);
    case 'url':
      return words.manual_url;
    case 'pairing':
      return words.manual_pairing;
    default:
      return words.manual_other;
  }
}
