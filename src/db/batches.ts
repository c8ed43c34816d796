/**
 * Repeats a statement that handles at most `size` rows and returns their number as `rows`, until
 * one handles fewer: no table-long lock, no huge transaction. Stops early when `signal` fires.
 * Returns how many rows in all.
 */
export async function inBatches(
  size: number,
  run: () => Promise<{ rows: number }[]>,
  signal?: AbortSignal,
): Promise<number> {
  let all = 0;
  for (let rows = size; rows === size && !signal?.aborted; all += rows) {
    rows = (await run())[0]?.rows ?? 0;
  }
  return all;
}
