import type { CatalogueQuery } from '../contract/offer.ts';
import { setBounded } from '../core/bounded.ts';
import type { Page } from '../core/cursor.ts';
import type { Database } from '../db/pool.ts';
import { prepared } from '../db/statement.ts';
import {
  type ListedOffer,
  positionOf,
  readPage,
  readStandings,
  type Standing,
} from './catalogue.ts';

/** One member's look at the catalogue. */
export interface Look {
  userId: number;
  filter: CatalogueQuery;
  /** tells its page from others */
  key: string;
}

/** What a member sees: a page, the same object as long as it says the same, and themselves. */
export interface Seen {
  page: Page<ListedOffer>;
  standing: Standing;
}

/** Reads a look. Throws `invalid_request` for a cursor of another list, or of none. */
export function lookAt(userId: number, filter: CatalogueQuery): Look {
  positionOf(filter);
  return { userId, filter, key: JSON.stringify(filter) };
}

// Two snapshots of a server that read the same see the same rows: a transaction that commits leaves
// the list of those that run, or raises the bound above which none is seen. A standby does not tell
// that list, and another server may use a number again.
const SNAPSHOT = prepared(
  'offers.snapshot',
  `SELECT concat(pg_current_snapshot(), ' ', pg_postmaster_start_time(), ' ',
       CASE WHEN pg_is_in_recovery() THEN clock_timestamp() END) AS snapshot,
     clock_timestamp() AS now`,
);

interface Moment {
  snapshot: string;
  /** in the database's time */
  now: string;
}

/** What was read since a snapshot was first seen: right for as long as the database sees the same. */
interface View {
  id: number;
  snapshot: string;
  standings: Map<number, Standing>;
  /** pages that are being read */
  readings: Map<string, Promise<KeptPage>>;
}

interface KeptPage {
  /** the view's id; not the view, which would live on with all its members */
  view: number;
  page: Page<ListedOffer>;
  text: string;
  /** when the first of its offers ends, in the database's time */
  ends: string;
  /** when it is read again in any case, in the time of this process */
  until: number;
}

/** That the database saw a view's snapshot still. */
interface Proof {
  view: View;
  /** when it was asked, in the time of this process */
  askedAt: number;
  /** when it answered, in the database's time */
  now: string;
}

/**
 * Milliseconds for which a page is kept at most. What an offer's end changes is known; but which
 * offer begins next is in no index, so one that begins may be shown so much later.
 */
const PAGE_KEPT_MS = 100;
const PAGES_MAX = 64;
const STANDINGS_MAX = 20_000;
/**
 * While many look, the database is asked ahead of them, and believed for some milliseconds: fewer
 * than an answer and the next question take over most networks. Many are so many looks in that time.
 */
const BELIEVED_MS = 5;
const ASKED_AHEAD_MS = 3;
const MANY = 15;

/** What members see of the catalogue. */
export interface Looking {
  /**
   * Shows each look its page and its member; nobody sees anything older than their question. The
   * database is asked, once for all who come together, whether anything at all was committed since
   * it was read; only then is it read again.
   */
  read(db: Database, looks: readonly Look[]): Promise<Seen[]>;
  /**
   * The same at once, while many look; undefined when the database must be asked. `cameAt` is when
   * the question was read, as performance.now() tells it: behind many others its answer is later.
   */
  glance(look: Look, cameAt: number): Seen | undefined;
  /** Makes glances wait until the database was asked again: somebody has been told of a change. */
  doubt(): void;
}

/** Opens what members see. Keeps pages and standings while they hold, a bounded number of each. */
export function openLooking(db: Database): Looking {
  const pages = new Map<string, KeptPage>();
  const views = openViews();
  const areMany = openCount();
  const lane = db.lane();
  let doubtedAt = Number.NEGATIVE_INFINITY;
  let isAsking = false;

  const keptPage = (key: string, { view, now }: Proof) => {
    const kept = pages.get(key);
    const holds = kept?.view === view.id && kept.until > performance.now() && kept.ends > now;
    return holds ? kept : undefined;
  };
  const readOnce = (db: Database, view: View, { filter, key }: Look) => {
    const read = async () => {
      const kept = await keep(db, view, filter, pages.get(key));
      setBounded(pages, PAGES_MAX, key, kept);
      return kept;
    };
    const reading = view.readings.get(key) ?? read().finally(() => view.readings.delete(key));
    view.readings.set(key, reading);
    return reading;
  };
  /** Ahead of time, so that nobody waits; what goes wrong is heard by who asks for themselves. */
  const askAhead = () => {
    const done = () => {
      isAsking = false;
    };
    if (!isAsking) views.prove(lane).then(done, done);
    isAsking = true;
  };

  return {
    async read(db, looks) {
      const proven = await views.prove(db);
      const { view } = proven;
      const standings = standingsOf(db, view, looks);
      // what they can afford decides which page it is
      if (looks.some(({ filter }) => filter.affordable)) await standings;
      const asked = looks.map((look) => withinMeans(look, view));
      const distinct = new Map(asked.map((look) => [look.key, look]));
      const pageOf = async (look: Look) =>
        [look.key, keptPage(look.key, proven) ?? (await readOnce(db, view, look))] as const;
      // all at once: when the first one fails, the others' faults must be heard too
      const reading = Promise.all([...distinct.values()].map(pageOf));
      const found = new Map((await Promise.all([reading, standings]))[0]);
      return asked.map(({ userId, key }) => ({
        page: (found.get(key) as KeptPage).page,
        standing: view.standings.get(userId) as Standing,
      }));
    },
    glance({ userId, filter, key }, cameAt) {
      const proof = views.proof();
      if (!areMany(cameAt) || filter.affordable || proof.askedAt <= doubtedAt) return undefined;
      const age = cameAt - proof.askedAt;
      if (age > ASKED_AHEAD_MS) askAhead();
      if (age > BELIEVED_MS) return undefined;
      const page = keptPage(key, proof)?.page;
      const standing = proof.view.standings.get(userId);
      return page && standing && { page, standing };
    },
    doubt() {
      doubtedAt = performance.now();
    },
  };
}

/** Opens the views: `prove` asks which one holds, `proof` is the last word on it. */
function openViews() {
  let count = 0;
  const viewOf = (snapshot: string): View => {
    count += 1;
    return { id: count, snapshot, standings: new Map(), readings: new Map() };
  };
  let newest = viewOf('');
  let proof: Proof = { view: newest, askedAt: Number.NEGATIVE_INFINITY, now: '' };
  return {
    proof: () => proof,
    async prove(db: Database): Promise<Proof> {
      const askedAt = performance.now();
      try {
        const [moment] = await db.query<Moment>(SNAPSHOT());
        const { snapshot, now } = moment as Moment;
        const isFull = newest.standings.size > STANDINGS_MAX;
        if (snapshot !== newest.snapshot || isFull) newest = viewOf(snapshot);
        const found = { view: newest, askedAt, now };
        if (askedAt > proof.askedAt) proof = found;
        return found;
      } catch (error) {
        newest = viewOf(''); // a server that was away may come back as another one
        throw error;
      }
    },
  };
}

/** Opens a count of looks: whether many came lately. */
function openCount(): (now: number) => boolean {
  let since = 0;
  let looks = 0;
  let isMany = false;
  return (now) => {
    const age = now - since;
    if (age > BELIEVED_MS) {
      isMany = looks * BELIEVED_MS >= MANY * age;
      since = now;
      looks = 0;
    }
    looks += 1;
    return isMany;
  };
}

/** Reads a page; the object it was before when it says the same. */
async function keep(
  db: Database,
  view: View,
  filter: CatalogueQuery,
  before: KeptPage | undefined,
): Promise<KeptPage> {
  const read = await readPage(db, filter);
  const text = JSON.stringify(read);
  const page = before?.text === text ? before.page : read;
  return { view: view.id, page, text, ends: endOf(page), until: performance.now() + PAGE_KEPT_MS };
}

/** Reads how those stand who are not known yet in this view. */
async function standingsOf(db: Database, view: View, looks: readonly Look[]): Promise<void> {
  const unknown = new Set<number>();
  for (const { userId } of looks) if (!view.standings.has(userId)) unknown.add(userId);
  if (unknown.size === 0) return;
  for (const standing of await readStandings(db, [...unknown])) {
    view.standings.set(standing.user_id, standing);
  }
}

/** A look at what the member can afford is one at what costs no more than they have. */
function withinMeans({ userId, filter, key }: Look, { standings }: View): Look {
  const { affordable, ...asked } = filter;
  if (!affordable) return { userId, filter, key };
  const { balance } = standings.get(userId) as Standing;
  return lookAt(userId, { ...asked, max_cost: Math.min(asked.max_cost ?? balance, balance) });
}

/** Later than any time that is shown. */
const NEVER = 'never';

function endOf({ data }: Page<ListedOffer>): string {
  return data.reduce((end, { valid_to }) => (valid_to && valid_to < end ? valid_to : end), NEVER);
}
