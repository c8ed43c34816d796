import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useRef, useState } from 'react';
import { Status } from '../shared/status.tsx';
import { type Camera, createCamera } from './camera.ts';
import type { CameraState, CameraView } from './camera-rig.ts';
import { readHabits, writeHabits } from './session.ts';
import { Sign, type SignName } from './sign.tsx';
import { useWords } from './words.ts';

/** After so long without a hit the person at the counter gets a hint. */
const HINT_MS = 6000;

export interface CameraBoxProps {
  /** what to aim at */
  aim: string;
  isReading: boolean;
  /** answers whether it was taken up: the same code, seen again, is not */
  onText(text: string): boolean;
  /** the camera cannot be used: the owner offers the keyboard */
  onFault?(state: CameraState): void;
  /** lies over the picture while something is being done */
  children?: ComponentChildren;
}

/** The picture with its frame, its buttons, and in place of it what is wrong with the camera. */
export function CameraBox({ aim, isReading, onText, onFault, children }: CameraBoxProps) {
  const words = useWords();
  const { video, camera, view } = useCamera(isReading, onText);
  const state = view?.state ?? 'starting';
  const latest = useRef(onFault);
  latest.current = onFault;
  useEffect(() => {
    // a picture that only fell asleep is woken where it is
    if (isFault(state) && state !== 'asleep') latest.current?.(state);
  }, [state]);

  return (
    <section class="camera" aria-label={words.camera} data-state={state}>
      <div class="camera-picture">
        <video ref={video} muted playsInline aria-hidden="true" tabIndex={-1} />
        {state === 'live' && <div class="camera-frame" aria-hidden="true" />}
        {isFault(state) ? (
          <Fault state={state} onRetry={() => camera.current?.start()} />
        ) : (
          <Hint isLooking={state === 'live' && isReading}>
            {state === 'starting' ? words.camera_starting : aim}
          </Hint>
        )}
        {children}
      </div>
      {state === 'live' && view && hasTools(view) && <Tools view={view} camera={camera} />}
    </section>
  );
}

/** The camera for as long as the component is there, and what is known of it. */
function useCamera(isReading: boolean, onText: (text: string) => boolean) {
  const video = useRef<HTMLVideoElement>(null);
  const camera = useRef<Camera>(undefined);
  const latest = useRef({ isReading, onText });
  latest.current = { isReading, onText };
  const [view, setView] = useState<CameraView>();
  useEffect(() => {
    if (!video.current) return;
    const started = createCamera({
      video: video.current,
      choice: readHabits().camera,
      onChoice: (choice) => writeHabits({ ...readHabits(), camera: choice }),
      onView: setView,
      onText: (text) => latest.current.onText(text),
      isReading: () => latest.current.isReading,
    });
    camera.current = started;
    started.start();
    return () => started.stop();
  }, []);
  return { video, camera, view };
}

interface ToolsProps {
  view: CameraView;
  camera: RefObject<Camera | undefined>;
}

/** The buttons for what this camera can do. */
function Tools({ view, camera }: ToolsProps) {
  const words = useWords();
  return (
    <div class="camera-tools">
      {view.has_torch && (
        <Tool
          icon="torch"
          label={words.torch}
          isOn={view.is_torch_on}
          onClick={() => camera.current?.toggleTorch()}
        />
      )}
      {view.zoom && (
        <Tool
          icon="zoom"
          label={words.zoom}
          isOn={view.is_zoomed}
          onClick={() => camera.current?.toggleZoom()}
        />
      )}
      {view.lenses > 1 && (
        <Tool icon="lenses" label={words.next_lens} onClick={() => camera.current?.nextLens()} />
      )}
    </div>
  );
}

/** What to do with the camera, and after a while without a hit, what to try. */
function Hint({ isLooking, children }: { isLooking: boolean; children: ComponentChildren }) {
  const words = useWords();
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    setLong(false);
    if (!isLooking) return;
    const timer = setTimeout(() => setLong(true), HINT_MS);
    return () => clearTimeout(timer);
  }, [isLooking]);
  return <Status class="camera-hint">{isLong ? words.lens : children}</Status>;
}

interface ToolProps {
  icon: SignName;
  label: string;
  isOn?: boolean;
  onClick(): void;
}

function Tool({ icon, label, isOn, onClick }: ToolProps) {
  return (
    <button type="button" class="camera-tool" aria-pressed={isOn} onClick={onClick}>
      <Sign name={icon} size={24} />
      {label}
    </button>
  );
}

/** Why there is no picture, and the way out. */
function Fault({ state, onRetry }: { state: CameraState; onRetry(): void }) {
  const words = useWords();
  const said: Partial<Record<CameraState, [title: string, how?: string]>> = {
    denied: [words.camera_denied, words.camera_denied_how],
    missing: [words.camera_missing, words.camera_missing_how],
    busy: [words.camera_busy, words.camera_busy_how],
    insecure: [words.camera_insecure, words.camera_insecure_how],
    asleep: [words.camera_asleep],
    unreadable: [words.camera_unreadable, words.camera_unreadable_how],
  };
  const [title, how] = said[state] ?? [];
  return (
    <div class="camera-fault">
      <div role="status">
        <p class="strong">{title}</p>
        {how && <p>{how}</p>}
      </div>
      {state === 'denied' && (
        <details>
          <summary>{words.camera_denied_show}</summary>
          <ol>
            {words.camera_denied_steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        </details>
      )}
      {state !== 'insecure' && (
        <button type="button" class="button button-primary" onClick={onRetry}>
          {state === 'asleep' ? words.camera_asleep_do : words.retry}
        </button>
      )}
    </div>
  );
}

const hasTools = ({ has_torch, zoom, lenses }: CameraView) => has_torch || !!zoom || lenses > 1;

const isFault = (state: CameraState) => state !== 'starting' && state !== 'live';
