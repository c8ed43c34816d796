/** The load's own process: reads its job from standard input, prints the result as JSON. */

import { createInterface } from 'node:readline';
import type { LoadJob } from '../load.ts';
import { Loader } from './loader.ts';

const lines = createInterface({ input: process.stdin });
let loader: Loader | undefined;
lines.once('line', async (line) => {
  const job: LoadJob = JSON.parse(line);
  loader = new Loader(job);
  const result = JSON.stringify(await loader.run());
  process.stdout.write(result, () => process.exit(0));
});
// whoever started it says stop by closing its input
lines.once('close', () => loader?.stop());
