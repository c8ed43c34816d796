import type { Database } from '../db/pool.ts';

/** Who waits, by which connection they leave, and how many together. */
export interface Lanes<One> {
  /** how many wait */
  waiting(): number;
  push(one: One): void;
  /** The groups whose time has come; each is under way until its `end` is called. */
  departures(): Iterable<{ lane: Database; rows: One[]; end: () => void }>;
  /** Whether nothing is under way. */
  areIdle(): boolean;
}

/** Where rows have subjects: as many processes of PostgreSQL as one of ours can keep busy. */
export const LANES = 2;
/**
 * Rows of one group. The gain of one more row is spent by then (a commit is shared by so many
 * already), while all of them hold their locks until the last is done.
 */
const ROWS_MAX = 128;
/**
 * Groups of a lane under way, on its one connection: while the database runs one, the next has
 * arrived already, and begins when it ends. On two connections they would wait for each other at a hot
 * offer.
 */
const UNDER_WAY_MAX = 2;
/** Fewer do not leave while another lane is busy: two small groups cost more than a larger one later. */
const BESIDE_MIN = 32;

/**
 * Opens lanes, each with a connection of its own (`db.lane()`). What is under way in one is about
 * nothing that is in another, so that none waits for another's locks; without subjects there must be
 * one lane.
 */
export function openLanes<One extends { subjects: readonly string[] }>(
  databases: readonly Database[],
): Lanes<One> {
  const lanes = databases.map((db) => ({
    db,
    groups: [] as { size: number; subjects: Set<string> }[],
    /** how many must have come before it looks again for who may leave beside the others */
    nextLook: 0,
  }));
  type Lane = (typeof lanes)[number];
  let waiting: One[] = [];
  let arrived = 0;

  /** Takes out who may leave by a lane now, if anybody. */
  const take = (lane: Lane): One[] => {
    const others = lanes.filter((other) => other !== lane && other.groups.length > 0);
    // with one under way the next leaves early when it is as large: it would not be small
    const least = Math.max(others.length > 0 ? BESIDE_MIN : 1, lane.groups.at(-1)?.size ?? 0);
    if (lane.groups.length === UNDER_WAY_MAX || waiting.length < least) return [];
    if (others.length === 0) return waiting.splice(0, ROWS_MAX);
    if (arrived < lane.nextLook) return [];
    const groups = others.flatMap((other) => other.groups);
    const free = waiting.filter(({ subjects }) =>
      subjects.every((about) => !groups.some((group) => group.subjects.has(about))),
    );
    // each that comes is one more at most; and where very many wait, a look must not cost each of them
    lane.nextLook = arrived + Math.max(least - free.length, waiting.length >> 3);
    if (free.length < least) return [];
    const leaving = new Set(free.slice(0, ROWS_MAX));
    waiting = waiting.filter((one) => !leaving.has(one));
    return [...leaving];
  };
  const begin = (lane: Lane, rows: One[]) => {
    const group = { size: rows.length, subjects: new Set(rows.flatMap((one) => one.subjects)) };
    lane.groups.push(group);
    const end = () => {
      lane.groups.splice(lane.groups.indexOf(group), 1);
      for (const each of lanes) each.nextLook = 0;
    };
    return { lane: lane.db, rows, end };
  };

  return {
    waiting: () => waiting.length,
    push(one) {
      arrived += 1;
      waiting.push(one);
    },
    *departures() {
      for (const lane of lanes) {
        for (let rows = take(lane); rows.length > 0; rows = take(lane)) yield begin(lane, rows);
      }
    },
    areIdle: () => lanes.every(({ groups }) => groups.length === 0),
  };
}
