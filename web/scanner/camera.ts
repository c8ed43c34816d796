import { createDecoder } from './decoder.ts';

/** `asleep`: it stopped and did not come back by itself; a tap wakes it. */
export type CameraState =
  | 'starting'
  | 'live'
  | 'denied'
  | 'missing'
  | 'busy'
  | 'insecure'
  | 'asleep'
  | 'unreadable';

export interface CameraView {
  state: CameraState;
  has_torch: boolean;
  is_torch_on: boolean;
  /** the factor the button sets, where the lens can */
  zoom: number | undefined;
  is_zoomed: boolean;
  lenses: number;
}

/** What the phone remembers of its camera between shifts. */
export interface CameraChoice {
  lens?: string | undefined;
  torch?: boolean;
  zoom?: boolean;
}

export interface CameraParts {
  video: HTMLVideoElement;
  choice: CameraChoice;
  onChoice(choice: CameraChoice): void;
  onView(view: CameraView): void;
  /** answers whether it was taken up */
  onText(text: string): boolean;
  /** whether frames are wanted now: not while a verdict is up */
  isReading(): boolean;
}

export interface Camera {
  start(): void;
  /** Goes on to the next lens that the phone has. */
  nextLens(): void;
  toggleTorch(): void;
  toggleZoom(): void;
  stop(): void;
}

/** The newer parts of the track's capabilities, which the DOM's types do not have. */
interface LightAndLens extends MediaTrackCapabilities {
  torch?: boolean;
  zoom?: { min: number; max: number };
}

const FROZEN_MS = 2000;
const WATCH_MS = 500;
const PACE_MS = 60;
const ZOOM = 2;
const NOTHING = { has_torch: false, is_torch_on: false, zoom: undefined, is_zoomed: false };

/**
 * Runs the camera: asks for it, lets it go while the page is hidden, asks again when it comes back,
 * wakes a frozen picture, and reads what it shows.
 */
export function createCamera(parts: CameraParts): Camera {
  const { video, onView, onText, isReading } = parts;
  let choice = parts.choice;
  let view: CameraView = { state: 'starting', lenses: 0, ...NOTHING };
  let lenses: string[] = [];
  let stream: MediaStream | undefined;
  let run = 0; // each start has a number: what an earlier one still answers is let go
  let restarts = 0;
  let frameAt = 0;
  let frames = 0;
  let isStopped = true;
  let isBroken = false;
  const load = () =>
    createDecoder(() => {
      isBroken = true;
      show({ state: 'unreadable' });
    });
  let decoder = load();

  const show = (change: Partial<CameraView>) => {
    view = { ...view, ...change };
    onView(view);
  };
  const choose = (change: CameraChoice) => {
    choice = { ...choice, ...change };
    parts.onChoice(choice);
  };
  const track = () => stream?.getVideoTracks()[0];
  const release = () => {
    for (const each of stream?.getTracks() ?? []) {
      each.onended = null;
      each.stop();
    }
    stream = undefined;
    video.srcObject = null;
  };

  const open = async () => {
    run += 1;
    const mine = run;
    release();
    if (document.visibilityState === 'hidden') return;
    show({ state: 'starting', ...NOTHING });
    try {
      const opened = await openStream(choice.lens);
      if (mine !== run || isStopped) return stopTracks(opened);
      stream = opened;
      const live = track();
      if (live) live.onended = wake;
      video.srcObject = opened;
      await video.play();
      if (mine !== run) return;
      frameAt = performance.now();
      performance.mark('lumis:preview');
      show({ state: isBroken ? 'unreadable' : 'live' });
      await equip();
      void scan(mine);
    } catch (error) {
      if (mine === run) show({ state: faultOf(error) });
    }
  };

  /** Torch and zoom are known, and can be set, only once the picture runs. */
  const equip = async () => {
    const can = (track()?.getCapabilities?.() ?? {}) as LightAndLens;
    const zoom = can.zoom && can.zoom.max > 1 ? Math.min(ZOOM, can.zoom.max) : undefined;
    const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    lenses = devices.filter(({ kind }) => kind === 'videoinput').map(({ deviceId }) => deviceId);
    show({ has_torch: can.torch === true, zoom, lenses: lenses.length });
    if (can.torch && choice.torch) await light(true);
    if (zoom && choice.zoom) await bring(true);
  };
  const set = async (constraint: object): Promise<boolean> => {
    const applied = track()?.applyConstraints({
      advanced: [constraint] as MediaTrackConstraintSet[],
    });
    return applied ? applied.then(() => true).catch(() => false) : false;
  };
  const light = async (isOn: boolean) => {
    if (await set({ torch: isOn })) show({ is_torch_on: isOn });
    // a torch that cannot be set is none
    else show({ has_torch: false, is_torch_on: false });
  };
  const bring = async (isNear: boolean) => {
    if (await set({ zoom: isNear ? view.zoom : 1 })) show({ is_zoomed: isNear });
    else show({ zoom: undefined, is_zoomed: false });
  };

  const scan = async (mine: number) => {
    while (mine === run && !isStopped) {
      await nextFrame(video);
      if (mine !== run) return;
      frameAt = performance.now();
      if (!isReading()) {
        await pause(PACE_MS);
        continue;
      }
      const frame = performance.now();
      const text = await decoder.read(video);
      if (mine !== run) return;
      if (text && isReading()) {
        restarts = 0;
        if (onText(text)) performance.mark('lumis:frame', { startTime: frame });
      }
      await pause(PACE_MS - (performance.now() - frame));
    }
  };

  /** A picture that stands still is asked for again once, and then waits for a tap. */
  const wake = () => {
    if (isStopped || document.visibilityState === 'hidden') return;
    restarts += 1;
    if (restarts <= 2) return void open();
    run += 1;
    release();
    show({ state: 'asleep' });
  };
  const watch = () => {
    if (view.state !== 'live') return;
    // a picture nobody sees now is not announced, but still counted
    const count = video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
    if (count !== frames || !isReading()) frameAt = performance.now();
    frames = count;
    if (performance.now() - frameAt > FROZEN_MS) wake();
  };
  const turn = () => {
    if (document.visibilityState === 'hidden') {
      run += 1;
      release();
    } else if (!isStopped) {
      restarts = 0;
      void open();
    }
  };
  let watcher: ReturnType<typeof setInterval> | undefined;
  void navigator.permissions
    ?.query({ name: 'camera' as PermissionName })
    .then((permission) => {
      permission.onchange = () => {
        if (!isStopped && permission.state === 'granted' && view.state === 'denied') void open();
      };
    })
    .catch(() => undefined);

  return {
    start() {
      restarts = 0;
      if (isBroken) {
        decoder.close();
        isBroken = false;
        decoder = load();
      }
      if (isStopped) {
        document.addEventListener('visibilitychange', turn);
        watcher = setInterval(watch, WATCH_MS);
      }
      isStopped = false;
      void open();
    },
    nextLens() {
      const now = track()?.getSettings().deviceId ?? choice.lens ?? '';
      choose({ lens: lenses[(lenses.indexOf(now) + 1) % lenses.length] });
      void open();
    },
    toggleTorch() {
      choose({ torch: !view.is_torch_on });
      void light(!view.is_torch_on);
    },
    toggleZoom() {
      choose({ zoom: !view.is_zoomed });
      void bring(!view.is_zoomed);
    },
    stop() {
      isStopped = true;
      run += 1;
      clearInterval(watcher);
      document.removeEventListener('visibilitychange', turn);
      release();
      decoder.close();
    },
  };
}

async function openStream(lens: string | undefined): Promise<MediaStream> {
  // absent on plain http, except on this very machine
  if (!navigator.mediaDevices) throw new DOMException('', 'SecurityError');
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
  const ask = (video: MediaTrackConstraints) =>
    navigator.mediaDevices.getUserMedia({ video: { ...size, ...video }, audio: false });
  const back = { facingMode: { ideal: 'environment' } };
  if (!lens) return ask(back);
  return ask({ deviceId: { exact: lens } }).catch((error: DOMException) => {
    // the lens of last time is gone
    if (error.name === 'OverconstrainedError') return ask(back);
    throw error;
  });
}

function faultOf(error: unknown): CameraState {
  switch ((error as DOMException).name) {
    case 'NotAllowedError':
      return 'denied';
    case 'SecurityError':
      return 'insecure';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'missing';
    case 'NotReadableError':
      return 'busy';
    default:
      return 'asleep';
  }
}

const stopTracks = (stream: MediaStream) => {
  for (const track of stream.getTracks()) track.stop();
};

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

/** The next picture, where the browser tells; a frozen one is the watchdog's business. */
function nextFrame(video: HTMLVideoElement): Promise<unknown> {
  if (!('requestVideoFrameCallback' in video)) return pause(PACE_MS);
  return new Promise((resolve) => video.requestVideoFrameCallback(resolve));
}
