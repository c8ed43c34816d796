#!/usr/bin/env node
/**
 * Builds the web apps into dist/pages/: `node bin/web.js [--sizes] [wallet] [scanner]`, both without
 * a name. With `--sizes` it says what they weigh against what they may.
 * Each is built aside and then put in place whole, so that neither an interruption nor a second
 * build at the same time leaves half an app. The last thing written is dist/pages/.built.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of each app below web/, and below dist/pages/, where it is named as it is served. */
const FOLDERS = { wallet: 'wallet', scanner: 'scan' };

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'dist/pages');
const named = process.argv.slice(2).filter((argument) => argument !== '--sizes');
const showsSizes = process.argv.includes('--sizes');

try {
  mkdirSync(output, { recursive: true });
  const { build } = await import('vite');
  for (const mode of named.length > 0 ? named : Object.keys(FOLDERS)) {
    const aside = join(output, `.${mode}-${process.pid}`);
    try {
      await build({
        configFile: join(root, 'web/vite.config.ts'),
        // without writing a compiled copy of the configuration anywhere
        configLoader: 'runner',
        mode,
        logLevel: showsSizes ? 'info' : 'warn',
        build: { outDir: aside },
      });
      const place = join(output, FOLDERS[mode]);
      rmSync(place, { recursive: true, force: true });
      renameSync(aside, place);
    } finally {
      rmSync(aside, { recursive: true, force: true });
    }
  }
  if (named.length === 0) writeFileSync(join(output, '.built'), '');
} catch (error) {
  const [what] = String(error.message ?? error).split(/\n\s+at /);
  console.error(`The web apps could not be built: ${what}`);
  process.exitCode = 1;
}
