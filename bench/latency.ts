import type { Latency } from './load.ts';

/** Latencies as they come, in milliseconds: all of them, so that percentiles are exact. */
export class Latencies {
  #values = new Float64Array(1024);
  #count = 0;

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const more = new Float64Array(this.#count * 2);
      more.set(this.#values);
      this.#values = more;
    }
    this.#values[this.#count] = ms;
    this.#count += 1;
  }

  summary(): Latency {
    return summarize(this.#values.subarray(0, this.#count));
  }
}

/** Count, mean and percentiles of values, which it sorts in place; zeros for none. */
export function summarize(values: Float64Array): Latency {
  values.sort();
  const sum = values.reduce((total, value) => total + value, 0);
  return {
    count: values.length,
    mean: values.length > 0 ? sum / values.length : 0,
    p50: percentile(values, 50),
    p90: percentile(values, 90),
    p99: percentile(values, 99),
    max: percentile(values, 100),
  };
}

/** The smallest of the sorted values that `percent` of them do not exceed; 0 for none. */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  const at = Math.ceil((sorted.length * percent) / 100) - 1;
  return sorted[Math.max(0, at)] ?? 0;
}
