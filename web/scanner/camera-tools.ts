import type { Rig } from './camera-rig.ts';

/** The newer parts of the track's capabilities, which the DOM's types do not have. */
interface LightAndLens extends MediaTrackCapabilities {
  torch?: boolean;
  zoom?: { min: number; max: number };
}

const ZOOM = 2;

/** Torch, zoom and the other lenses of the camera that runs. */
export function createTools(rig: Rig) {
  let lenses: string[] = [];
  const set = async (constraint: object): Promise<boolean> => {
    const advanced = [constraint] as MediaTrackConstraintSet[];
    const applied = rig.track()?.applyConstraints({ advanced });
    return applied ? applied.then(() => true).catch(() => false) : false;
  };
  const light = async (isOn: boolean) => {
    if (await set({ torch: isOn })) rig.show({ is_torch_on: isOn });
    // a torch that cannot be set is none
    else rig.show({ has_torch: false, is_torch_on: false });
  };
  const bring = async (isNear: boolean) => {
    if (await set({ zoom: isNear ? rig.view().zoom : 1 })) rig.show({ is_zoomed: isNear });
    else rig.show({ zoom: undefined, is_zoomed: false });
  };
  return {
    /** Finds what there is and sets it as it was left: both only once the picture runs. */
    async equip(): Promise<void> {
      const track = rig.track();
      if (!track) return;
      const can = (track.getCapabilities?.() ?? {}) as LightAndLens;
      const zoom = can.zoom && can.zoom.max > 1 ? Math.min(ZOOM, can.zoom.max) : undefined;
      const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
      if (track !== rig.track()) return; // another one runs by now, and is asked itself
      lenses = devices.filter(({ kind }) => kind === 'videoinput').map(({ deviceId }) => deviceId);
      rig.show({ has_torch: can.torch === true, zoom, lenses: lenses.length });
      const { torch, zoom: isNear } = rig.choice();
      if (can.torch && torch) await light(true);
      if (zoom && isNear) await bring(true);
    },
    /** Chooses the lens after the one in use. */
    chooseNext(): void {
      const now = rig.track()?.getSettings().deviceId ?? rig.choice().lens ?? '';
      rig.choose({ lens: lenses[(lenses.indexOf(now) + 1) % lenses.length] });
    },
    toggleTorch(): void {
      const torch = !rig.view().is_torch_on;
      rig.choose({ torch });
      void light(torch);
    },
    toggleZoom(): void {
      const zoom = !rig.view().is_zoomed;
      rig.choose({ zoom });
      void bring(zoom);
    },
  };
}
