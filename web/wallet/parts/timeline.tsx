import { useTimeline } from '../state/queries.ts';
import { useWords } from '../words/all.ts';
import { useFormat } from './format.ts';
import { Loading } from './states.tsx';

/** What became of a redemption, step by step, with place, time and the points that moved. */
export function TimelineList({ redemption_id }: { redemption_id: string }) {
  const words = useWords();
  const { dateTime, change } = useFormat();
  const { data, isPending } = useTimeline(redemption_id, true);
  if (!data) {
    return isPending ? <Loading rows={2} /> : <p class="muted">{words.timeline.unavailable}</p>;
  }
  if (data.data.length === 0) return <p class="muted">{words.timeline.none}</p>;
  return (
    <ol class="timeline">
      {data.data.map(({ action, at, merchant_name, branch_name, lumis }) => (
        <li key={`${action} ${at}`} data-action={action}>
          <p class="row row-apart">
            <span class="strong">{words.timeline[action]}</span>
            {lumis !== null && lumis !== 0 && <span class="strong amount">{change(lumis)}</span>}
          </p>
          <p class="muted small">
            {[merchant_name, branch_name]
              .filter((place) => place !== null)
              .map((place) => (
                <span key={place}>
                  <bdi>{place}</bdi> ·{' '}
                </span>
              ))}
            <time datetime={at}>{dateTime(at)}</time>
          </p>
        </li>
      ))}
    </ol>
  );
}
