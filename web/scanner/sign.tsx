import { Line } from '../shared/line.tsx';

/** Only the icons that the first load draws; the shared set is for what comes later. */
const PATHS = {
  settings: 'M4 7h8m4 0h4M4 17h4m4 0h8M14 4.8v4.4M10 14.8v4.4',
  about: 'M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18M12 11v5.5M12 7.6v.01',
  clock: 'M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18M12 7v5.2l3.4 2',
  camera: 'M4 7.5h4L9.5 5h5L16 7.5h4V19H4zM12 10a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4',
  lenses: 'M4 8.5a8.6 8.6 0 0 1 15-1.4M20 3.5v4h-4M20 15.5A8.6 8.6 0 0 1 5 16.9M4 20.5v-4h4',
  torch: 'M7 3h10v3.5L14.5 10v11h-5V10L7 6.5zM12 13v2.5',
  zoom: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13m4.8 11.3L20 20M10.5 8v5M8 10.5h5',
  offline:
    'm3.5 3.5 17 17M5 12.5a10 10 0 0 1 4-2.3m4.6.1a10 10 0 0 1 5.4 2.2M8.5 16a5 5 0 0 1 6-.6M12 19.5v.01',
} as const;

export type SignName = keyof typeof PATHS;

/** A line icon in the colour of the text around it, decoration only. */
export function Sign({ name, size }: { name: SignName; size?: number }) {
  return <Line path={PATHS[name]} size={size} />;
}
