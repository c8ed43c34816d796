/** How far the server's clock is ahead of this one, learned from answers. */
export interface Clock {
  /** milliseconds to add to `Date.now()`; 0 until something was learned */
  readonly offsetMs: number;
  /** takes the `Date` header of an answer, and when by this clock it was asked and answered */
  learn(date: string | null, sentAt: number, receivedAt: number): void;
}

/**
 * A `Date` header says the second in which the server answered, between `sentAt` and `receivedAt`:
 * the offset lies between (date − received) and (date + 1 s − sent). Every answer narrows that, so
 * that a few of them tell it better than the second that one header is worth.
 */
export function createClock(): Clock {
  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  return {
    get offsetMs() {
      return least > Number.NEGATIVE_INFINITY ? Math.round((least + most) / 2) : 0;
    },
    learn(date, sentAt, receivedAt) {
      const second = Date.parse(date ?? '');
      const from = second - receivedAt;
      const to = second + 1000 - sentAt;
      // also not a number, and a clock that was set back while we waited
      if (!(from < to)) return;
      least = Math.max(least, from);
      most = Math.min(most, to);
      // somebody set one of the clocks: what was learned before is worth nothing
      if (least > most) [least, most] = [from, to];
    },
  };
}
