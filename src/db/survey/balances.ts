import type pg from 'pg';
import { countingQuery } from './counting.ts';
import type { Legacy } from './legacy.ts';
import { findMemberKeys, type MemberKey } from './obstacles.ts';

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

interface BalanceCount {
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
  /** members for whom `up` writes a row, and whom a foreign key of that table does not know */
  unknown: UnknownMembers[];
  /** members with NaN or an infinite number, in any of the tables */
  impossible: { rows: number; members: (number | null)[] };
}

interface Openings {
  members: number;
  points: string;
}

interface Range {
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

/** Reads ledger, purchases and balances once each; all null when one of them may not be read. */
export async function countAll(client: pg.Client, legacy: Legacy): Promise<Counts> {
  const { ledger, purchases, balances, offers } = legacy;
  const needed = balances ? [ledger, purchases, balances, offers] : [ledger, purchases, offers];
  if (needed.some((table) => !table.readable)) {
    return { ledger: null, purchases: null, balances: null };
  }
  const keys = await findMemberKeys(client, legacy);
  const { rows } = await client.query(countingQuery(legacy, keys));
  return rows[0].counts;
}
