/** Every scenario by its name, in the order in which they run. */

import { confirm } from './scenarios/confirm.ts';
import { crash } from './scenarios/crash.ts';
import { day } from './scenarios/day.ts';
import { expiry } from './scenarios/expiry.ts';
import { lines } from './scenarios/lines.ts';
import { memory } from './scenarios/memory.ts';
import { reads } from './scenarios/reads.ts';
import { redeem } from './scenarios/redeem.ts';
import { sale } from './scenarios/sale.ts';
import type { Scenario } from './scene.ts';

export const SCENARIOS = {
  redeem,
  confirm,
  reads,
  lines,
  day,
  sale,
  expiry,
  memory,
  crash,
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
export const NAMES = Object.keys(SCENARIOS) as ScenarioName[];
