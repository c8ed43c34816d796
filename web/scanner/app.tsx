import { useEffect, useMemo, useState } from 'react';
import { newKey, type Paired } from '../../sdk/index.ts';
import { serverNow } from '../shared/clock.ts';
import { useLocale } from '../shared/words.ts';
import { pairingCode, type Reading, readCode } from './code.ts';
import { createCounter } from './counter.ts';
import { Desk } from './desk.tsx';
import { later } from './later.tsx';
import { loadApi } from './load-api.ts';
import { createMemory } from './memory.ts';
import { forgetDevice, keepDevice, pairedDevice, store, useDevice } from './session.ts';
import { loadWords, useWords } from './words.ts';

const Nothing = () => null;
const Pair = later(async () => (await import('./pair.tsx')).Pair, Nothing);
const Stopped = later(async () => (await import('./stopped.tsx')).Stopped, Nothing);

/** What the first draw needs, so that what stands in index.html is not followed by nothing. */
export const loadFirst = () =>
  Promise.all([loadWords(), pairedDevice() ? undefined : Pair.preload()]);

/** Which of the screens: pairing, the counter of the merchant it is paired with, or access lost. */
export function App() {
  const words = useWords();
  const locale = useLocale();
  const device = useDevice();
  const [link, setLink] = useLink();
  const [lost, setLost] = useState<string[]>();
  useEffect(() => {
    document.title = device ? `${device.merchant_name} · ${words.app}` : words.app;
  }, [device, locale]);
  const counter = useMemo(newCounter, [device?.device_token]);

  if (lost && !device && !link.pairing) {
    return <Stopped unanswered={lost} onPair={() => setLost(undefined)} />;
  }
  if (!device || link.pairing) {
    return (
      <Pair
        offered={link.pairing}
        current={device}
        onKeep={() => setLink({ pairing: undefined })}
        onPaired={(next: Paired) => {
          keepDevice(next);
          setLink({ pairing: undefined });
          setLost(undefined);
        }}
      />
    );
  }
  return (
    <Desk
      key={device.device_token}
      device={device}
      counter={counter}
      asked={link.asked}
      onAsked={() => setLink({ asked: undefined })}
      onLeave={(names) => {
        if (forgetDevice(device)) setLost(names);
      }}
    />
  );
}

const newCounter = () =>
  createCounter({
    api: {
      validate: async (input) => (await loadApi()).merchant.validate(input),
      confirm: async (id, options) => (await loadApi()).merchant.confirm(id, options),
    },
    memory: createMemory(store),
    newKey,
    now: serverNow,
    isOnline: () => navigator.onLine,
  });

/** What the address brought: a code that pairs this phone, or one that is to be verified. */
interface Link {
  pairing?: string | undefined;
  asked?: Reading | undefined;
}

/** The links that led here, the first and each later one that the same page is opened with. */
function useLink(): [link: Link, change: (next: Link) => void] {
  const [link, setLink] = useState(takeLink);
  const change = (next: Link) => setLink((before) => ({ ...before, ...next }));
  useEffect(() => {
    const look = () => change(takeLink());
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  return [link, change];
}

/** Takes what is behind the `#` out of the address at once: a pairing opens a merchant's counter. */
function takeLink(): Link {
  const [, name, value = ''] = /^#(pair|code)=(.+)$/.exec(location.hash) ?? [];
  if (!name) return {};
  history.replaceState(null, '', location.pathname);
  if (name === 'pair') {
    const pairing = pairingCode(value);
    return pairing ? { pairing } : {};
  }
  return { asked: readCode(decoded(value), location.origin) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
