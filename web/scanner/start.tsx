import type { Paired } from '../../sdk/index.ts';
import { Logo } from '../shared/logo.tsx';
import type { CounterState } from './counter.ts';
import { Notices } from './notices.tsx';
import { Sign } from './sign.tsx';
import { useWords } from './words.ts';

export interface StartProps {
  device: Paired;
  state: CounterState;
  onStart(): void;
  onSheet(sheet: 'settings' | 'pending'): void;
}

/** Before the shift. The tap is what browsers want before they give camera and sound. */
export function Start({ device, state, onStart, onSheet }: StartProps) {
  const words = useWords();
  return (
    <main class="page start">
      <header class="top">
        <Logo size={40} />
        <p class="top-title">{words.app}</p>
        <button
          type="button"
          class="button icon-button"
          aria-label={words.settings}
          onClick={() => onSheet('settings')}
        >
          <Sign name="settings" />
        </button>
      </header>
      <Notices state={state} onPending={() => onSheet('pending')} />
      <div class="start-who">
        <h1>{device.merchant_name}</h1>
        <p class="muted">
          {device.branch_name}
          {device.device_name !== device.branch_name &&
            device.device_name &&
            ` · ${device.device_name}`}
        </p>
      </div>
      <button type="button" class="button button-primary start-button" onClick={onStart}>
        <Sign name="camera" size={28} />
        {words.start}
      </button>
      <p class="muted">{words.start_what}</p>
      <section class="card stack start-offline">
        <h2>
          <Sign name="about" />
          {words.offline_title}
        </h2>
        <p>{words.offline_can}</p>
        <p>{words.offline_cannot}</p>
      </section>
    </main>
  );
}
