/** The command line of the bench. */

import { parseArgs } from 'node:util';
import { BenchFault } from './fault.ts';
import { SIZES } from './fill.ts';
import { loopbackOnly } from './loopback.ts';
import { NAMES, type ScenarioName } from './scenarios.ts';

export interface Asked {
  smoke: boolean;
  sizes: string[];
  only: ScenarioName[];
  clients: number[];
  rounds: number;
  seconds: number;
  requests: number | undefined;
  url: string | undefined;
  keep: string | undefined;
  folder: string | undefined;
  /** a file, or '-' for standard output */
  json: string | undefined;
  picture: string | undefined;
}

export const USAGE = `npm run bench -- [options]
  --only LIST      of ${NAMES.join(', ')} (default: all)
  --size LIST      of ${Object.keys(SIZES).join(', ')}: redemptions in the database (default 100k);
                   with several, growth is measured too
  --clients LIST   at once (default 1,16,64,256)
  --rounds N       of each side, in turns (default 3)
  --seconds N      of each side in a round (default 6)
  --requests N     over which the memory of a node is watched (default 1000000)
  --url URL        a PostgreSQL on this machine, as a superuser; else one is started
  --keep NAME      leave the filled databases in place, and use them again under this name
  --folder DIR     where the server of its own lives (default: the folder for temporary files)
  --json [FILE]    the report as JSON, instead of the table or into a file beside it
  --picture FILE   the rates as a picture (SVG)
  --smoke          everything tiny, to see that it runs

Speed never fails a run. Exit codes: 1 something was wrong (a 5xx, a row lost or doubled, an invariant
broken), 64 usage, 69 pgbench or the database is missing, 78 the server would not keep its word.`;

const NAME = /^[a-z][a-z0-9_]{0,30}$/;

/** Reads the command line. Throws BenchFault (64) with what can be said instead. */
export function readOptions(parameters: string[]): Asked | 'help' {
  const values = parse(parameters);
  if (values.help) return 'help';
  const smoke = values.smoke === true;
  const url = values.url && near(values.url);
  if (values.keep !== undefined && !NAME.test(values.keep)) {
    throw new BenchFault('--keep: a name of lower case letters, digits and _', 64);
  }
  return {
    smoke,
    sizes: listed('--size', values.size ?? '100k', Object.keys(SIZES)),
    only: listed('--only', values.only ?? NAMES.join(','), NAMES) as ScenarioName[],
    clients: values.clients
      ? values.clients.split(',').map((text) => number('--clients', text))
      : smoke
        ? [16]
        : [1, 16, 64, 256],
    rounds: number('--rounds', values.rounds ?? (smoke ? '1' : '3')),
    seconds: number('--seconds', values.seconds ?? (smoke ? '1' : '6')),
    requests: values.requests ? number('--requests', values.requests) : undefined,
    url: url || undefined,
    keep: values.keep,
    folder: values.folder,
    json: values.json,
    picture: values.picture,
  };
}

function parse(parameters: string[]) {
  // its file may be left out, which parseArgs knows no word for
  const given = parameters.flatMap((word, i) => {
    const isLast = i === parameters.length - 1 || parameters[i + 1]?.startsWith('--');
    return word === '--json' && isLast ? ['--json=-'] : [word];
  });
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: given,
      options: {
        only: text,
        size: text,
        clients: text,
        rounds: text,
        seconds: text,
        requests: text,
        url: text,
        keep: text,
        folder: text,
        json: text,
        picture: text,
        smoke: flag,
        help: flag,
      },
    }).values;
  } catch (error) {
    throw new BenchFault(`${(error as Error).message}\n\n${USAGE}`, 64);
  }
}

function near(url: string): string {
  try {
    return loopbackOnly(url);
  } catch (error) {
    const fault = URL.canParse(url) ? (error as Error).message : '--url is no URL of this machine';
    throw new BenchFault(fault, 64);
  }
}

/** In the order of `known`, whatever the order they were named in. */
function listed(option: string, text: string, known: readonly string[]): string[] {
  const asked = text.split(',').map((word) => word.trim());
  const unknown = asked.find((word) => !known.includes(word));
  if (unknown !== undefined) {
    throw new BenchFault(`${option}: no ${unknown}; there are ${known.join(', ')}`, 64);
  }
  return known.filter((word) => asked.includes(word));
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new BenchFault(`${option}: ${text} is not a whole number above 0`, 64);
}
