import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import type { Counter, CounterState } from './counter.ts';
import { createHandScanner } from './hid.ts';
import type { Habits } from './session.ts';
import { signal } from './sound.ts';
import { familyOf } from './verdict.ts';

/** The counter's state; the component is drawn again when it changes. */
export function useCounter(counter: Counter): CounterState {
  return useSyncExternalStore(counter.subscribe, counter.state);
}

/** Whether the phone believes that it has a network. */
export function useIsOnline(): boolean {
  return useSyncExternalStore(followNetwork, () => navigator.onLine);
}

function followNetwork(listener: () => void): () => void {
  addEventListener('online', listener);
  addEventListener('offline', listener);
  return () => {
    removeEventListener('online', listener);
    removeEventListener('offline', listener);
  };
}

/**
 * Hears a hand scanner wherever the focus is, except in a text field, where it simply types. While
 * it types nothing on the page is pressed: its Enter must never confirm what the last code began.
 */
export function useHandScanner(isOn: boolean, onText: (text: string) => void): void {
  const latest = useRef(onText);
  latest.current = onText;
  useEffect(() => {
    if (!isOn) return;
    const scanner = createHandScanner();
    const hear = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
      const wasTyping = scanner.isTyping(event.timeStamp);
      const text = scanner.press(event.key, event.timeStamp);
      if (!wasTyping) return;
      event.preventDefault();
      event.stopPropagation();
      if (text) latest.current(text);
    };
    addEventListener('keydown', hear, true);
    return () => removeEventListener('keydown', hear, true);
  }, [isOn]);
}

const isField = (target: EventTarget | null) =>
  target instanceof HTMLInputElement && target.type !== 'radio' && target.type !== 'checkbox';

/** Sounds and shakes once for each new verdict, never for a repeated look at the same one. */
export function useAlerts({ verdict }: CounterState, habits: Habits): void {
  const last = useRef<string>(undefined);
  const current = useRef(habits);
  current.current = habits;
  useEffect(() => {
    const before = last.current;
    last.current = verdict?.kind;
    if (!verdict || verdict.kind === before || verdict.kind === 'confirming') return;
    signal(familyOf(verdict), current.current);
  }, [verdict]);
}

const GOES_ON_MS = 4000;

/** Goes back to the camera by itself, only from what was confirmed, and only where it is wished. */
export function useGoingOn(counter: Counter, { verdict }: CounterState, isWished: boolean): void {
  const isConfirmed = verdict?.kind === 'confirmed';
  useEffect(() => {
    if (!isConfirmed || !isWished) return;
    const timer = setTimeout(() => counter.close(), GOES_ON_MS);
    return () => clearTimeout(timer);
  }, [isConfirmed, isWished, counter]);
}

/** The switches, kept on the phone as they change. */
export function useHabits(read: () => Habits, write: (habits: Habits) => void) {
  const [habits, setHabits] = useState(read);
  const change = (next: Partial<Habits>) => {
    // the camera writes its own part meanwhile
    const changed = { ...habits, ...next, camera: read().camera };
    write(changed);
    setHabits(changed);
  };
  return [habits, change] as const;
}
