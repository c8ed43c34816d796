import { readFileSync } from 'node:fs';
import type { HtmlTagDescriptor, Plugin } from 'vite';
import { minifySync } from 'vite';
import { type AppDefinition, manifestOf } from './apps.ts';
import { MARK_SVG, markPng } from './mark.ts';

const ICONS: Record<string, () => string | Buffer> = {
  'icon.svg': () => MARK_SVG,
  'icon-192.png': () => markPng(192, false),
  'icon-512.png': () => markPng(512, false),
  'maskable-512.png': () => markPng(512, true),
  'apple-180.png': () => markPng(180, true),
};

/**
 * What every page needs in its head besides its own: the script that runs before the first paint,
 * the font's preload, icons, manifest and the colours of the browser's bars. In its body the comment
 * `<!-- mark 64 -->` becomes the mark, so many pixels wide.
 */
export function shell(app: AppDefinition): Plugin {
  return {
    name: 'lumis:shell',
    apply: 'build',
    buildStart() {
      const source = readFileSync(new URL('../shared/boot.js', import.meta.url), 'utf8');
      const { code } = minifySync('boot.js', source);
      this.emitFile({ type: 'asset', name: 'boot.js', source: code });
      for (const [file, draw] of Object.entries(ICONS)) {
        this.emitFile({ type: 'asset', fileName: `icons/${file}`, source: draw() });
      }
      this.emitFile({
        type: 'asset',
        fileName: 'manifest.webmanifest',
        source: manifestOf(app),
      });
    },
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle = {} }) {
        const fileOf = (pattern: RegExp) => {
          const found = Object.keys(bundle).find((name) => pattern.test(name));
          if (!found) throw new Error(`${app.folder}: no file like ${pattern} was built`);
          return app.base + found;
        };
        const tags = headOf(app, fileOf(/boot-[\w-]+\.js$/), fileOf(/\.woff2$/));
        return { html: withMark(html), tags };
      },
    },
  };
}

function withMark(html: string): string {
  return html.replace(/<!-- mark (\d+) -->/g, (_, size: string) =>
    MARK_SVG.replace('<svg ', `<svg width="${size}" height="${size}" aria-hidden="true" `),
  );
}

function headOf({ base }: AppDefinition, boot: string, font: string): HtmlTagDescriptor[] {
  const head = (tag: string, attrs: Record<string, string | boolean>): HtmlTagDescriptor => ({
    tag,
    attrs,
    injectTo: 'head',
  });
  const bar = (scheme: string, content: string) =>
    head('meta', { name: 'theme-color', content, media: `(prefers-color-scheme: ${scheme})` });
  return [
    head('meta', { name: 'color-scheme', content: 'light dark' }),
    bar('light', '#fffbf2'),
    bar('dark', '#17120b'),
    head('link', { rel: 'preload', href: font, as: 'font', type: 'font/woff2', crossorigin: true }),
    head('script', { src: boot }),
    head('link', { rel: 'icon', href: `${base}icons/icon.svg`, type: 'image/svg+xml' }),
    head('link', { rel: 'apple-touch-icon', href: `${base}icons/apple-180.png` }),
    head('link', { rel: 'manifest', href: `${base}manifest.webmanifest` }),
  ];
}
