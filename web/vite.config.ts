import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { APPS } from './build/apps.ts';
import { finish } from './build/finish.ts';
import { shell } from './build/shell.ts';

const path = (below: string) => fileURLToPath(new URL(below, import.meta.url));

/**
 * Leaves import() as the browser has it. Vite wraps it to preload styles and other files of what is
 * loaded later, of which we have none; that costs more than a kilobyte.
 */
function bareImports(): Plugin {
  return {
    name: 'lumis:bare-imports',
    enforce: 'pre',
    apply: 'build',
    load(id) {
      if (id !== '\0vite/preload-helper.js') return undefined;
      return 'export const __vitePreload = (load) => load();';
    },
  };
}

/**
 * One app at a time: `vite build --mode wallet` or `--mode scanner`, into dist/pages/wallet/ and
 * dist/pages/scan/. The code is written against React's API and runs on Preact, a quarter its size.
 */
export default defineConfig(({ mode }) => {
  const app = APPS.find(({ folder }) => folder === mode);
  if (!app) throw new Error(`--mode must be ${APPS.map(({ folder }) => folder).join(' or ')}`);
  return {
    root: path(app.folder),
    base: app.base,
    publicDir: false,
    cacheDir: path(`../node_modules/.vite/${app.folder}`),
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    resolve: {
      alias: [
        { find: /^react-dom\/client$/, replacement: 'preact/compat/client' },
        {
          find: /^react(-dom)?$/,
          // the scanner's budget has no room for what only other people's React code needs
          replacement: app.folder === 'scanner' ? path('scanner/react.ts') : 'preact/compat',
        },
        // for versions of React without it
        { find: /^use-sync-external-store\/shim.*/, replacement: 'preact/compat' },
        { find: /^react\/jsx-(dev-)?runtime$/, replacement: 'preact/jsx-runtime' },
      ],
    },
    plugins: [bareImports(), shell(app), finish(app)],
    worker: { format: 'es' },
    build: {
      outDir: path(`../dist/pages${app.base}`),
      emptyOutDir: true,
      target: 'es2022',
      // data: addresses would need a hole in the pages' policy, and cannot be cached apart
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      // one style: nothing to fetch with what is loaded later
      cssCodeSplit: false,
      reportCompressedSize: false,
      rolldownOptions: {
        // what the first page needs comes in one file: it packs better, and in one round trip
        output: { codeSplitting: { groups: [{ name: 'first', tags: ['$initial'] }] } },
        onLog(level, log, report) {
          // libraries mark what is not for servers, here is none; and a slow machine is no fault
          if (!['MODULE_LEVEL_DIRECTIVE', 'PLUGIN_TIMINGS'].includes(log.code ?? '')) {
            report(level, log);
          }
        },
      },
    },
    server: { proxy: { '/api': 'http://127.0.0.1:8000' } },
  };
});
