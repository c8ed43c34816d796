import type { CameraParts, Rig } from './camera-rig.ts';
import { createDecoder } from './decoder.ts';

const PACE_MS = 60;

export type Reader = ReturnType<typeof createReader>;

/** Reads what the camera shows, frame after frame. */
export function createReader({ video, isReading, onText }: CameraParts, rig: Rig) {
  let isBroken = false;
  const load = () =>
    createDecoder(() => {
      isBroken = true;
      if (rig.view().state === 'live') rig.show({ state: 'unreadable' });
    });
  let decoder = load();
  return {
    isBroken: () => isBroken,
    /** Loads the engine again where that failed. */
    mend(): void {
      if (!isBroken) return;
      decoder.close();
      isBroken = false;
      decoder = load();
    },
    close: () => decoder.close(),
    /** Reads while `isOn`; tells `onFrame` of each new picture and `onHit` of each text. */
    async read(isOn: () => boolean, onFrame: () => void, onHit: () => void): Promise<void> {
      while (isOn()) {
        await nextFrame(video);
        if (!isOn()) return;
        onFrame();
        const frame = performance.now();
        const text = isReading() ? await decoder.read(video) : null;
        if (!isOn()) return;
        if (text && isReading()) {
          onHit();
          if (onText(text)) performance.mark('lumis:frame', { startTime: frame });
        }
        await pause(PACE_MS - (performance.now() - frame));
      }
    },
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

/** The next picture, where the browser tells; a frozen one is the watchdog's business. */
function nextFrame(video: HTMLVideoElement): Promise<unknown> {
  if (!('requestVideoFrameCallback' in video)) return pause(PACE_MS);
  return new Promise((resolve) => video.requestVideoFrameCallback(resolve));
}
