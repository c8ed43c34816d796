import { useCallback, useEffect, useState } from 'react';
import type { LumisError, Paired } from '../../sdk/index.ts';
import { type Reading, readCode } from './code.ts';
import type { Counter } from './counter.ts';
import { useAlerts, useCounter, useGoingOn, useHabits, useHandScanner } from './hooks.ts';
import { later } from './later.tsx';
import { loadApi } from './load-api.ts';
import { keepFacts, readHabits, writeHabits } from './session.ts';
import { signal, unlockSound } from './sound.ts';
import { Start } from './start.tsx';
import type { CounterState } from './till.ts';
import { useWords } from './words.ts';

export interface DeskProps {
  device: Paired;
  counter: Counter;
  /** what a link wants verified as soon as the shift is on */
  asked: Reading | undefined;
  onAsked(): void;
  /** the pairing is over; with the names of what was never looked up when it was taken away */
  onLeave(lost: string[] | undefined): void;
}

type SheetName = 'settings' | 'pending';

const Shift = later(async () => (await import('./shift.tsx')).Shift, Waking);
const VerdictScreen = later(
  async () => (await import('./verdict-screen.tsx')).VerdictScreen,
  Waking,
);
const SettingsSheet = later(async () => (await import('./settings.tsx')).SettingsSheet);
const PendingSheet = later(async () => (await import('./pending.tsx')).PendingSheet);

/** A paired phone: before and during a shift, with the verdict over everything. */
export function Desk({ device, counter, asked, onAsked, onLeave }: DeskProps) {
  const state = useCounter(counter);
  const { verdict } = state;
  const [habits, change] = useHabits(readHabits, writeHabits);
  const [isOn, setOn] = useState(false);
  const [sheet, setSheet] = useState<SheetName>();
  const [focus, setFocus] = useState(0);
  const closeSheet = useCallback(() => setSheet(undefined), []);
  const lose = useLoss(counter, state, onLeave);
  useEffect(preload, []);
  useEffect(() => scrollTo(0, 0), [isOn]);
  useEffect(() => {
    if (verdict) closeSheet();
  }, [verdict?.kind]);
  useAsked(counter, isOn ? asked : undefined, onAsked);
  useAlerts(state, habits);
  useGoingOn(counter, state, habits.goes_on);
  const read = (text: string) => counter.read(readCode(text, location.origin));
  useHandScanner(isOn && !sheet, read);
  const type = () => setFocus((count) => count + 1);
  const start = () => {
    unlockSound();
    signal('ask', habits);
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
          onType={type}
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
        onEnd={() => setOn(false)}
        onUnpaired={() => onLeave(undefined)}
        onClose={closeSheet}
      />
      {verdict && (
        <VerdictScreen
          verdict={verdict}
          counter={counter}
          zone={device.time_zone}
          onType={type}
          onPending={() => setSheet('pending')}
        />
      )}
    </>
  );
}

/** What a shift draws first is fetched while people still look at the start. */
function preload(): void {
  void Shift.preload();
  void VerdictScreen.preload();
}

/** Verifies what a link asked for, once. */
function useAsked(counter: Counter, asked: Reading | undefined, onAsked: () => void): void {
  useEffect(() => {
    if (!asked) return;
    counter.read(asked, true);
    onAsked();
  }, [asked]);
}

/**
 * Runs the counter while it is on the screen, and leaves when the server no longer knows this phone.
 * Answers how whoever else is told so passes it on.
 */
function useLoss(counter: Counter, state: CounterState, onLeave: DeskProps['onLeave']): () => void {
  const lose = useCallback(() => {
    onLeave(counter.state().pendings.map(({ offer_name, shown }) => offer_name ?? shown));
  }, [counter]);
  useEffect(() => {
    counter.resume();
    return () => counter.stop();
  }, [counter]);
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
  return lose;
}

/** While the shift's own part is on its way. */
function Waking() {
  const words = useWords();
  return (
    <p class="page" role="status">
      {words.camera_starting}
    </p>
  );
}
