import type { Invariant } from './invariant.ts';
import { POINTS } from './points.ts';
import { RECORDS } from './records.ts';
import { REDEMPTIONS } from './redemptions.ts';
import { UPKEEP } from './upkeep.ts';

/**
 * What must hold in every consistent view of the database, whatever was killed, repeated or raced
 * before. By number: I1, I2, …
 */
export const INVARIANTS: readonly Invariant[] = [
  ...POINTS,
  ...REDEMPTIONS,
  ...RECORDS,
  ...UPKEEP,
].sort((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)));
