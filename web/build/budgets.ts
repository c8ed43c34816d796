import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import type { Rolldown } from 'vite';
import type { AppDefinition } from './apps.ts';

export interface Weight {
  name: keyof AppDefinition['budget'];
  bytes: number;
  most: number;
}

/**
 * What the app weighs against what it may: `script` is all that the first load runs (the entry,
 * what it imports, the boot script and workers; not what is loaded later), `precache` all that is
 * kept for offline use.
 */
export function weigh(
  app: AppDefinition,
  folder: string,
  bundle: Rolldown.OutputBundle,
  precached: readonly string[],
): Weight[] {
  const read = (file: string) => readFileSync(join(folder, file));
  const packed = (file: string) => brotliCompressSync(read(file)).length;
  const plain = (file: string) => read(file).length;
  const names = Object.keys(bundle);
  const ending = (end: string) => names.filter((name) => name.endsWith(end));
  const sum = (files: readonly string[], size: (file: string) => number) =>
    files.reduce((total, file) => total + size(file), 0);
  const bytes = {
    script: sum(firstLoad(bundle), packed),
    style: sum(ending('.css'), packed),
    font: sum(ending('.woff2'), plain),
    precache: sum(precached, plain),
  };
  return (Object.keys(bytes) as Weight['name'][]).map((name) => ({
    name,
    bytes: bytes[name],
    most: app.budget[name],
  }));
}

/** The table as it is printed, and the names of what is too heavy. */
export function report(app: AppDefinition, weights: readonly Weight[]) {
  const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;
  const lines = weights.map(
    ({ name, bytes, most }) => `  ${app.base} ${name}: ${kib(bytes)} of ${kib(most)}`,
  );
  const over = weights.filter(({ bytes, most }) => bytes > most).map(({ name }) => name);
  return { text: lines.join('\n'), over };
}

function firstLoad(bundle: Rolldown.OutputBundle): string[] {
  const found = new Set<string>();
  const follow = (name: string) => {
    const file = bundle[name];
    if (!file || found.has(name)) return;
    found.add(name);
    if (file.type === 'chunk') file.imports.forEach(follow);
  };
  for (const [name, file] of Object.entries(bundle)) {
    if (file.type === 'chunk' ? file.isEntry : name.endsWith('.js')) follow(name);
  }
  return [...found];
}
