import { prepareZXingModule, type ZXingReaderModule } from 'zxing-wasm/reader';
import wasm from 'zxing-wasm/reader/zxing_reader.wasm?url';

/** One frame, and whether to spend more time on it. */
export interface Frame {
  id: number;
  pixels: ImageData;
  isHard: boolean;
}

/** What the frame holds: the text of a QR, null when none was found. */
export interface Decoded {
  id: number;
  text: string | null;
  /** the engine could not be loaded, and never will in this worker */
  fault?: string;
}

/**
 * The engine's own options, as numbers: its wrapper would bring the tables of sixty kinds of bar
 * code, and with them a tenth of what this app may weigh. Zeros are: threshold by local average, no
 * add-on symbols, plain text, character set guessed.
 */
const OPTIONS = {
  formats: 'QRCode',
  tryDenoise: false,
  binarizer: 0,
  isPure: false,
  downscaleFactor: 3,
  downscaleThreshold: 500,
  minLineCount: 2,
  maxNumberOfSymbols: 1,
  validateOptionalChecksum: false,
  returnErrors: false,
  eanAddOnSymbol: 0,
  textMode: 0,
  characterSet: 0,
  tryCode39ExtendedMode: false,
};

const answer = (decoded: Decoded) => postMessage(decoded);

// from our own server only: the library's default is somebody else's
const ready = prepareZXingModule({
  overrides: { locateFile: () => wasm },
  fireImmediately: true,
});
ready.catch((error: unknown) => answer({ id: -1, text: null, fault: String(error) }));

addEventListener('message', async ({ data }: MessageEvent<Frame>) => {
  try {
    answer({ id: data.id, text: read((await ready) as ZXingReaderModule & Memory, data) });
  } catch (error) {
    // one picture that it cannot stand is no reason to give up
    console.warn(error);
    answer({ id: data.id, text: null });
  }
});

/** The engine's memory, whose types Emscripten keeps in a package of its own. */
interface Memory {
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(place: number): void;
}

function read(engine: ZXingReaderModule & Memory, { pixels, isHard }: Frame): string | null {
  const { width, height, data } = pixels;
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i += 1) {
    const at = i * 4;
    const red = data[at] ?? 0;
    const green = data[at + 1] ?? 0;
    const blue = data[at + 2] ?? 0;
    grey[i] = (306 * red + 601 * green + 117 * blue) >> 10;
  }
  const place = engine._malloc(grey.length);
  try {
    engine.HEAPU8.set(grey, place);
    const found = engine.readBarcodesFromPixmap(place, width, height, {
      ...OPTIONS,
      tryHarder: isHard,
      tryRotate: isHard,
      tryInvert: isHard,
      tryDownscale: isHard,
    });
    const first = found.size() > 0 ? found.get(0) : undefined;
    return first?.isValid ? first.text : null;
  } finally {
    engine._free(place);
  }
}
