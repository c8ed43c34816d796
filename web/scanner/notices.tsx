import { useUpdate } from '../shared/pwa.ts';
import { Status } from '../shared/status.tsx';
import type { CounterState } from './counter.ts';
import { useIsOnline } from './hooks.ts';
import { store } from './session.ts';
import { Sign } from './sign.tsx';
import { useWords } from './words.ts';

/** What must be known besides the scanning: no network, things pending, a new version. */
export function Notices({ state, onPending }: { state: CounterState; onPending(): void }) {
  const words = useWords();
  const isOnline = useIsOnline();
  const update = useUpdate();
  const isKept = store.isPersistent && state.is_kept;
  // a reload would take the verdict away, or the answer that is on its way
  const isIdle = !state.verdict && !state.checking;
  const pending = [
    state.pendings.length > 0 && words.unanswered(state.pendings.length),
    state.tray.length > 0 && words.tray(state.tray.length),
  ].filter(Boolean);

  return (
    <Status class="notices stack">
      {!isOnline && (
        <p class="banner">
          <Sign name="offline" size={20} />
          <span>{words.offline_now}</span>
        </p>
      )}
      {pending.length > 0 && (
        <p class="banner banner-attention">
          <Sign name="clock" size={20} />
          <span>{pending.join(', ')}</span>
          <button type="button" class="button button-plain" onClick={onPending}>
            {words.see}
          </button>
        </p>
      )}
      {!isKept && <p class="banner banner-attention">{words.not_kept}</p>}
      {update.isReady && isIdle && (
        <p class="banner">
          <span>{words.update}</span>
          <button type="button" class="button button-plain" onClick={update.apply}>
            {words.update_do}
          </button>
        </p>
      )}
    </Status>
  );
}
