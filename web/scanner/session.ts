import { connect, type OwnDevice, type Paired } from '../../sdk/index.ts';
import { followServer } from '../shared/clock.ts';
import { openStore } from '../shared/store.ts';
import { currentLocale } from '../shared/words.ts';
import type { CameraChoice } from './camera.ts';

/** Everything this app keeps on the phone; gone when the phone loses its access or is unpaired. */
export const store = openStore('lumis.scanner.');
/** What belongs to the phone and not to whoever it is paired with. */
const habits = openStore('lumis.counter.');

let device = store.read<Paired>('device');

/** Who this phone is paired with; undefined when with nobody. */
export function pairedDevice(): Paired | undefined {
  return typeof device?.device_token === 'string' ? device : undefined;
}

/** Remembers a pairing in place of an earlier one and of all that belonged to it. */
export function keepDevice(next: Paired): void {
  store.clear();
  device = next;
  store.write('device', next);
}

/** Takes over what the server says of this phone now: names, branch, time zone, scopes. */
export function keepFacts(facts: OwnDevice): void {
  if (!device || facts.device_id !== device.device_id) return;
  device = { ...device, ...facts };
  store.write('device', device);
}

/** Forgets the pairing and every code, list and confirmation. */
export function forgetDevice(): void {
  device = undefined;
  store.clear();
}

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
