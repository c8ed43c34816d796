/** What the two apps are to a phone, and how heavy each may be. */

const KIB = 1024;

export interface AppDefinition {
  /** its folder below web/, which is also the mode Vite is called with */
  folder: 'wallet' | 'scanner';
  /** where it is served; its folder below dist/pages/ has the same name */
  base: '/wallet/' | '/scan/';
  manifest: { name: string; short_name: string; description: string };
  /** bytes; script and style compressed with brotli, font and precache as they are */
  budget: { script: number; style: number; font: number; precache: number };
}

export const APPS: readonly AppDefinition[] = [
  {
    folder: 'wallet',
    base: '/wallet/',
    manifest: {
      name: 'Lümis',
      short_name: 'Lümis',
      description: 'Tus Lümis, tus ofertas y tus canjes.',
    },
    budget: { script: 35 * KIB, style: 10 * KIB, font: 21 * KIB, precache: 400 * KIB },
  },
  {
    folder: 'scanner',
    base: '/scan/',
    manifest: {
      name: 'Lümis Caja',
      short_name: 'Lümis Caja',
      description: 'Escanea y confirma los canjes de tu comercio.',
    },
    budget: { script: 28 * KIB, style: 6 * KIB, font: 21 * KIB, precache: 1126 * KIB },
  },
];

/** The web app manifest: what is shown while the app is installed and started. */
export function manifestOf({ base, manifest }: AppDefinition): string {
  const icon = (file: string, sizes: string, purpose: string) => ({
    src: `${base}icons/${file}`,
    sizes,
    type: file.endsWith('.svg') ? 'image/svg+xml' : 'image/png',
    purpose,
  });
  return JSON.stringify({
    id: base,
    ...manifest,
    lang: 'es',
    dir: 'ltr',
    start_url: base,
    scope: base,
    display: 'standalone',
    background_color: '#fffbf2',
    theme_color: '#fffbf2',
    icons: [
      icon('icon.svg', 'any', 'any'),
      icon('icon-192.png', '192x192', 'any'),
      icon('icon-512.png', '512x512', 'any'),
      icon('maskable-512.png', '512x512', 'maskable'),
    ],
  });
}
