import { setTimeout as sleep } from 'node:timers/promises';

/** What one bite of a long job did. */
export interface Bite {
  rows: number;
  /** where it ended, for the next one to begin; null when nothing is left */
  last: string | null;
}

/**
 * Does a long job in small bites: no lock for long, no huge transaction. Each begins where the one
 * before ended: what is done stays in the index until VACUUM, and whoever looked for the oldest row
 * from the start each time would read all of it again. Between two it rests `rests` times as long as
 * the last one took: with 1, requests keep half of the database at least; with 0 a bite rests itself.
 *
 * The first bite gets null. Stops early when `signal` fires. Returns how many rows in all.
 */
export async function inBites(
  run: (from: string | null) => Promise<Bite>,
  signal?: AbortSignal,
  rests = 1,
): Promise<number> {
  let all = 0;
  for (let from: string | null = null; !signal?.aborted; ) {
    const began = performance.now();
    const { rows, last } = await run(from);
    all += rows;
    if (last === null) break;
    from = last;
    await rest(rests * (performance.now() - began), signal);
  }
  return all;
}

/** Returns at once when `signal` fires: whoever stops does not wait. */
export async function rest(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
}
