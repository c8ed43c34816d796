import { useSyncExternalStore } from 'react';
import { connect, type OwnDevice, type Paired } from '../../sdk/index.ts';
import { followServer } from '../shared/clock.ts';
import { openStore } from '../shared/store.ts';
import { currentLocale } from '../shared/words.ts';
import type { CameraChoice } from './camera-rig.ts';

/** Everything this app keeps on the phone; gone when the phone loses its access or is unpaired. */
export const store = openStore('lumis.scanner.');
/** What belongs to the phone and not to whoever it is paired with. */
const habits = openStore('lumis.counter.');

let device = readDevice();
const listeners = new Set<() => void>();

/** Who this phone is paired with now; undefined when with nobody. In components `useDevice`. */
export function pairedDevice(): Paired | undefined {
  return device;
}

/** The same; the component is drawn again when it changes. */
export function useDevice(): Paired | undefined {
  return useSyncExternalStore(subscribe, pairedDevice);
}

/** Remembers a pairing in place of an earlier one and of all that belonged to it. */
export function keepDevice(next: Paired): void {
  store.clear();
  store.write('device', next);
  change(next);
}

/** Takes over what the server says of this phone now: names, branch, time zone, scopes. */
export function keepFacts(facts: OwnDevice): void {
  if (!device || facts.device_id !== device.device_id) return;
  const next = { ...device, ...facts };
  if (JSON.stringify(next) === JSON.stringify(device)) return;
  store.write('device', next);
  change(next);
}

/**
 * Forgets this pairing and every code, list and confirmation. False when it is the phone's no
 * longer: what an earlier pairing still hears must not end the one that came after it.
 */
export function forgetDevice({ device_token }: Paired): boolean {
  if (device?.device_token !== device_token) return false;
  store.clear();
  change(undefined);
  return true;
}

function readDevice(): Paired | undefined {
  const kept = store.read<Paired>('device');
  return typeof kept?.device_token === 'string' ? kept : undefined;
}

function change(next: Paired | undefined): void {
  device = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// another tab paired this phone, unpaired it, or learned more of it
addEventListener('storage', ({ key }) => {
  if (key === null || key === 'lumis.scanner.device') change(readDevice());
});

// A person waits at a counter: one repetition, then say so.
export const connection = connect({
  token: () => device?.device_token,
  locale: currentLocale,
  retries: 1,
  deadlineMs: 8000,
});
followServer(() => connection.clockOffsetMs);

export interface Habits {
  has_sound: boolean;
  has_vibration: boolean;
  /** go back to the camera by itself, 4 s after a confirmation */
  goes_on: boolean;
  camera: CameraChoice;
}

/** The switches and the camera as they were left. */
export function readHabits(): Habits {
  const kept = habits.read<Partial<Habits>>('habits');
  return { has_sound: true, has_vibration: true, goes_on: false, camera: {}, ...kept };
}

/** Keeps them for the next shift. */
export function writeHabits(next: Habits): void {
  habits.write('habits', next);
}
