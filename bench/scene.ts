/** What a scenario is given, and what it answers. */

import type { Size } from './fill.ts';
import type { Latency } from './load.ts';
import type { Stage } from './stage.ts';

/** A filled database. */
export interface Filled {
  name: string;
  url: string;
  /** as it was asked for: 100k, 1m, 10m, smoke */
  label: string;
  size: Size;
}

export interface Scene {
  stage: Stage;
  /** the sizes asked for, smallest first */
  databases: Filled[];
  /** the biggest of them: where what is not about growth is measured */
  filled: Filled;
  clients: number[];
  rounds: number;
  /** of one side in one round */
  seconds: number;
  /** how many the memory of a node is watched over */
  requests: number | undefined;
  /** everything tiny: it must run, the figures say nothing */
  smoke: boolean;
  /** for temporary files; removed at the end */
  folder: string;
  say(text: string): void;
}

/** Shares of one core while something was measured: 1.0 is one core busy all the time. */
export interface Cpu {
  /** our nodes, or what stands in their place: bare Fastify */
  node?: number;
  /** who asks: the load, or pgbench */
  load: number;
  postgres: number;
}

/** One line of the table: one side of one question at one number of clients. */
export interface Row {
  /** redeem spread, confirm at one merchant … */
  what: string;
  /** ours, pgbench, bare Fastify, one call per statement … */
  side: string;
  clients: number;
  /** the database's label */
  size: string;
  /** a second, one for each round */
  rates: number[];
  /** one for each round */
  latencies: Latency[];
  /** of all rounds together */
  cpu?: Cpu;
  note?: string;
}

/** A bar and what was found: speed never fails a run. */
export interface Verdict {
  what: string;
  /** as it is printed: `≥ 1.2`, `< 100 ms` */
  wanted: string;
  found: string;
  ok: boolean;
}

export interface Outcome {
  rows: Row[];
  verdicts: Verdict[];
  /** what must never be, in words: a 5xx, a row lost or doubled, an invariant broken */
  wrong: string[];
  /** what a reader of the figures should know */
  notes: string[];
}

export type Scenario = (scene: Scene) => Promise<Outcome>;
