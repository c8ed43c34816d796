import { createHash } from 'node:crypto';
import type { CatalogueOffer } from '../contract/offer.ts';
import { setBounded } from '../core/bounded.ts';
import type { Page } from '../core/cursor.ts';
import { availabilityOf, type ListedOffer, type Standing } from '../offers/catalogue.ts';
import type { Seen } from '../offers/looking.ts';

/** JSON with its ETag. */
export interface Tagged {
  tag: string;
  bytes: Buffer;
}

export const JSON_TYPE = 'application/json; charset=utf-8';

/** A JSON text with a tag of its own. */
export function tagged(text: string): Tagged {
  const tag = `"${createHash('sha1').update(text).digest('base64url')}"`;
  return { tag, bytes: Buffer.from(text) };
}

/** Whether an If-None-Match names this tag: the client has the same already. */
export function isHeld(tag: string, ifNoneMatch: string | undefined): boolean {
  if (!ifNoneMatch) return false;
  if (ifNoneMatch === tag || ifNoneMatch === '*') return true;
  return ifNoneMatch.split(/\s*,\s*/).some((one) => one.replace(/^W\//, '') === tag);
}

interface Answer extends Tagged {
  name: string;
}

/** A page's text, but for what differs from member to member, and the answers made of it. */
interface SharedPage {
  /** each offer up to its availability */
  offers: string[];
  end: string;
  /** by the availabilities of all its offers: most members may have everything */
  answers: Map<string, Answer>;
  /** which of them; by name, since of twenty thousand members each may be told something of their own */
  known: WeakMap<Standing, string>;
}

const ANSWERS_MAX = 32;

/**
 * Opens the writing of catalogue pages: the function gives what one member is told. A page is
 * written once for all who see it, and an answer once for all who may redeem the same of it.
 */
export function openPages(): (seen: Seen) => Tagged {
  const shared = new WeakMap<Page<ListedOffer>, SharedPage>();
  return ({ page, standing }) => {
    const whole = shared.get(page) ?? sharedPage(page);
    shared.set(page, whole);
    const known = whole.answers.get(whole.known.get(standing) ?? '');
    if (known) return known;
    const own = page.data.map((offer) => JSON.stringify(availabilityOf(offer, standing)));
    const name = own.join();
    const answer = whole.answers.get(name) ?? { name, ...answerOf(whole, own) };
    setBounded(whole.answers, ANSWERS_MAX, name, answer);
    // the very string that the answer goes by: another one would be compared with it each time
    whole.known.set(standing, answer.name);
    return answer;
  };
}

// By hand and not by the serializer, which would write the same twenty offers for every member. The
// columns are named in the statement, and a test holds the answer against the schema.
function sharedPage({ data, next_cursor }: Page<ListedOffer>): SharedPage {
  const offers = data.map(({ refusal: _, ...offer }): string => {
    const shown: Omit<CatalogueOffer, 'availability'> = offer;
    return `${JSON.stringify(shown).slice(0, -1)},"availability":`;
  });
  const end = `],"next_cursor":${JSON.stringify(next_cursor)}}`;
  return { offers, end, answers: new Map(), known: new WeakMap() };
}

function answerOf({ offers, end }: SharedPage, own: string[]): Tagged {
  return tagged(`{"data":[${offers.map((offer, i) => `${offer}${own[i]}}`).join(',')}${end}`);
}
