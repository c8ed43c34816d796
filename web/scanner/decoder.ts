import type { Decoded, Frame } from './decode.worker.ts';

/** Every so many frames one is searched thoroughly: turned, inverted, blurred codes. */
const HARD_EVERY = 5;
const SIDE_PX = 640;

interface NativeDetector {
  detect(image: CanvasImageSource): Promise<{ rawValue: string }[]>;
}
interface NativeDetectorClass {
  new (options: { formats: string[] }): NativeDetector;
  getSupportedFormats(): Promise<string[]>;
}

export interface Decoder {
  /** The QR in the middle of what the camera shows now; null when there is none. */
  read(video: HTMLVideoElement): Promise<string | null>;
  close(): void;
}

/**
 * Reads QR codes off the main thread. Where the browser itself reads them, it gets the frames
 * first, and our own reader the thorough ones. `onFault`: neither can read here.
 */
export function createDecoder(onFault: () => void): Decoder {
  const worker = new Worker(new URL('./decode.worker.ts', import.meta.url), { type: 'module' });
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const waiting = new Map<number, (text: string | null) => void>();
  let native: NativeDetector | undefined;
  let isAlone = false; // our reader could not be loaded
  let count = 0;

  const search = findNative().then((found) => {
    native = found;
  });
  const fail = async () => {
    isAlone = true;
    await search;
    if (!native) onFault();
  };
  worker.addEventListener('message', ({ data }: MessageEvent<Decoded>) => {
    waiting.get(data.id)?.(data.text);
    waiting.delete(data.id);
    if (data.fault !== undefined) void fail();
  });
  worker.addEventListener('error', fail);

  return {
    async read(video) {
      const { videoWidth, videoHeight } = video;
      const side = Math.min(videoWidth, videoHeight);
      if (!context || side === 0) return null;
      count += 1;
      const isHard = count % HARD_EVERY === 0;
      const size = Math.min(side, SIDE_PX);
      if (canvas.width !== size) {
        canvas.width = size;
        canvas.height = size;
      }
      // what the square on the screen shows, no finer than a reader needs
      const left = (videoWidth - side) / 2;
      const top = (videoHeight - side) / 2;
      context.drawImage(video, left, top, side, side, 0, 0, size, size);
      if (native && (!isHard || isAlone)) {
        const [found] = await native.detect(canvas).catch(() => []);
        return found?.rawValue ?? null;
      }
      const pixels = context.getImageData(0, 0, size, size);
      const frame: Frame = { id: count, pixels, isHard };
      return new Promise((resolve) => {
        waiting.set(frame.id, resolve);
        worker.postMessage(frame, [pixels.data.buffer]);
      });
    },
    close() {
      worker.terminate();
      for (const resolve of waiting.values()) resolve(null);
      waiting.clear();
    },
  };
}

/** The browser's own reader, only where it really lists QR: some have the class and no engine. */
async function findNative(): Promise<NativeDetector | undefined> {
  const { BarcodeDetector } = globalThis as { BarcodeDetector?: NativeDetectorClass };
  const formats = await BarcodeDetector?.getSupportedFormats().catch((): string[] => []);
  if (!BarcodeDetector || !formats?.includes('qr_code')) return undefined;
  return new BarcodeDetector({ formats: ['qr_code'] });
}
