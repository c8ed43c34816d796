/** HTTP load from a process of its own: what it is asked to do, and what it tells afterwards. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../src/project.ts';
import { DIES_WITH_PARENT } from './node.ts';

/** One kind of request. Offers, members and redemptions are named by their numbers (fill.ts). */
export interface Wish {
  /** names it in the result; redeem, confirm … say what is sent */
  kind:
    | 'redeem' // a random one of the members takes an offer
    | 'confirm' // the redemptions from..to, each once and in order; else one that this load redeemed
    | 'validate' // a code that this load redeemed; before there is one, it redeems
    | 'cancel' // a redemption of this load's, once; before there is one, it redeems
    | 'offers' // a page of the catalogue
    | 'offer' // one offer
    | 'redemptions' // a member's own
    | 'balance'
    | 'raw'; // GET `path` without a token: a bare Fastify
  /** share among the wishes of a job; 1 */
  weight?: number;
  /** redeem, offer: all of 1..offers but those that cannot be had, or just this one; `spread` */
  offer?: 'spread' | number;
  /** confirm: the redemptions [from, to] */
  from?: number;
  to?: number;
  /** confirm: the merchant of all of them; else each has its offer's */
  merchant?: number;
  /** raw: what is asked for; offers: the query, `?limit=20` */
  path?: string;
  /** raw: POST with this body, instead of GET */
  body?: string;
  /** sends the ETag of the last answer of this kind to this member as If-None-Match */
  ifChanged?: boolean;
  /** statuses that are in order; what else comes is `unexpected` */
  expect?: number[];
}

export interface LoadJob {
  /** servers; the connections are dealt out to them in turn */
  urls: string[];
  connections: number;
  /** ends after so many seconds, or after `count` requests */
  seconds?: number;
  count?: number;
  /** seconds at the beginning that count in the totals but not in rate and latency */
  warmup?: number;
  /** requests a second over all connections; else each connection asks again at once */
  pace?: number;
  wishes: Wish[];
  /** what the database holds */
  offers: number;
  merchants: number;
  members: number;
  /** whose tokens: `count` members, evenly spread over all (20,000); `each` takes one after the
   * other instead of at random, from the first on */
  tokens?: { count?: number; each?: boolean };
  /** begins every Idempotency-Key; must be new */
  run: string;
  /** tell the ids of the redemptions that were acknowledged */
  acknowledged?: boolean;
  /**
   * A connection that is lost is opened again, for as long as the job lasts, to the next server
   * when its own is gone. Its request is sent again with its key (`repeat`, which also repeats what
   * is answered 503), or counted as lost and forgotten.
   */
  whenLost?: 'forget' | 'repeat';
}

/** Milliseconds. */
export interface Latency {
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** How many bytes an answer has on its way. */
export interface Size {
  head: number;
  body: number;
}

export interface LoadResult {
  /** of the measured time, without the warm-up */
  seconds: number;
  /** answers as expected, a second */
  rate: number;
  latency: Latency;
  kinds: Record<string, Latency & { rate: number }>;
  /** from here on: everything, the warm-up too */
  answers: number;
  statuses: Record<string, number>;
  /** of problems, by their code */
  problems: Record<string, number>;
  /** the first body of each unexpected status */
  unexpected: { kind: string; status: number; count: number; body: string }[];
  /** requests that were sent and never answered, since their connection was lost */
  lost: number;
  /** `repeat`: how many were sent again */
  repeated: number;
  /** it ended early, since [from, to] had been sent */
  ranOut: boolean;
  /** confirm: the next one that was not sent */
  next?: number;
  acknowledged?: string[];
  /** bytes of the last answer */
  size: Size;
  /** seconds from the first request to the last answer */
  busy: number;
  /** seconds of CPU of this process meanwhile */
  cpu: number;
}

export interface Load {
  pid: number;
  result: Promise<LoadResult>;
  /** ends it early; `result` tells what was until then */
  stop(): void;
}

const ENTRY = join(PROJECT_ROOT, 'dist', 'bench', 'load', 'main.js');
export const TOKENS_DEFAULT = 20_000;

/** Starts a load; its result comes when it has ended. */
export function startLoad(job: LoadJob): Load {
  const flags = [`--import=${DIES_WITH_PARENT}`, '--max-old-space-size=4096'];
  const child = spawn(process.execPath, [...flags, ENTRY], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.write(`${JSON.stringify(job)}\n`);
  const result = new Promise<LoadResult>((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`the load ended with ${code}`));
    });
  });
  return { pid: child.pid as number, result, stop: () => child.stdin.end() };
}

/** Runs a load to its end. */
export function runLoad(job: LoadJob): Promise<LoadResult> {
  return startLoad(job).result;
}
