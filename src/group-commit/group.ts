import { Failure } from '../core/failure.ts';
import { type Database, isOutage } from '../db/pool.ts';
import { LANES, openLanes } from './lanes.ts';

/**
 * Group commit: what arrives while a statement is under way leaves with the next one.
 *
 * A commit costs about the same for one row as for a hundred: a round trip, a flush of the log, and
 * on a hot offer the wait for its one lock. So each call of a verb takes everybody along who came
 * meanwhile. With nothing under way a request leaves at once, by itself, and the busier it gets the
 * larger the groups become. There is no timer.
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

interface Identity {
  key: string;
  /** asked only when its key is held already, which is rare */
  request: () => string;
}

export interface GroupOptions<Row> {
  /**
   * What a row is about, and everything that decides its answer. Rows of the same `key` are never in
   * one group; with the same `request` too they are one row, and share its answer. Without it every
   * row is its own.
   */
  identify?: (row: Row) => Identity;
  /**
   * What a row is about: two that share a subject would wait for each other. With it there is a
   * second lane while many wait; what is under way in one is about nothing that is in the other.
   */
  subjects?: (row: Row) => string[];
  /** told the size of each group that leaves */
  onDeparture?: (rows: number) => void;
}

/** Rows that wait, beyond which the next is told to come back: about a second's work. */
const WAITING_MAX = 2000;
/**
 * Rows whose group failed, each by itself: so many transactions at a time that most connections stay
 * free.
 */
const ALONE_MAX = 8;
/**
 * How long a group waits for a lock. Its rows then go one by one, with the usual patience: a row
 * that somebody holds for long must not keep all the others waiting behind it.
 */
const GROUP_LOCK_TIMEOUT_MS = 250;

interface Waiting<Row, Result> {
  row: Row;
  subjects: string[];
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** Opens the group of one verb: `run` takes rows and answers each, in their order. */
export function openGroup<Row, Result>(
  db: Database,
  run: (db: Database, rows: readonly Row[]) => Promise<readonly Result[]>,
  { identify, subjects, onDeparture }: GroupOptions<Row> = {},
): Group<Row, Result> {
  type Rows = Waiting<Row, Result>[];
  const laneCount = subjects ? LANES : 1;
  const lanes = openLanes<Waiting<Row, Result>>(
    Array.from({ length: laneCount }, () => db.lane(GROUP_LOCK_TIMEOUT_MS)),
  );
  const alone: Rows = [];
  let aloneUnderWay = 0;
  const onEmpty: (() => void)[] = [];

  /** Runs rows; gives back how to tell everybody, when the next ones are on their way. */
  const depart = async (through: Database, rows: Rows): Promise<() => void> => {
    onDeparture?.(rows.length);
    try {
      const results = await run(
        through,
        rows.map(({ row }) => row),
      );
      return () => {
        for (const [i, { resolve }] of rows.entries()) resolve(results[i] as Result);
      };
    } catch (error) {
      // One row that cannot be decided has undone them all: the others are decided without it. What
      // failed because the database is away, or in doubt, fails for all.
      const isFinal = through === db || isOutage(error);
      if (!isFinal) alone.push(...rows);
      return () => {
        if (isFinal) for (const { reject } of rows) reject(error);
      };
    }
  };
  const send = (through: Database, rows: Rows, end: () => void) => {
    void depart(through, rows).then((tell) => {
      end();
      leave(); // first, so that the database works while this process answers
      tell();
    });
  };
  const isEmpty = () => aloneUnderWay === 0 && lanes.areIdle();
  const leave = () => {
    for (const { lane, rows, end } of lanes.departures()) send(lane, rows, end);
    for (const one of alone.splice(0, ALONE_MAX - aloneUnderWay)) {
      aloneUnderWay += 1;
      send(db, [one], () => {
        aloneUnderWay -= 1;
      });
    }
    if (isEmpty()) for (const tell of onEmpty.splice(0)) tell();
  };
  const enter = (row: Row) =>
    new Promise<Result>((resolve, reject) => {
      if (lanes.waiting() + alone.length >= WAITING_MAX) {
        throw new Failure('overloaded', { retryAfterSeconds: 1 });
      }
      lanes.push({ row, subjects: subjects?.(row) ?? [], resolve, reject });
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
  identify: (row: Row) => Identity,
  enter: (row: Row) => Promise<Result>,
): (row: Row) => Promise<Result> {
  const held = new Map<string, { request: Identity['request']; answer: Promise<Result> }>();
  return async (row) => {
    const { key, request } = identify(row);
    for (let other = held.get(key); other; other = held.get(key)) {
      if (other.request() === request()) return other.answer;
      await other.answer.catch(() => undefined);
    }
    const answer = enter(row);
    held.set(key, { request, answer });
    const forget = () => held.delete(key); // before anybody who awaits it looks again
    answer.then(forget, forget);
    return answer;
  };
}
