/** A hand scanner types faster than this between two keys, in ms; people do not. */
const GAP_MS = 100;
const SHORTEST = 8;

export interface HandScanner {
  /**
   * Feeds one key (`KeyboardEvent.key`, and when, in ms). Answers what was scanned when the key is
   * the Enter or Tab that ends a burst; otherwise undefined.
   */
  press(key: string, at: number): string | undefined;
  /** Whether a burst is under way, so that its keys must not push buttons. */
  isTyping(at: number): boolean;
}

/** Tells a USB or Bluetooth scanner, which is a keyboard to us, from a person at a keyboard. */
export function createHandScanner(): HandScanner {
  let typed = '';
  let last = Number.NEGATIVE_INFINITY;
  return {
    press(key, at) {
      const isBurst = at - last <= GAP_MS;
      // modifiers come between the letters of a burst, and are none
      if (key.length > 1 && key !== 'Enter' && key !== 'Tab') return undefined;
      last = at;
      if (key.length === 1) {
        typed = isBurst ? typed + key : key;
        return undefined;
      }
      const scanned = isBurst && typed.length >= SHORTEST ? typed : undefined;
      typed = '';
      return scanned;
    },
    isTyping: (at) => typed.length > 2 && at - last <= GAP_MS,
  };
}
