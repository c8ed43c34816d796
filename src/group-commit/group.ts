import { Failure } from '../core/failure.ts';
import { type Database, isOutage } from '../db/pool.ts';

/**
 * Group commit: what arrives while a statement is under way leaves with the next one.
 *
 * A commit costs about the same for one row as for a hundred: a round trip, a flush of the log, and
 * on a hot offer the wait for its one lock. So each call of a verb takes everybody along who came
 * meanwhile. Nobody waits for company: with nothing under way a request leaves at once, by itself,
 * and the busier it gets the larger the groups become. There is no timer.
 */
export interface Group<Row, Result> {
  /**
   * What the verb answers for this row. Throws what it throws for the row alone, and `overloaded`
   * when too many wait already.
   */
  submit(row: Row): Promise<Result>;
  /** Resolves when nothing waits and nothing is under way: after the server, before the database. */
  drain(): Promise<void>;
}

export interface GroupOptions<Row> {
  /**
   * What a row is about, and everything that decides its answer. Rows of the same `key` are never in
   * one group; with the same `request` too they are one row, and share its answer. Without it every
   * row is its own.
   */
  identify?: (row: Row) => { key: string; request: string };
  /**
   * What rows are about that would wait for each other. With it there is a second lane while many
   * wait, for those that are about nothing that is under way in the first one.
   */
  subject?: (row: Row) => string;
  /** told the size of each group that leaves */
  onDeparture?: (rows: number) => void;
}

/**
 * Rows of one group. The gain of one more row is spent by then (a commit is shared by so many
 * already), while all of them hold their locks until the last is done.
 */
const ROWS_MAX = 128;
/** Rows that wait, beyond which the next is told to come back: about a second's work. */
const WAITING_MAX = 2000;
/**
 * Transactions under way. Two groups of a lane, on its one connection: while the database runs one,
 * the next has arrived already, and begins when it ends. Of rows whose group failed, each by itself,
 * so many that most connections stay free.
 */
const UNDER_WAY_MAX = { together: 2, alone: 8 };
/** As many processes of PostgreSQL as one of ours can keep busy. */
const LANES_MAX = 2;
/** Fewer rows do not leave beside another lane: two small groups cost more than a larger one later. */
const BESIDE_MIN = 32;
/**
 * How long a group waits for a lock. Its rows then go one by one, with the usual patience: a row
 * that somebody holds for long must not keep all the others waiting behind it.
 */
const GROUP_LOCK_TIMEOUT_MS = 250;

interface Waiting<Row, Result> {
  row: Row;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** Opens the group of one verb: `run` takes rows and answers each, in their order. */
export function openGroup<Row, Result>(
  db: Database,
  run: (db: Database, rows: readonly Row[]) => Promise<readonly Result[]>,
  { identify, subject, onDeparture }: GroupOptions<Row> = {},
): Group<Row, Result> {
  type Rows = Waiting<Row, Result>[];
  const lanes = Array.from({ length: subject ? LANES_MAX : 1 }, () => ({
    db: db.lane(GROUP_LOCK_TIMEOUT_MS),
    groups: [] as { size: number; subjects: Set<string> }[],
    /** how many must wait before another look can find enough */
    nextLook: 0,
  }));
  type Lane = (typeof lanes)[number];
  let together: Rows = [];
  const alone: Rows = [];
  let aloneUnderWay = 0;
  const onEmpty: (() => void)[] = [];
  const subjectOf = ({ row }: Rows[number]) => subject?.(row) ?? '';

  /** Runs rows; gives back how to tell everybody, when the next ones are on their way. */
  const depart = async (lane: Lane | undefined, rows: Rows): Promise<() => void> => {
    onDeparture?.(rows.length);
    try {
      const results = await run(
        lane?.db ?? db,
        rows.map(({ row }) => row),
      );
      return () => {
        for (const [i, { resolve }] of rows.entries()) resolve(results[i] as Result);
      };
    } catch (error) {
      // One row that cannot be decided has undone them all: the others are decided without it. What
      // failed because the database is away, or in doubt, fails for all.
      const isFinal = lane === undefined || isOutage(error);
      if (!isFinal) alone.push(...rows);
      return () => {
        if (isFinal) for (const { reject } of rows) reject(error);
      };
    }
  };
  /** Takes out who may leave by a lane now, if anybody. */
  const next = (lane: Lane): Rows => {
    const others = lanes.filter((other) => other !== lane && other.groups.length > 0);
    // with one under way the next leaves early when it is as large: it would not be small
    const least = Math.max(others.length > 0 ? BESIDE_MIN : 1, lane.groups.at(-1)?.size ?? 0);
    if (lane.groups.length === UNDER_WAY_MAX.together) return [];
    if (together.length < Math.max(least, lane.nextLook)) return [];
    if (others.length === 0) return together.splice(0, ROWS_MAX);
    const taken = others.flatMap(({ groups }) => groups);
    const free = together.filter((one) => {
      const about = subjectOf(one);
      return !taken.some(({ subjects }) => subjects.has(about));
    });
    lane.nextLook = together.length + least - free.length;
    if (free.length < least) return [];
    const leaving = new Set(free.slice(0, ROWS_MAX));
    together = together.filter((one) => !leaving.has(one));
    return [...leaving];
  };
  const send = (lane: Lane, rows: Rows) => {
    const group = { size: rows.length, subjects: new Set(rows.map(subjectOf)) };
    lane.groups.push(group);
    void depart(lane, rows).then((tell) => {
      lane.groups.splice(lane.groups.indexOf(group), 1);
      for (const lane of lanes) lane.nextLook = 0;
      leave(); // first, so that the database works while this process answers
      tell();
    });
  };
  const sendAlone = (one: Rows[number]) => {
    aloneUnderWay += 1;
    void depart(undefined, [one]).then((tell) => {
      aloneUnderWay -= 1;
      leave();
      tell();
    });
  };
  const isEmpty = () => aloneUnderWay === 0 && lanes.every(({ groups }) => groups.length === 0);
  const leave = () => {
    for (const lane of lanes) {
      for (let rows = next(lane); rows.length > 0; rows = next(lane)) send(lane, rows);
    }
    for (const one of alone.splice(0, UNDER_WAY_MAX.alone - aloneUnderWay)) sendAlone(one);
    if (isEmpty()) for (const tell of onEmpty.splice(0)) tell();
  };
  const enter = (row: Row) =>
    new Promise<Result>((resolve, reject) => {
      if (together.length + alone.length >= WAITING_MAX) {
        throw new Failure('overloaded', { retryAfterSeconds: 1 });
      }
      together.push({ row, resolve, reject });
      leave();
    });

  return {
    submit: identify ? oncePerKey(identify, enter) : enter,
    async drain() {
      if (isEmpty()) return;
      await new Promise<void>((resolve) => onEmpty.push(resolve));
    },
  };
}

/** Keys of a group must differ: what repeats a request shares its answer, all else waits its turn. */
function oncePerKey<Row, Result>(
  identify: (row: Row) => { key: string; request: string },
  enter: (row: Row) => Promise<Result>,
): (row: Row) => Promise<Result> {
  const held = new Map<string, { request: string; answer: Promise<Result> }>();
  return async (row) => {
    const { key, request } = identify(row);
    for (let other = held.get(key); other; other = held.get(key)) {
      if (other.request === request) return other.answer;
      await other.answer.catch(() => undefined);
    }
    const answer = enter(row).finally(() => held.delete(key));
    held.set(key, { request, answer });
    return answer;
  };
}
