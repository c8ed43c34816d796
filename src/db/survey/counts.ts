import type pg from 'pg';
import { countingQuery } from './counting.ts';
import type { Legacy } from './legacy.ts';

/** Counts are numbers; points are exact decimals as text. */
export interface Counts {
  ledger: LedgerCount | null;
  purchases: PurchaseCount | null;
  balances: BalanceCount | null;
}

interface LedgerCount {
  rows: number;
  largest_id: number | null;
  members: number;
  /** rows that no balance counts */
  without_member: number;
  without_dtype: number;
  other_dtype: number;
  without_quantity: number;
  without_date: number;
}

interface PurchaseCount {
  rows: number;
  largest_id: number | null;
  /** rows with condition1 'Canjeado' */
  purchases: number;
  purchased_points: string;
  /** purchases whose redem_id is no offer's */
  of_unknown_offers: number;
  /** all other rows: subscriptions and the like */
  entitlements: number;
  entitlement_points: string;
  entitlements_valid: number;
  entitlement_kinds: { redem_id: string | null; rows: number }[];
}

export interface BalanceCount {
  /** rows with the stored balance of a member */
  stored: number;
  stored_points: string;
  /** members of the ledger or of purchases without one */
  without_stored: number;
  negative: number;
  fractional: number;
  null_balance: number;
  null_member: number;
  /** stored balances that are not ledger less purchases; they stay as stored */
  drifted: number;
  drifted_points: string;
  /** one row each, so that the ledger sums to the balance */
  opening: Openings & {
    by_purchases: Openings;
    by_drift: Openings;
    largest: Opening[];
    range: Range | null;
  };
  /** what `up` will store for members without a stored balance; null when there are none */
  storing: Range | null;
  /** members whom a foreign key of ledger or balances does not know */
  unknown: UnknownMembers[];
  /** members with NaN or an infinite number, in any of the tables */
  impossible: { rows: number; members: (number | null)[] };
}

interface Openings {
  members: number;
  points: string;
}

export interface Range {
  lowest: string;
  highest: string;
}

interface UnknownMembers extends MemberKey {
  members: number;
  examples: number[];
}

interface Opening {
  user_id: number;
  points: string;
  balance: string;
  ledger: string;
  purchases: string;
}

/** A foreign key from a member's number, which rows that `up` writes must satisfy. */
export interface MemberKey {
  table: string;
  name: string;
  references: string;
  column: string;
}

/** The catalogue: none has a merchant yet, and some cannot be active. */
export interface Offers {
  rows: number;
  largest_id: number | null;
  active: number;
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

const KEYS = `SELECT format('%I.%I', n.nspname, c.relname) AS "table", quote_ident(k.conname) AS name,
    format('%I.%I', rn.nspname, r.relname) AS "references", quote_ident(ra.attname) AS column
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] AND a.attname = 'user_id'
  JOIN pg_attribute ra ON ra.attrelid = r.oid AND ra.attnum = k.confkey[1]
  WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND k.conrelid = ANY ($1::oid[])
    AND has_schema_privilege(rn.oid, 'USAGE') AND NOT row_security_active(r.oid)
    AND has_column_privilege(r.oid, ra.attnum, 'SELECT') ORDER BY 1, 2`;

/** Reads ledger, purchases and balances once each; all null when one of them may not be read. */
export async function countAll(client: pg.Client, legacy: Legacy): Promise<Counts> {
  const { ledger, purchases, balances, offers } = legacy;
  const needed = balances ? [ledger, purchases, balances, offers] : [ledger, purchases, offers];
  if (needed.some((table) => !table.readable)) {
    return { ledger: null, purchases: null, balances: null };
  }
  const written = [ledger, balances].flatMap((table) => table?.oid ?? []);
  const { rows: keys } = await client.query<MemberKey>(KEYS, [written]);
  const { rows } = await client.query(countingQuery(legacy, keys));
  return rows[0].counts;
}

/** Which offers arrive active, by the very function that `up` asks. */
export async function surveyOffers(client: pg.Client, { offers }: Legacy): Promise<Offers | null> {
  if (!offers.readable) return null;
  const { rows } = await client.query<Offers>(
    `SELECT count(*)::float8 AS rows, max(id)::float8 AS largest_id,
       count(*) FILTER (WHERE reason IS NULL)::float8 AS active,
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
