import { Icon } from '../shared/icons.tsx';
import { useMoreWords as useWords } from './words-more.ts';

/** The server no longer knows this phone: nothing else can be done here. */
export function Stopped({ unanswered, onPair }: { unanswered: string[]; onPair(): void }) {
  const words = useWords();
  return (
    <main class="page stopped">
      <div role="alert" class="stack">
        <Icon name="cross-octagon" size={72} />
        <h1>{words.stopped}</h1>
        <p>{words.stopped_what}</p>
        {unanswered.length > 0 && <p class="strong">{words.stopped_open(unanswered.join(', '))}</p>}
      </div>
      <button type="button" class="button button-primary button-large button-wide" onClick={onPair}>
        {words.stopped_do}
      </button>
    </main>
  );
}
