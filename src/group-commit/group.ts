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
 * Transactions under way. Two groups, on one connection: while the database runs one, the next has
 * arrived already, and begins when it ends. On two connections they would wait for each other at a
 * hot offer, and more of them would each be smaller. Of rows whose group failed, each by itself, so
 * many that most connections stay free.
 */
const UNDER_WAY_MAX = { together: 2, alone: 8 };
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
  { identify, onDeparture }: GroupOptions<Row> = {},
): Group<Row, Result> {
  type Rows = Waiting<Row, Result>[];
  const lane = db.lane(GROUP_LOCK_TIMEOUT_MS);
  const together: Rows = [];
  const alone: Rows = [];
  const underWay = { together: 0, alone: 0 };
  const onEmpty: (() => void)[] = [];
  let sizeUnderWay = 0;

  /** Runs rows; gives back how to tell everybody, when the next ones are on their way. */
  const depart = async (kind: keyof typeof underWay, rows: Rows): Promise<() => void> => {
    onDeparture?.(rows.length);
    try {
      const results = await run(
        kind === 'together' ? lane : db,
        rows.map(({ row }) => row),
      );
      return () => {
        for (const [i, { resolve }] of rows.entries()) resolve(results[i] as Result);
      };
    } catch (error) {
      // One row that cannot be decided has undone them all: the others are decided without it. What
      // failed because the database is away, or in doubt, fails for all.
      const isFinal = kind === 'alone' || isOutage(error);
      if (!isFinal) alone.push(...rows);
      return () => {
        if (isFinal) for (const { reject } of rows) reject(error);
      };
    }
  };
  // with one under way the next leaves early when it is as large: it would not be small
  const isTime = () =>
    underWay.together === 0 ||
    (underWay.together < UNDER_WAY_MAX.together && together.length >= sizeUnderWay);
  const send = (kind: keyof typeof underWay, rows: Rows) => {
    underWay[kind] += 1;
    if (kind === 'together') sizeUnderWay = rows.length;
    void depart(kind, rows).then((tell) => {
      underWay[kind] -= 1;
      leave(); // first, so that the database works while this process answers
      tell();
    });
  };
  const leave = () => {
    while (together.length > 0 && isTime()) send('together', together.splice(0, ROWS_MAX));
    while (alone.length > 0 && underWay.alone < UNDER_WAY_MAX.alone)
      send('alone', alone.splice(0, 1));
    if (underWay.together + underWay.alone > 0) return;
    for (const tell of onEmpty.splice(0)) tell();
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
      if (underWay.together + underWay.alone === 0) return;
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
