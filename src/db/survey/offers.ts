import type pg from 'pg';
import type { Legacy } from './legacy.ts';

/** The catalogue: none has a merchant yet, and some cannot be active. */
export interface Offers {
  rows: number;
  largest_id: number | null;
  active: number;
  /** of those that arrive active */
  highest_price: number | null;
  inactive: InactiveOffer[];
  /** may be confirmed by any merchant, until they are given one */
  without_merchant: number;
}

interface InactiveOffer {
  id: number;
  name: string | null;
  points: number | null;
  reason: string;
}

export interface Members {
  /** rows of the users' table */
  rows: number;
  /** those whose number can be a member's */
  importable: number;
}

/** Which offers arrive active, by the very function that `up` asks. */
export async function surveyOffers(client: pg.Client, { offers }: Legacy): Promise<Offers | null> {
  if (!offers.readable) return null;
  const { rows } = await client.query<Offers>(
    `SELECT count(*)::float8 AS rows, max(id)::float8 AS largest_id,
       count(*) FILTER (WHERE reason IS NULL)::float8 AS active,
       max(points) FILTER (WHERE reason IS NULL)::float8 AS highest_price,
       count(*)::float8 AS without_merchant,
       coalesce(json_agg(json_build_object('id', id, 'name', name, 'points', points,
         'reason', reason) ORDER BY id) FILTER (WHERE reason IS NOT NULL), '[]') AS inactive
     FROM (SELECT o.id, coalesce(o.name_friendly, to_jsonb(o)->>'name') AS name, o.points,
             pg_temp.lumis_offer_fault(o.name_friendly, o.points, o.valid_from, o.valid_to) AS reason
           FROM ${offers.name} o) offer`,
  );
  return rows[0] ?? null;
}

/** How many users become members: ids outside of `integer` cannot. */
export async function countMembers(client: pg.Client, { users }: Legacy): Promise<Members | null> {
  if (!users?.readable) return null;
  const { rows } = await client.query<Members>(
    `SELECT count(*)::float8 AS rows,
       count(*) FILTER (WHERE id BETWEEN 1 AND 2147483647)::float8 AS importable FROM ${users.name}`,
  );
  return rows[0] ?? null;
}
