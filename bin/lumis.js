#!/usr/bin/env node
// Builds when the sources are newer than what was built (a fresh checkout has nothing built yet),
// then runs the command line.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const entry = join(root, 'dist/src/cli/main.js');

function newest(folder) {
  return Math.max(
    ...readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((item) => item.isFile() && item.name.endsWith('.ts'))
      .map((item) => statSync(join(item.parentPath ?? item.path, item.name)).mtimeMs),
  );
}

if (existsSync('.env')) process.loadEnvFile('.env');
if (!existsSync(entry) || newest(join(root, 'src')) > statSync(entry).mtimeMs) {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json');
  const tsc = join(dirname(compiler), 'bin/tsc');
  const built = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.src.json')], {
    stdio: ['ignore', 2, 2],
  });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
await import(entry);
