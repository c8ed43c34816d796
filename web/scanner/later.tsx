import type { ComponentType } from 'preact';
import { useEffect, useState } from 'react';
import { useWords } from './words.ts';

/**
 * A part of the page that is loaded when it is first drawn, or with `preload` before that.
 * `Meanwhile` stands in its place until then; where it cannot be loaded, a way to try again does,
 * if it is a whole screen.
 */
export function later<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  Meanwhile?: ComponentType,
) {
  let part: ComponentType<Props> | undefined;
  const preload = async () => {
    part ??= await load().catch(() => undefined);
    return part ? 'ready' : 'failed';
  };
  function Later(props: Props) {
    const [state, setState] = useState('loading');
    useEffect(() => {
      if (!part) void preload().then(setState);
    }, []);
    const Part = part;
    if (Part) return <Part {...props} />;
    if (!Meanwhile) return null;
    return state === 'failed' ? <Failed /> : <Meanwhile />;
  }
  return Object.assign(Later, { preload });
}

/** The file is not there: no network before the app was kept, or another version is served now. */
function Failed() {
  const words = useWords();
  return (
    <main class="page stopped">
      <h1 class="top-title">{words.not_loaded}</h1>
      <button
        type="button"
        class="button button-primary button-large button-wide"
        onClick={() => location.reload()}
      >
        {words.retry}
      </button>
    </main>
  );
}
