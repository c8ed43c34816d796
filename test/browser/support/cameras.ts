/** Cameras that Chromium's fake one cannot be: scripts that stand in for getUserMedia. */

/**
 * A camera drawn on a canvas, as a script to run before the page's own. It reads nothing: it is for
 * what surrounds reading. In the page, `window.lumisCamera` has
 * - `opened`: how many times it was opened, `constraints`: what was asked for, each time
 * - `applied`: what was set on the track since (torch, zoom)
 * - `freeze()` no more frames come, though the track lives; `end()` the system took the camera away
 * `capabilities` is what the track says of itself, such as `{ torch: true }`.
 */
export function drawnCamera(capabilities: object = {}): string {
  return `(() => {
    const camera = { opened: 0, constraints: [], applied: [], live: [] };
    window.lumisCamera = camera;
    const open = async (constraints) => {
      camera.opened += 1;
      camera.constraints.push(constraints);
      const canvas = document.createElement('canvas');
      canvas.width = 640;
      canvas.height = 480;
      const brush = canvas.getContext('2d');
      let turn = 0;
      const draw = () => {
        brush.fillStyle = '#d8d0c4';
        brush.fillRect(0, 0, 640, 480);
        brush.fillStyle = '#888';
        brush.fillRect((turn += 5) % 640, 200, 20, 20);
      };
      draw();
      const stream = canvas.captureStream(15);
      let timer = setInterval(draw, 60);
      const [track] = stream.getVideoTracks();
      const settings = track.getSettings();
      track.getCapabilities = () => ({ deviceId: 'drawn', ...${JSON.stringify(capabilities)} });
      track.getSettings = () => ({ ...settings, deviceId: 'drawn', facingMode: 'environment' });
      track.applyConstraints = async (wanted) => {
        camera.applied.push(wanted);
      };
      camera.freeze = () => clearInterval(timer);
      camera.end = () => {
        track.stop();
        track.dispatchEvent(new Event('ended'));
      };
      camera.live.push(track);
      return stream;
    };
    navigator.mediaDevices.getUserMedia = open;
  })();`;
}

/** A camera that another program holds: opening it fails, `times` times. */
export function busyCamera(times = 1000): string {
  return `(() => {
    const devices = navigator.mediaDevices;
    const open = devices.getUserMedia.bind(devices);
    let left = ${times};
    devices.getUserMedia = (constraints) =>
      left-- > 0
        ? Promise.reject(new DOMException('Could not start video source', 'NotReadableError'))
        : open(constraints);
  })();`;
}

/** The phone's clock is wrong by so many milliseconds; timers run as ever. */
export function wrongClock(byMs: number): string {
  return `(() => {
    const Right = Date;
    const off = ${byMs};
    window.Date = class extends Right {
      constructor(...args) {
        if (args.length === 0) super(Right.now() + off);
        else super(...args);
      }
      static now() {
        return Right.now() + off;
      }
    };
  })();`;
}

/**
 * Storage that is `full` (every write throws) or `forbidden` (even to look at it throws, as with
 * cookies blocked).
 */
export function brokenStorage(how: 'full' | 'forbidden'): string {
  if (how === 'full') {
    return `Storage.prototype.setItem = () => {
      throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
    };`;
  }
  return `for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches']) {
    Object.defineProperty(window, name, {
      get() { throw new DOMException('Access is denied for this document.', 'SecurityError'); },
    });
  }`;
}

/** Keeps in `window.lumisShakes` and `window.lumisTones` what was felt and heard. */
export const LISTENING = `(() => {
  window.lumisShakes = [];
  window.lumisTones = [];
  navigator.vibrate = (pattern) => {
    window.lumisShakes.push([pattern].flat().join('-'));
    return true;
  };
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...args) {
    window.lumisTones.push(this.frequency.value);
    return start.apply(this, args);
  };
})();`;
