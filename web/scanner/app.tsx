import { useEffect, useMemo, useState } from 'react';
import { newKey, type Paired } from '../../sdk/index.ts';
import { serverNow } from '../shared/clock.ts';
import { useLocale } from '../shared/words.ts';
import { pairingCode } from './code.ts';
import { createCounter } from './counter.ts';
import { Desk } from './desk.tsx';
import { later } from './later.tsx';
import { loadApi } from './load-api.ts';
import { createMemory } from './memory.ts';
import { forgetDevice, keepDevice, pairedDevice, store } from './session.ts';
import { useWords } from './words.ts';

const Nothing = () => null;
const Pair = later(async () => (await import('./pair.tsx')).Pair, Nothing);
const Stopped = later(async () => (await import('./stopped.tsx')).Stopped, Nothing);

/** Which of the screens: pairing, the counter of the merchant it is paired with, or access lost. */
export function App() {
  const words = useWords();
  const locale = useLocale();
  const [device, setDevice] = useState(pairedDevice);
  const [offered, setOffered] = useState(takeOffered);
  const [lost, setLost] = useState<string[]>();
  useEffect(() => {
    document.title = device ? `${device.merchant_name} · ${words.app}` : words.app;
  }, [device, locale]);
  useEffect(() => {
    // the same page, opened again by another pairing link
    const look = () => setOffered((before) => takeOffered() ?? before);
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  const leave = (left: string[] | undefined) => {
    forgetDevice();
    setDevice(undefined);
    setLost(left);
  };

  const counter = useMemo(
    () =>
      createCounter({
        api: {
          validate: async (input) => (await loadApi()).merchant.validate(input),
          confirm: async (id, options) => (await loadApi()).merchant.confirm(id, options),
        },
        memory: createMemory(store),
        newKey,
        now: serverNow,
        isOnline: () => navigator.onLine,
      }),
    [device?.device_id],
  );

  if (lost && !offered) {
    return <Stopped unanswered={lost} onPair={() => setLost(undefined)} />;
  }
  if (!device || offered) {
    return (
      <Pair
        offered={offered}
        current={device}
        onKeep={() => setOffered(undefined)}
        onPaired={(next: Paired) => {
          keepDevice(next);
          setOffered(undefined);
          setLost(undefined);
          setDevice(next);
        }}
      />
    );
  }
  return <Desk key={device.device_id} device={device} counter={counter} onLeave={leave} />;
}

/** The pairing code of the address, which is taken out of it at once: it opens a merchant's counter. */
function takeOffered(): string | undefined {
  if (!location.hash.includes('pair=')) return undefined;
  const code = pairingCode(location.hash);
  history.replaceState(null, '', location.pathname);
  return code;
}
