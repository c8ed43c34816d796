import { Line } from './line.tsx';

/**
 * Drawn on a 24 × 24 grid with a stroke of 2. The first four are verdicts: their shape says what
 * their colour says.
 */
const PATHS = {
  'tick-circle': 'M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19M7.8 12.4l3 3 5.6-6.2',
  'cross-octagon':
    'M8.1 2.5h7.8l5.6 5.6v7.8l-5.6 5.6H8.1l-5.6-5.6V8.1zM8.7 8.7l6.6 6.6m0-6.6-6.6 6.6',
  'exclamation-circle': 'M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19M12 7v6m0 3.6v.01',
  diamond: 'M12 2.2 21.8 12 12 21.8 2.2 12zM12 7.5V13m0 3.3v.01',
  tick: 'm5 12.5 4.5 4.5L19 7',
  cross: 'm6 6 12 12M18 6 6 18',
  back: 'M19 12H5m6-7-7 7 7 7',
  next: 'm9 5 7 7-7 7',
  copy: 'M9 9h11v11H9zM5.5 15H4V4h11v1.5',
  clock: 'M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18M12 7v5.2l3.4 2',
  home: 'M4 11 12 4l8 7v9h-5.5v-5.5h-5V20H4z',
  history: 'M4 4.5V9h4.5M4.4 9A8.5 8.5 0 1 1 3.5 13M12 8v4.5l3 1.8',
  list: 'M9 6h11M9 12h11M9 18h11M4.5 6v.01m0 5.99v.01m0 5.99v.01',
  settings: 'M4 7h8m4 0h4M4 17h4m4 0h8M14 4.8v4.4M10 14.8v4.4',
  qr: 'M4 4h6v6H4zm10 0h6v6h-6zM4 14h6v6H4zm10 0h2.5v2.5H14zm6 0v.01M14 20v.01M17.5 20H20v-2.5',
  camera: 'M4 7.5h4L9.5 5h5L16 7.5h4V19H4zM12 10a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4',
  torch: 'M7 3h10v3.5L14.5 10v11h-5V10L7 6.5zM12 13v2.5',
  offline:
    'm3.5 3.5 17 17M5 12.5a10 10 0 0 1 4-2.3m4.6.1a10 10 0 0 1 5.4 2.2M2 9a14.6 14.6 0 0 1 4-2.5m4.6-1.3A14.6 14.6 0 0 1 22 9M8.5 16a5 5 0 0 1 6 -.6M12 19.5v.01',
  reload: 'M20 12a8 8 0 1 1-2.6-5.9L20 8.5M20 3.5v5h-5',
  search: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13m4.8 11.3L20 20',
  gift: 'M4 8h16v4H4zm1.5 4v8.5h13V12M12 8v12.5M12 8C9 8 7.5 6.8 7.5 5.3S10.8 3.4 12 8c1.2-4.6 4.5-4.2 4.5-2.7S15 8 12 8',
  out: 'M13 4H5v16h8M10 12h11m-4-4.5 4.5 4.5-4.5 4.5',
} as const;

export type IconName = keyof typeof PATHS;

export interface IconProps {
  name: IconName;
  /** width and height in CSS pixels */
  size?: number;
  /** what it says, where no text beside it does; without it the icon is decoration */
  label?: string;
  class?: string;
}

/** A line icon in the colour of the text around it. */
export function Icon({ name, ...rest }: IconProps) {
  return <Line path={PATHS[name]} {...rest} />;
}
