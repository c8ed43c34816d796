import { useEffect, useState } from 'react';
import type * as screens from '../screens/later.ts';
import { useWords } from '../words/index.ts';
import { Loading } from './states.tsx';

type Screens = typeof screens;

let loaded: Screens | undefined;
let loading: Promise<Screens> | undefined;

/** Fetches the screens that the first page does without. */
export function loadScreens(): Promise<Screens> {
  loading ??= import('../screens/later.ts').then(
    (all) => {
      loaded = all;
      return all;
    },
    (error) => {
      loading = undefined; // so that another try is one
      throw error;
    },
  );
  return loading;
}

/** One of those screens, as soon as it is there. */
export function Later({ children }: { children(all: Screens): preact.ComponentChildren }) {
  const words = useWords();
  const [all, setAll] = useState(loaded);
  const [hasFailed, setFailed] = useState(false);
  useEffect(() => {
    if (all || hasFailed) return;
    loadScreens().then(setAll, () => setFailed(true));
  }, [all, hasFailed]);
  if (all) return <>{children(all)}</>;
  if (!hasFailed) return <Loading rows={3} />;
  return (
    <div class="empty" role="alert">
      <p>{words.app.failedNetwork}</p>
      <button type="button" class="button button-quiet" onClick={() => setFailed(false)}>
        {words.app.retry}
      </button>
    </div>
  );
}
