/** The pictures of the README: phones on the ground of the identity. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const TITLES = {
  es: ['Puntos que se canjean en el mostrador', ['Elige', 'Muestra', 'Escanea', 'Entrega']],
  en: ['Points redeemed at the counter', ['Pick', 'Show', 'Scan', 'Hand over']],
} as const;

const FONT = createRequire(import.meta.url).resolve(
  '@fontsource-variable/figtree/files/figtree-latin-wght-normal.woff2',
);

const FACE = `@font-face {
      font-family: Figtree; font-weight: 300 900;
      src: url(data:font/woff2;base64,${readFileSync(FONT).toString('base64')});
    }`;

const source = (png: Buffer) => `data:image/png;base64,${png.toString('base64')}`;

/** A page 1440 wide with rows of six PNGs as phones, each row under its title. */
export function sheet(language: 'es' | 'en', rows: { title: string; phones: Buffer[] }[]): string {
  const sections = rows.map(
    ({ title, phones }) => `<section><h2>${title}</h2><div>
      ${phones.map((png) => `<img src="${source(png)}" alt="">`).join('')}</div></section>`,
  );
  return `<!doctype html><html lang="${language}"><meta charset="utf-8"><title>Lümis</title><style>
    ${FACE}
    * { margin: 0; box-sizing: border-box; }
    body {
      width: 1440px; padding: 28px 36px 44px; color: #241a0e; background: #fffbf2;
      font-family: Figtree, system-ui, sans-serif;
    }
    h2 { font-size: 24px; margin: 20px 0 14px; }
    div { display: flex; gap: 24px; }
    img {
      width: 208px; height: 450px; object-fit: cover; object-position: top; display: block;
      border-radius: 22px; border: 5px solid #241a0e; background: #241a0e;
      box-shadow: 0 14px 28px -12px #241a0e55;
    }
  </style>${sections.join('')}</html>`;
}

/** A page of 1440 × 810 with these PNGs as phones, in order. */
export function poster(language: 'es' | 'en', phones: Buffer[]): string {
  const [title, steps] = TITLES[language];
  const figures = phones.map(
    (png, i) => `<figure class="p${i}"><img src="${source(png)}" alt="">
      <figcaption><b>${i + 1}</b> ${steps[i]}</figcaption></figure>`,
  );
  return `<!doctype html><html lang="${language}"><meta charset="utf-8"><title>Lümis</title><style>
    ${FACE}
    * { margin: 0; box-sizing: border-box; }
    body {
      width: 1440px; height: 810px; overflow: hidden; color: #241a0e;
      font-family: Figtree, system-ui, sans-serif;
      background:
        radial-gradient(circle at 50% 62%, #ffc53d66 0, #ffc53d22 34%, transparent 62%), #fffbf2;
    }
    header { display: flex; align-items: center; gap: 20px; padding: 40px 64px 0; }
    svg { width: 64px; height: 64px; }
    h1 { font-size: 48px; line-height: 1.1; letter-spacing: -0.02em; }
    header p { font-size: 28px; color: #6b5a43; margin-left: auto; }
    main { display: flex; justify-content: center; gap: 56px; padding: 26px 64px 0; }
    figure { width: 264px; }
    .p1, .p3 { margin-top: 26px; }
    img {
      width: 264px; height: 571px; object-fit: cover; object-position: top; display: block;
      border-radius: 30px; border: 7px solid #241a0e; background: #241a0e;
      box-shadow: 0 24px 48px -16px #241a0e55;
    }
    figcaption {
      display: flex; gap: 10px; align-items: center; justify-content: center;
      margin-top: 16px; font-size: 22px; font-weight: 600;
    }
    b {
      display: grid; place-items: center; width: 34px; height: 34px; border-radius: 50%;
      background: #ffc53d; font-size: 18px;
    }
  </style><header>
    <svg viewBox="0 0 64 64" aria-hidden="true"><rect width="64" height="64" rx="16" fill="#ffc53d"/>
      <circle cx="24" cy="14.5" r="4.25" fill="#241a0e"/><circle cx="40" cy="14.5" r="4.25"
        fill="#241a0e"/><path d="M18.5 26v12.5a13.5 13.5 0 0 0 27 0V26" fill="none"
        stroke="#241a0e" stroke-width="7.5" stroke-linecap="round"/></svg>
    <h1>Lümis</h1><p>${title}</p></header><main>${figures.join('')}</main></html>`;
}
