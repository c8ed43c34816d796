/** Sets an entry of a memory that holds `max` at most: the oldest goes for a new one. */
export function setBounded<Key, Value>(
  memory: Map<Key, Value>,
  max: number,
  key: Key,
  value: Value,
): void {
  memory.set(key, value);
  for (const oldest of memory.keys()) {
    if (memory.size <= max) break;
    memory.delete(oldest);
  }
}
