import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build, type Plugin, type Rolldown } from 'vite';
import type { AppDefinition } from './apps.ts';
import { report, weigh } from './budgets.ts';

const WORKER = fileURLToPath(new URL('../shared/sw.ts', import.meta.url));
/** Smaller ones would travel in as many packets. */
const COMPRESS_BYTES_MIN = 500;
/** The system keeps them itself when it installs the app. */
const PICTURE = /^icons\/.*\.png$/;
/** PNG and WOFF2 are compressed already. */
const COMPRESSIBLE = /\.(?:js|css|html|svg|wasm|json|webmanifest)$/;

/** Above this the best quality takes seconds, which a first start would wait for, and gains 12 %. */
const BEST_BYTES_MAX = 256 * 1024;

const brotli = promisify(brotliCompress);
const gzipped = promisify(gzip);

/** After the files are there: what they weigh, the service worker that keeps them, compression. */
export function finish(app: AppDefinition): Plugin {
  return {
    name: 'lumis:finish',
    apply: 'build',
    writeBundle: {
      order: 'post',
      sequential: true,
      async handler(options: Rolldown.NormalizedOutputOptions, bundle: Rolldown.OutputBundle) {
        const folder = options.dir as string;
        const precached = filesBelow(folder).filter((file) => !PICTURE.test(file));
        const { text, over } = report(app, weigh(app, folder, bundle, precached));
        this.info(`\n${text}`);
        if (over.length > 0) {
          this.error(`${app.base} is over its budget: ${over.join(', ')}\n${text}`);
        }
        await buildServiceWorker(app, folder, precached);
        await Promise.all(filesBelow(folder).map((file) => compress(join(folder, file))));
      },
    },
  };
}

/**
 * One classic script, because not every browser takes modules here. Files whose names change with
 * what is in them need no revision; the others get a hash of it, so the list is new when they are.
 */
async function buildServiceWorker(
  app: AppDefinition,
  folder: string,
  files: readonly string[],
): Promise<void> {
  const entries = files.map((file) => ({
    url: app.base + file,
    revision: file.startsWith('assets/') ? null : digest(join(folder, file)),
  }));
  await build({
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    define: {
      __PRECACHE__: JSON.stringify(entries),
      __SHELL__: JSON.stringify(`${app.base}index.html`),
    },
    build: {
      outDir: folder,
      emptyOutDir: false,
      rolldownOptions: { input: WORKER, output: { format: 'iife', entryFileNames: 'sw.js' } },
    },
  });
}

const digest = (path: string) =>
  createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16);

/** Paths relative to `folder`, sorted, so that the same sources make the same bytes. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((item) => item.isFile())
    .map((item) => relative(folder, join(item.parentPath, item.name)).replaceAll('\\', '/'))
    .sort();
}

async function compress(path: string): Promise<void> {
  if (!COMPRESSIBLE.test(path)) return;
  const content = await readFile(path);
  if (content.length < COMPRESS_BYTES_MIN) return;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: content.length > BEST_BYTES_MAX ? 9 : 11,
    [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  await Promise.all([
    brotli(content, { params }).then((packed) => writeFile(`${path}.br`, packed)),
    gzipped(content, { level: 9 }).then((packed) => writeFile(`${path}.gz`, packed)),
  ]);
}
