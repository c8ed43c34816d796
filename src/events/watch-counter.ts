import type { CounterRedemption } from '../contract/live.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';

/** One event as a counter sees it: the redemption as this event left it. */
export interface CounterEvent {
  /** where to go on from after this one */
  position: string;
  type: 'redemption.confirmed' | 'redemption.reversed';
  redemption: CounterRedemption;
}

/** Somebody who wants to know what a merchant, or one branch of it, confirms and reverses. */
export interface CounterWatch {
  merchant_id: string;
  /** null: all branches, and what was confirmed with a key */
  branch_id: string | null;
  /** a position that was handed out before; undefined: from now on */
  after: string | undefined;
  /** told first, with the position it begins at: `reset` when `after` cannot be gone on from */
  begin: (how: 'ready' | 'reset' | 'resumed', position: string) => void;
  hand: (event: CounterEvent) => void;
}

/** Somebody's place in the feed. */
export interface Watcher {
  stop(): void;
  /** where to go on from by now, also when nothing of theirs happened; undefined before it began */
  position(): string | undefined;
}

interface Position {
  xid: bigint;
  id: bigint;
}

/** Events looked through in one step, whoever's they are. */
const STEP_ROWS = 2000;
/** Who is further behind than this does better to load the day anew. */
const RESUME_STEPS_MAX = 10;
const RESUME_ROWS_MAX = 500;

// Everything up to the horizon (R11): what is older than all open transactions. A position
// `horizon-0` says that all before that transaction was read. Known is a position at or before which
// there is still an event, so that none can have been purged since, and which lies not in the
// future, as it would after a restore.
const READ = prepared(
  'events.of_counters',
  `WITH horizon AS MATERIALIZED (
    SELECT x.xmin, $1::xid8 <= x.xmin AND ($4 OR coalesce((
      -- the oldest alone: asked whether any is older, the planner may read all of them
      SELECT (o.xid, o.id) <= ($1::xid8, $2::bigint) FROM lumis.events o
      ORDER BY o.xid, o.id LIMIT 1), false)) AS is_known
    FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin) x
  ), span AS MATERIALIZED (
    SELECT e.xid, e.id, e.type, e.merchant_id, e.redemption_id
    FROM lumis.events e
    -- the function itself and a condition of its own: so the index is read from place to place
    WHERE (SELECT h.is_known FROM horizon h) AND (e.xid, e.id) > ($1::xid8, $2::bigint)
      AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY e.xid, e.id LIMIT ${STEP_ROWS}
  ), stop AS (
    SELECT s.xid::text || '-' || s.id AS full_at
    FROM span s ORDER BY s.xid, s.id OFFSET ${STEP_ROWS - 1}
  ), seen AS (
    SELECT e.xid, e.id, e.type, e.merchant_id, done.by->>'branch_id' AS branch_id,
      r.redemption_id, r.offer_name, r.lumis_spent, r.validated_at,
      CASE e.type WHEN 'redemption.reversed' THEN 'cancelled' ELSE 'confirmed' END
        AS redemption_status,
      CASE e.type WHEN 'redemption.reversed' THEN r.closed_at END AS closed_at,
      right(r.redemption_code, 4) AS code_ending, d.device_name, b.branch_name
    FROM span e
    JOIN rewards.user_redemptions r ON r.redemption_id = e.redemption_id
    LEFT JOIN LATERAL (
      SELECT a.metadata AS by FROM rewards.redemption_audit_log a
      WHERE a.redemption_id = e.redemption_id AND a.action = 'confirmed'
      ORDER BY a.log_id LIMIT 1) done ON true
    LEFT JOIN lumis.devices d ON d.device_id = done.by->>'device_id'
    LEFT JOIN lumis.branches b ON b.branch_id::text = done.by->>'branch_id'
    WHERE e.type IN ('redemption.confirmed', 'redemption.reversed')
      AND e.merchant_id = ANY ($3::uuid[])
  )
  SELECT h.is_known, coalesce(stop.full_at, h.xmin::text || '-0') AS next,
    stop.full_at IS NOT NULL AS is_full, s.xid::text AS xid_text, s.*
  FROM horizon h LEFT JOIN stop ON true LEFT JOIN seen s ON true
  ORDER BY s.xid, s.id`,
);

interface Row extends CounterRedemption {
  is_known: boolean;
  next: string;
  is_full: boolean;
  /** null in the only row of a step that found nothing */
  xid: string | null;
  xid_text: string;
  id: number;
  type: CounterEvent['type'];
  merchant_id: string;
  branch_id: string | null;
}

interface Watching extends CounterWatch {
  /** undefined until it has begun */
  at: Position | undefined;
}

const START: Position = { xid: 0n, id: 0n };

/** Keeps who watches which counter; `read` hands each what is new to them. */
export function counterReader(db: Database) {
  const watches = new Set<Watching>();

  /** Reads on from a position: what it found, and where the next step begins. */
  const step = async (at: Position, merchants: string[], isTrusted: boolean) => {
    const rows = await db.query<Row>(READ(String(at.xid), String(at.id), merchants, isTrusted));
    const [{ is_known, is_full, next }] = rows as [Row];
    const found = rows.filter((row) => row.xid !== null);
    return { found, isKnown: is_known, isFull: is_full, next: parsePosition(next) ?? at };
  };

  const hand = (watch: Watching, rows: Row[], next: Position) => {
    for (const row of rows) {
      if (!watch.at || !watches.has(watch)) return;
      if (row.merchant_id !== watch.merchant_id || !isAfter(positionOf(row), watch.at)) continue;
      if (watch.branch_id === null || watch.branch_id === row.branch_id) {
        watch.hand(eventOf(row));
      }
    }
    if (watch.at && isAfter(next, watch.at)) watch.at = next;
  };

  /** Begins where it asked to: a little behind is caught up with, much is not worth it. */
  const begin = async (watch: Watching) => {
    const after = parsePosition(watch.after);
    const missed: Row[] = [];
    let one = await step(after ?? START, [watch.merchant_id], false);
    for (let steps = 1; one.isFull && steps < RESUME_STEPS_MAX; steps += 1) {
      missed.push(...one.found);
      one = await step(one.next, [watch.merchant_id], true);
    }
    missed.push(...one.found);
    const isNear = !one.isFull && missed.length <= RESUME_ROWS_MAX;
    const resumes = after !== undefined && one.isKnown && isNear;
    // nothing is known before the start: that leads to the horizon at once
    const now = one.isFull ? (await step(START, [], false)).next : one.next;
    watch.at = resumes ? after : now;
    const how = resumes ? 'resumed' : watch.after === undefined ? 'ready' : 'reset';
    watch.begin(how, written(watch.at));
    if (resumes) hand(watch, missed, one.next);
  };

  /** Everybody who has begun, from the position of the one who is furthest behind. */
  const goOn = async (joined: Watching[]) => {
    for (let isFull = true; isFull; ) {
      const at = joined.map(placeOf).reduce((a, b) => (isAfter(a, b) ? b : a));
      const merchants = [...new Set(joined.map((watch) => watch.merchant_id))];
      const one = await step(at, merchants, true);
      for (const watch of joined) {
        if (one.isKnown) hand(watch, one.found, one.next);
        else {
          watch.at = one.next;
          watch.begin('reset', written(one.next));
        }
      }
      isFull = one.isFull;
    }
  };

  return {
    size: () => watches.size,

    add(watch: CounterWatch): Watcher {
      const watching: Watching = { ...watch, at: undefined };
      watches.add(watching);
      return {
        stop: () => void watches.delete(watching),
        position: () => watching.at && written(watching.at),
      };
    },

    async read(): Promise<void> {
      const joined = [...watches].filter((watch) => watch.at !== undefined);
      if (joined.length > 0) await goOn(joined);
      for (const watch of watches) if (!watch.at) await begin(watch);
    },
  };
}

function eventOf(row: Row): CounterEvent {
  const { is_known, next, is_full, xid, xid_text, id, type, merchant_id, branch_id, ...shown } =
    row;
  return { position: `${xid_text}-${id}`, type, redemption: shown };
}

function positionOf({ xid_text, id }: Row): Position {
  return { xid: BigInt(xid_text), id: BigInt(id) };
}

function placeOf({ at }: Watching): Position {
  return at ?? START;
}

function isAfter(a: Position, b: Position): boolean {
  return a.xid === b.xid ? a.id > b.id : a.xid > b.xid;
}

function written({ xid, id }: Position): string {
  return `${xid}-${id}`;
}

/** Undefined for anything that cannot be one of ours, also numbers that PostgreSQL cannot hold. */
function parsePosition(text: string | undefined): Position | undefined {
  const [, xid, id] = /^(\d{1,18})-(\d{1,18})$/.exec(text ?? '') ?? [];
  return xid && id ? { xid: BigInt(xid), id: BigInt(id) } : undefined;
}
