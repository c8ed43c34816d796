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

/** What the parts of a running camera share: what is seen of it, what was chosen, its picture. */
export interface Rig {
  view(): CameraView;
  show(change: Partial<CameraView>): void;
  choice(): CameraChoice;
  choose(change: CameraChoice): void;
  track(): MediaStreamTrack | undefined;
  /** Shows this picture; `onEnd` when the phone takes the camera away. */
  play(stream: MediaStream, onEnd: () => void): Promise<void>;
  release(): void;
}

/** What is known of the tools before the picture runs. */
export const NO_TOOLS = {
  has_torch: false,
  is_torch_on: false,
  zoom: undefined,
  is_zoomed: false,
};

/** A camera that is off, as it was left. */
export function createRig(
  parts: Pick<CameraParts, 'video' | 'choice' | 'onChoice' | 'onView'>,
): Rig {
  const { video, onView, onChoice } = parts;
  let { choice } = parts;
  let view: CameraView = { state: 'starting', lenses: 0, ...NO_TOOLS };
  let stream: MediaStream | undefined;
  return {
    view: () => view,
    show(change) {
      view = { ...view, ...change };
      onView(view);
    },
    choice: () => choice,
    choose(change) {
      choice = { ...choice, ...change };
      onChoice(choice);
    },
    track: () => stream?.getVideoTracks()[0],
    async play(next, onEnd) {
      stream = next;
      for (const track of next.getVideoTracks()) track.onended = onEnd;
      video.srcObject = next;
      await video.play();
    },
    release() {
      for (const track of stream?.getTracks() ?? []) {
        track.onended = null;
        track.stop();
      }
      stream = undefined;
      video.srcObject = null;
    },
  };
}

/**
 * Asks for the lens of last time, else for one that looks away from the person. Rejects with what
 * getUserMedia does, and with SecurityError where pages get no camera at all.
 */
export async function openStream(lens: string | undefined): Promise<MediaStream> {
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

/** Lets go of a picture that nobody waits for any more. */
export function stopTracks(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** What to tell a person whose camera did not open. */
export function faultOf(error: unknown): CameraState {
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

/** Runs `onGrant` when the camera is allowed in the browser's own settings. Answers how to stop. */
export function onGrant(then: () => void): () => void {
  let isOver = false;
  let permission: PermissionStatus | undefined;
  void navigator.permissions
    ?.query({ name: 'camera' as PermissionName })
    .then((found) => {
      if (isOver) return;
      permission = found;
      found.onchange = () => {
        if (found.state === 'granted') then();
      };
    })
    .catch(() => undefined);
  return () => {
    isOver = true;
    if (permission) permission.onchange = null;
  };
}
