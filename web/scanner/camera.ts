import { createReader, type Reader } from './camera-reader.ts';
import {
  type CameraParts,
  createRig,
  faultOf,
  NO_TOOLS,
  onGrant,
  openStream,
  type Rig,
  stopTracks,
} from './camera-rig.ts';
import { createTools } from './camera-tools.ts';

export interface Camera {
  start(): void;
  /** Goes on to the next lens that the phone has. */
  nextLens(): void;
  toggleTorch(): void;
  toggleZoom(): void;
  stop(): void;
}

const FROZEN_MS = 2000;
const WATCH_MS = 500;
/** How often a picture that stands still is asked for again before it waits for a tap. */
const RESTARTS = 2;

const isHidden = () => document.visibilityState === 'hidden';

/**
 * Runs the camera: asks for it, lets it go while the page is hidden, asks again when it comes back,
 * wakes a frozen picture, and reads what it shows.
 */
export function createCamera(parts: CameraParts): Camera {
  const rig = createRig(parts);
  const tools = createTools(rig);
  const reader = createReader(parts, rig);
  let run = 0; // each start has a number: what an earlier one still answers is let go
  let restarts = 0;
  let isStopped = true;

  const open = () => {
    run += 1;
    const mine = run;
    rig.release();
    if (isHidden()) return;
    const isOn = () => mine === run;
    void show(rig, reader, { isOn, onFrame: watch.see, onHit, onEnd: wake }).then(tools.equip);
  };
  const onHit = () => {
    restarts = 0;
  };
  const close = () => {
    run += 1;
    rig.release();
  };
  const openAnew = () => {
    restarts = 0;
    open();
  };
  const wake = () => {
    if (isStopped || isHidden()) return;
    restarts += 1;
    if (restarts <= RESTARTS) return open();
    close();
    rig.show({ state: 'asleep' });
  };
  // what nobody looks at needs no waking
  const isWatched = () => rig.view().state === 'live' && parts.isReading();
  const watch = createWatch(parts.video, isWatched, wake);
  const turn = () => (isHidden() ? close() : openAnew());
  const allow = () => {
    if (rig.view().state === 'denied') openAnew();
  };
  let unfollow = () => {};

  return {
    start() {
      reader.mend();
      if (isStopped) {
        watch.start();
        unfollow = follow(turn, allow);
      }
      isStopped = false;
      openAnew();
    },
    nextLens() {
      tools.chooseNext();
      open();
    },
    toggleTorch: tools.toggleTorch,
    toggleZoom: tools.toggleZoom,
    stop() {
      isStopped = true;
      watch.stop();
      unfollow();
      close();
      reader.close();
    },
  };
}

/** Runs `onTurn` when the page comes or goes, `onAllow` when the camera is allowed. To be ended. */
function follow(onTurn: () => void, onAllow: () => void): () => void {
  document.addEventListener('visibilitychange', onTurn);
  const forgetGrant = onGrant(onAllow);
  return () => {
    document.removeEventListener('visibilitychange', onTurn);
    forgetGrant();
  };
}

interface Showing {
  /** false: another picture was asked for meanwhile, or none is wanted any more */
  isOn(): boolean;
  onFrame(): void;
  onHit(): void;
  onEnd(): void;
}

/** Opens the camera, shows its picture, and begins to read it; or shows why there is none. */
async function show(rig: Rig, reader: Reader, showing: Showing): Promise<void> {
  const { isOn, onFrame, onHit, onEnd } = showing;
  rig.show({ state: 'starting', ...NO_TOOLS });
  try {
    const stream = await openStream(rig.choice().lens);
    if (!isOn()) return stopTracks(stream);
    await rig.play(stream, onEnd);
    if (!isOn()) return;
    performance.mark('lumis:preview');
    onFrame();
    rig.show({ state: reader.isBroken() ? 'unreadable' : 'live' });
    void reader.read(isOn, onFrame, onHit);
  } catch (error) {
    if (!isOn()) return;
    rig.release();
    rig.show({ state: faultOf(error) });
  }
}

/** Runs `onFrozen` when the picture has stood still for a while, as long as it is watched. */
function createWatch(video: HTMLVideoElement, isWatched: () => boolean, onFrozen: () => void) {
  let seenAt = 0;
  let frames = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  const see = () => {
    seenAt = performance.now();
  };
  const look = () => {
    // the video's own time runs on when the camera hangs; its frames do not
    const count = video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
    if (count !== frames || !isWatched()) see();
    frames = count;
    if (performance.now() - seenAt > FROZEN_MS) onFrozen();
  };
  return {
    see,
    start() {
      see();
      timer = setInterval(look, WATCH_MS);
    },
    stop: () => clearInterval(timer),
  };
}
