import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'react';
import type { LumisError, Paired } from '../../sdk/index.ts';
import { Logo } from '../shared/logo.tsx';
import { LanguageSwitch } from '../shared/switches.tsx';
import { api } from './api.ts';
import { CameraBox } from './camera-view.tsx';
import { pairingCode } from './code.ts';
import { useMoreWords as useWords } from './words-more.ts';

export interface PairProps {
  /** the code of a link that was opened */
  offered: string | undefined;
  /** with whom this phone is paired already */
  current: Paired | undefined;
  onPaired(device: Paired): void;
  onKeep(): void;
}

/** Pairs this phone with a merchant's branch: by a link, by the camera, or by hand. */
export function Pair(props: PairProps) {
  const { current, onKeep } = props;
  const words = useWords();
  const [name, setName] = useState('');
  const isDemo = useIsDemo();
  const input = useRef<HTMLInputElement>(null);
  const pairing = usePairing(props, name);
  const { ready, fault, isBusy, isScanning } = pairing;
  const submit = (event: Event) => {
    event.preventDefault();
    if (!pairing.exchange()) input.current?.focus();
  };
  return (
    <main class="page pair">
      <header class="top">
        <Logo size={40} />
        <p class="top-title">{words.app}</p>
      </header>
      <form class="stack" noValidate onSubmit={submit}>
        <h1>{words.pair_title}</h1>
        {current && (
          <p class="banner banner-attention">{words.pair_again(current.merchant_name)}</p>
        )}
        <p>{ready ? words.pair_ready : words.pair_how}</p>
        {isDemo && !ready && <Wide label={words.pair_demo} isQuiet onClick={pairing.tryDemo} />}
        {!ready && <Ways pairing={pairing} field={input} />}
        <Field
          id="device-name"
          label={words.pair_name}
          hint={words.pair_name_hint}
          maxLength={60}
          value={name}
          onValue={setName}
        />
        {ready && <Fault text={fault} />}
        <Wide
          label={isBusy ? words.pair_doing : words.pair_do}
          isQuiet={!ready && !isScanning}
          isBusy={isBusy}
        />
        {current && <Plain label={words.pair_keep} isOff={isBusy} onClick={onKeep} />}
      </form>
      <LanguageSwitch />
    </main>
  );
}

interface WaysProps {
  pairing: Pairing;
  field: RefObject<HTMLInputElement | null>;
}

/** How a pairing code gets here when no link brought one: by the camera, or by hand. */
function Ways({ pairing, field }: WaysProps) {
  const words = useWords();
  const { isScanning, isBusy, fault } = pairing;
  return (
    <>
      {isScanning ? (
        <>
          <CameraBox aim={words.aim_pair} isReading={!isBusy} onText={pairing.take} />
          <Plain label={words.pair_stop} isOff={isBusy} onClick={pairing.stopScan} />
        </>
      ) : (
        <Wide label={words.pair_scan} onClick={pairing.scan} />
      )}
      <Fault text={fault} />
      <Field
        id="pairing"
        label={words.pair_code}
        hint={words.pair_code_hint}
        maxLength={500}
        isFaulty={!!fault}
        field={field}
        value={pairing.text}
        onValue={pairing.setText}
      />
    </>
  );
}

/** What stands in the way, above the field and below the camera: it is seen from both. */
const Fault = ({ text }: { text: string | undefined }) => (
  <p id="pairing-fault" class="field-error" role="alert">
    {text}
  </p>
);

type Pairing = ReturnType<typeof usePairing>;

/** The code that is at hand, and its exchange for a device's token. */
function usePairing({ offered, onPaired }: PairProps, name: string) {
  const words = useWords();
  const [text, setText] = useState('');
  const [isScanning, setScanning] = useState(false);
  const [scanned, setScanned] = useState<string>();
  const [isUsed, setUsed] = useState(false);
  const [fault, setFault] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const ready = isUsed ? undefined : (scanned ?? offered);
  // another link, another chance
  useEffect(() => setUsed(false), [offered]);

  const pair = async (ask: () => string | Promise<string>) => {
    if (isBusy) return;
    setBusy(true);
    setFault(undefined);
    try {
      const pairing_code = await ask();
      const device_name = name.trim();
      onPaired(await api.devices.pair({ pairing_code, ...(device_name && { device_name }) }));
    } catch (error) {
      const failing = error as LumisError;
      setFault(faultOf(failing, words));
      if (failing.code === 'unauthorized') {
        setUsed(true);
        setScanned(undefined);
      }
    } finally {
      setBusy(false);
    }
  };
  return {
    ready,
    fault,
    isBusy,
    isScanning,
    text,
    setText,
    scan: () => setScanning(true),
    stopScan: () => setScanning(false),
    /** Exchanges what is at hand, or was typed; false when that is no code. */
    exchange(): boolean {
      const code = ready ?? pairingCode(text.trim());
      if (code) void pair(() => code);
      else setFault(text.trim() ? words.pair_refused : words.pair_empty);
      return code !== undefined;
    },
    /** Takes up what the camera saw; false when that is no pairing code. */
    take(seen: string): boolean {
      const code = pairingCode(seen);
      setFault(code ? undefined : words.pair_other);
      if (code) {
        setUsed(false);
        setScanned(code);
        setScanning(false);
      }
      return code !== undefined;
    },
    tryDemo: () => pair(async () => (await api.demo.pairing()).pairing_code),
  };
}

interface PlainProps {
  label: string;
  isOff: boolean;
  onClick(): void;
}

function Plain({ label, isOff, onClick }: PlainProps) {
  return (
    <button
      type="button"
      class="button button-plain"
      aria-disabled={isOff}
      onClick={() => {
        if (!isOff) onClick();
      }}
    >
      {label}
    </button>
  );
}

interface WideProps {
  label: string;
  isQuiet?: boolean;
  isBusy?: boolean;
  /** without it the button sends the form */
  onClick?(): void;
}

function Wide({ label, isQuiet, isBusy, onClick }: WideProps) {
  return (
    <button
      type={onClick ? 'button' : 'submit'}
      class={`button button-large button-wide ${isQuiet ? 'button-quiet' : 'button-primary'}`}
      aria-busy={isBusy}
      aria-disabled={isBusy}
      onClick={onClick}
    >
      {label}
    </button>
  );
}

interface FieldProps {
  id: string;
  label: string;
  hint: string;
  maxLength: number;
  isFaulty?: boolean;
  field?: RefObject<HTMLInputElement | null>;
  value: string;
  onValue(value: string): void;
}

function Field({ id, label, hint, maxLength, isFaulty, field, value, onValue }: FieldProps) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        ref={field ?? null}
        id={id}
        type="text"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        maxLength={maxLength}
        value={value}
        aria-invalid={isFaulty ? true : undefined}
        aria-describedby={isFaulty ? `${id}-hint ${id}-fault` : `${id}-hint`}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      <p id={`${id}-hint`} class="field-hint">
        {hint}
      </p>
    </div>
  );
}

function useIsDemo(): boolean {
  const [isDemo, setDemo] = useState(false);
  useEffect(() => {
    api.config().then(
      ({ demo }) => setDemo(demo),
      () => undefined,
    );
  }, []);
  return isDemo;
}

function faultOf(failing: LumisError, words: ReturnType<typeof useWords>): string {
  switch (failing.code) {
    case 'unauthorized':
    case 'invalid_request':
      return words.pair_refused;
    case 'rate_limited':
      return words.wait(failing.retryAfterSeconds ?? 60);
    case 'offline':
      return words.pair_offline;
    default:
      return failing.isAnswered ? words.failed : words.pair_lost;
  }
}
