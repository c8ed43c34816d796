import type pg from 'pg';
import type { Layout } from '../migrate.ts';
import {
  type Counts,
  countAll,
  countMembers,
  type Members,
  type Offers,
  surveyOffers,
} from './counts.ts';
import { type Dependants, findDependants, findGrants, type Grant } from './dependants.ts';
import { findLegacy } from './legacy.ts';
import { findMissingRights, findRefusals, type MissingRight, type Refusal } from './stops.ts';
import { findSequences, type Sequence, type TableFate, tableFates } from './tables.ts';
import { findWarnings, type Warning } from './warnings.ts';
import { estimateWork, type Work } from './work.ts';

/** What `up` would mean for this database. Numbers of points are exact, so they are text. */
export interface Survey {
  /** the layout, in words */
  summary: string;
  /** what `up` would refuse, beside missing rights */
  refusals: Refusal[];
  missing_rights: MissingRight[];
  /** null where there is nothing to take over */
  legacy: LegacySurvey | null;
}

/** A legacy points system. What this role may not read is null. */
export interface LegacySurvey extends Counts {
  schema: 'public' | 'rewards';
  /** what the operator or a neighbour should know before, most dangerous first */
  warnings: Warning[];
  tables: TableFate[];
  dependants: Dependants;
  grants: Grant[];
  sequences: Sequence[];
  offers: Offers | null;
  members: Members | null;
  work: Work;
}

const SUMMARY: Record<Layout, string> = {
  empty:
    'an empty database. `up` makes schemas rewards and lumis, and the ledger public.fact_accumulations.',
  public: 'a legacy points system in schema public. `up` takes it over.',
  rewards: 'a legacy points system in schema rewards. `up` takes it over.',
  unfinished:
    'a legacy points system that was taken over but for the last step: the ledger does not sum to ' +
    'the balances yet. `up` writes the rows that it lacks; nobody waits.',
  applied: 'the redemption system. Nothing is left to take over.',
};

const PREPARED =
  ' An earlier `up` was interrupted before the switch: the next goes on from there, `down` undoes it.';

/**
 * Looks at everything that `up` would touch, and at whoever leans on it. Reads each big table
 * once, takes no lock but that of a reader, and does without the rights that this role lacks.
 */
export async function survey(client: pg.Client, layout: Layout): Promise<Survey> {
  // the caller's transaction ends with a rollback, and these settings with it
  await client.query(`SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = '5s'; SET LOCAL work_mem = '64MB'; SET LOCAL row_security = off`);
  const legacy =
    layout === 'public' || layout === 'rewards' ? await findLegacy(client, layout) : null;
  const missing_rights = await findMissingRights(client, layout, legacy);
  if (legacy === null) {
    const refusals = await findRefusals(client, null, null);
    return { summary: SUMMARY[layout], refusals, missing_rights, legacy };
  }
  const counts = await countAll(client, legacy);
  const offers = await surveyOffers(client, legacy);
  const members = await countMembers(client, legacy);
  const dependants = await findDependants(client, legacy);
  const grants = await findGrants(client, legacy);
  const sequences = await findSequences(client, legacy, { counts, offers });
  const work = await estimateWork(client, legacy, { counts, offers, members });
  const found = { ...counts, offers, members, dependants, grants, sequences, work };
  return {
    summary: SUMMARY[layout] + (work.interrupted ? PREPARED : ''),
    refusals: await findRefusals(client, legacy, counts.balances),
    missing_rights,
    legacy: {
      schema: legacy.schema,
      warnings: findWarnings(legacy, found),
      tables: tableFates(legacy, found),
      ...found,
    },
  };
}
