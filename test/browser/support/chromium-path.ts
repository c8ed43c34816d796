import { accessSync, constants } from 'node:fs';

/** Where Chromium is. Throws with what to do about it when it is nowhere. */
export function chromiumPath(): string {
  const path = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    throw new Error(
      `Chromium is not at ${path}: install it (apt install chromium) or set CHROMIUM_PATH`,
    );
  }
}
