import { useEffect } from 'react';
import type { Paired } from '../../sdk/index.ts';
import { number } from '../shared/format.ts';
import { useWakeLock } from '../shared/wake-lock.ts';
import { useLocale } from '../shared/words.ts';
import { CameraBox } from './camera-view.tsx';
import type { Counter, CounterState } from './counter.ts';
import { useDay } from './day.ts';
import { Manual } from './manual.tsx';
import { Notices } from './notices.tsx';
import { Sign } from './sign.tsx';
import { Today } from './today.tsx';
import { useWords } from './words.ts';

export interface ShiftProps {
  device: Paired;
  counter: Counter;
  state: CounterState;
  /** the server does not know this phone any more */
  onLost(): void;
  /** grows by one when the field should take the focus */
  focus: number;
  /** something lies over the camera */
  isPaused: boolean;
  onText(text: string): boolean;
  onType(): void;
  onSheet(sheet: 'settings' | 'pending'): void;
}

/** The shift: camera, the code by hand, and the day so far. */
export function Shift(props: ShiftProps) {
  const { device, counter, state, isPaused, onText, onType, onLost, onSheet } = props;
  const words = useWords();
  const locale = useLocale();
  const { checking, verdict } = state;
  const day = useDay(onLost);
  const count = day.day?.count;
  useWakeLock(true);
  useEffect(() => {
    if (verdict?.kind === 'confirmed') day.reload();
  }, [verdict?.kind]);

  return (
    <>
      <a class="skip-link" href="#code">
        {words.skip}
      </a>
      <div class="page shift">
        <header class="top">
          <div class="shift-who">
            <h1 class="top-title">{device.merchant_name}</h1>
            <p class="muted small">{device.branch_name}</p>
          </div>
          <a class="today-link" href="#today">
            {words.today}
            {count !== undefined && `: ${words.today_count(number(count, locale), count === 1)}`}
          </a>
          <button
            type="button"
            class="button icon-button"
            aria-label={words.settings}
            onClick={() => onSheet('settings')}
          >
            <Sign name="settings" />
          </button>
        </header>
        <main class="shift-main">
          <div class="stack">
            <Notices state={state} onPending={() => onSheet('pending')} />
            <CameraBox
              aim={words.aim}
              isReading={!checking && !verdict && !isPaused}
              onText={onText}
              onFault={onType}
            >
              <div class="camera-busy" role="status" hidden={!checking}>
                {checking && (
                  <>
                    <span class="spinner" aria-hidden="true" />
                    <p class="strong">{checking.is_slow ? words.slow : words.checking}</p>
                    <p class="code">{checking.shown}</p>
                  </>
                )}
              </div>
            </CameraBox>
            <Manual
              isBusy={checking !== undefined}
              focus={props.focus}
              onReading={(reading) => counter.read(reading, true)}
            />
          </div>
          <Today view={day} canReverse={device.scopes.includes('reverse')} />
        </main>
      </div>
    </>
  );
}
