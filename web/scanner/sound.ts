import type { Family } from './verdict.ts';

/** One note: frequency in Hz, when it begins and how long it lasts, in seconds. */
type Note = [frequency: number, begins: number, lasts: number];

const NOTES: Record<Family, Note[]> = {
  ask: [[1319, 0, 0.11]],
  deliver: [
    [880, 0, 0.12],
    [1319, 0.14, 0.2],
  ],
  stop: [[196, 0, 0.6]],
  unsure: [
    [523, 0, 0.13],
    [523, 0.22, 0.13],
  ],
};

/** Milliseconds on, off, on. */
const PULSES: Record<Family, number[]> = {
  ask: [80],
  deliver: [40, 40, 40],
  stop: [120, 80, 120],
  unsure: [60, 60, 60],
};

let context: AudioContext | undefined;

/** Lets the page make sounds later; browsers allow that only from within a tap. */
export function unlockSound(): void {
  context ??= typeof AudioContext === 'undefined' ? undefined : new AudioContext();
  void context?.resume().catch(() => undefined);
}

/** Sounds and shakes for a family of verdicts, as far as the switches allow. */
export function signal(
  family: Family,
  { has_sound, has_vibration }: { has_sound: boolean; has_vibration: boolean },
): void {
  if (has_sound) play(family);
  if (has_vibration) vibrate(family);
}

/** Silent where the browser refuses. */
function play(family: Family): void {
  if (!context) return;
  void context.resume().catch(() => undefined);
  const start = context.currentTime + 0.02;
  for (const [frequency, begins, lasts] of NOTES[family]) {
    const note = context.createOscillator();
    const volume = context.createGain();
    // a low sine is lost in a phone's small speaker
    note.type = family === 'stop' ? 'square' : 'sine';
    note.frequency.value = frequency;
    const loud = family === 'stop' ? 0.25 : 0.5;
    volume.gain.setValueAtTime(0, start + begins);
    volume.gain.linearRampToValueAtTime(loud, start + begins + 0.01);
    volume.gain.setValueAtTime(loud, start + begins + lasts - 0.03);
    volume.gain.linearRampToValueAtTime(0, start + begins + lasts);
    note.connect(volume).connect(context.destination);
    note.start(start + begins);
    note.stop(start + begins + lasts);
  }
}

function vibrate(family: Family): void {
  // before the first tap browsers refuse it, and complain
  if (navigator.userActivation?.hasBeenActive !== false) navigator.vibrate?.(PULSES[family]);
}

/** Whether this device can vibrate at all: the switch is shown only then. */
export const canVibrate = () => 'vibrate' in navigator;
