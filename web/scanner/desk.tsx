import { useCallback, useEffect, useState } from 'react';
import type { LumisError, Paired } from '../../sdk/index.ts';
import { readCode } from './code.ts';
import type { Counter } from './counter.ts';
import { useAlerts, useCounter, useGoingOn, useHabits, useHandScanner } from './hooks.ts';
import { later } from './later.tsx';
import { loadApi } from './load-api.ts';
import { keepFacts, readHabits, writeHabits } from './session.ts';
import { playSound, unlockSound, vibrate } from './sound.ts';
import { Start } from './start.tsx';
import { VerdictScreen } from './verdict-screen.tsx';
import { useWords } from './words.ts';

export interface DeskProps {
  device: Paired;
  counter: Counter;
  /** the pairing is over; with the names of what was never looked up when it was taken away */
  onLeave(lost: string[] | undefined): void;
}

const Shift = later(async () => (await import('./shift.tsx')).Shift, Waking);
const SettingsSheet = later(async () => (await import('./settings.tsx')).SettingsSheet);
const PendingSheet = later(async () => (await import('./pending.tsx')).PendingSheet);

/** A paired phone: before and during a shift, with the verdict over everything. */
export function Desk({ device, counter, onLeave }: DeskProps) {
  const state = useCounter(counter);
  const [habits, change] = useHabits(readHabits, writeHabits);
  const [isOn, setOn] = useState(false);
  const [sheet, setSheet] = useState<'settings' | 'pending'>();
  const [focus, setFocus] = useState(0);
  const lose = useCallback(() => {
    onLeave(counter.state().pendings.map(({ offer_name, shown }) => offer_name ?? shown));
  }, [counter]);
  const closeSheet = useCallback(() => setSheet(undefined), []);

  useEffect(() => {
    counter.resume();
    return () => counter.stop();
  }, [counter]);
  useEffect(() => void Shift.preload(), []);
  useEffect(() => {
    // names change, scopes are given and taken, and a phone that was revoked is told at once
    const ask = async () => keepFacts(await (await loadApi()).merchant.device());
    ask().catch((error: LumisError) => {
      if (error.code === 'unauthorized') lose();
    });
  }, [lose]);
  useEffect(() => {
    if (state.is_access_lost) lose();
  }, [state.is_access_lost, lose]);
  useEffect(() => {
    if (state.verdict) setSheet(undefined);
  }, [state.verdict?.kind]);
  useAlerts(state, habits);
  useGoingOn(counter, state, habits.goes_on);
  const read = (text: string) => counter.read(readCode(text, location.origin));
  useHandScanner(isOn && !sheet, read);

  const start = () => {
    unlockSound();
    if (habits.has_sound) playSound('ask');
    if (habits.has_vibration) vibrate('ask');
    setOn(true);
  };
  return (
    <>
      {isOn ? (
        <Shift
          device={device}
          counter={counter}
          state={state}
          onLost={lose}
          focus={focus}
          isPaused={sheet !== undefined}
          onText={read}
          onType={() => setFocus((count) => count + 1)}
          onSheet={setSheet}
        />
      ) : (
        <Start device={device} state={state} onStart={start} onSheet={setSheet} />
      )}
      <PendingSheet
        isOpen={sheet === 'pending'}
        state={state}
        counter={counter}
        zone={device.time_zone}
        onClose={closeSheet}
      />
      <SettingsSheet
        isOpen={sheet === 'settings'}
        habits={habits}
        isOnShift={isOn}
        onChange={change}
        onEnd={() => {
          setSheet(undefined);
          setOn(false);
        }}
        onUnpaired={() => onLeave(undefined)}
        onClose={closeSheet}
      />
      {state.verdict && (
        <VerdictScreen
          verdict={state.verdict}
          counter={counter}
          zone={device.time_zone}
          onType={() => {
            counter.close();
            setFocus((count) => count + 1);
          }}
          onPending={() => {
            counter.close();
            setSheet('pending');
          }}
        />
      )}
    </>
  );
}

/** While the shift's own part is on its way. */
function Waking() {
  const words = useWords();
  return (
    <p class="page waking" role="status">
      {words.camera_starting}
    </p>
  );
}
