/** Closed-loop load over raw sockets: one request in flight per connection, no pipelining. */

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Latencies } from '../latency.ts';
import type { LoadJob, LoadResult, Size, Wish } from '../load.ts';
import { type Response, ResponseReader } from './reader.ts';
import { type Request, Requests } from './requests.ts';

const RECONNECT_MS = 50;
const BODY_SHOWN = 500;
/** How long answers may be awaited after the end; then their requests are lost. */
const LAST_ANSWERS_MS = 30_000;

const EXPECTED: Partial<Record<Wish['kind'], number[]>> = { redeem: [201] };

/** One connection, and the request that is under way on it. */
interface Line {
  url: URL;
  socket: Socket;
  request: Request | undefined;
  /** when it was sent, or should have been */
  at: number;
  /** was asked before the measuring began */
  early: boolean;
  /** will send nothing more */
  resting: boolean;
}

export class Loader {
  readonly #job: LoadJob;
  readonly #requests: Requests;
  readonly #all = new Latencies();
  readonly #kinds = new Map<string, Latencies>();
  readonly #statuses: Record<string, number> = {};
  readonly #problems: Record<string, number> = {};
  readonly #unexpected = new Map<string, LoadResult['unexpected'][number]>();
  #began = 0;
  #measuredFrom = 0;
  #ends = Number.POSITIVE_INFINITY;
  #sent = 0;
  #answers = 0;
  #lost = 0;
  #repeated = 0;
  #size: Size = { head: 0, body: 0 };
  #ranOut = false;
  #stopped = false;
  /** lines that are not resting */
  #busy = 0;
  #finish: () => void = () => undefined;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#requests = new Requests(job);
  }

  /** Lets no more requests leave; `run` returns when the last answers are there. */
  stop(): void {
    this.#stopped = true;
    this.#ends = Math.min(this.#ends, performance.now());
  }

  async run(): Promise<LoadResult> {
    const { urls, connections, seconds, warmup = 0 } = this.#job;
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const places = Array.from(
      { length: connections },
      (_, i) => new URL(urls[i % urls.length] ?? ''),
    );
    const lines = await Promise.all(places.map((url) => this.#connect(url)));
    this.#began = performance.now();
    this.#measuredFrom = this.#began + warmup * 1000;
    if (seconds !== undefined) this.#ends = this.#measuredFrom + seconds * 1000;
    const cpu = process.cpuUsage();
    this.#busy = lines.length;
    for (const line of lines) this.#next(line);
    if (seconds !== undefined) {
      setTimeout(() => this.stop(), (warmup + seconds) * 1000).unref();
      setTimeout(() => this.#finish(), (warmup + seconds) * 1000 + LAST_ANSWERS_MS).unref();
    }
    await finished;
    const used = process.cpuUsage(cpu);
    const until = Math.min(performance.now(), this.#ends);
    for (const line of lines) {
      if (line.request) this.#lost += 1;
      line.socket.destroy();
    }
    const busy = (performance.now() - this.#began) / 1000;
    const measured = (until - this.#measuredFrom) / 1000;
    return this.#result(measured, busy, (used.user + used.system) / 1e6);
  }

  async #connect(url: URL): Promise<Line> {
    const line = { url, request: undefined, at: 0, early: true, resting: false } as Line;
    await this.#dial(line);
    return line;
  }

  /** Opens the line's connection, however often it takes while the load lasts, and wherever. */
  async #dial(line: Line): Promise<void> {
    const { urls } = this.#job;
    for (;;) {
      const { hostname, port, href } = line.url;
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      const opened = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (opened) {
        const reader = new ResponseReader((response) => this.#answered(line, response));
        line.socket = socket;
        socket.on('data', (chunk) => reader.feed(chunk));
        socket.on('error', () => undefined); // `close` follows
        socket.once('close', () => this.#closed(line));
        return;
      }
      socket.destroy();
      if (!this.#job.whenLost) throw new Error(`${href} cannot be reached`);
      if (this.#stopped) return;
      // as a load balancer does when a server is gone
      const at = urls.findIndex((url) => new URL(url).href === href);
      line.url = new URL(urls[(at + 1) % urls.length] ?? '');
      await sleep(RECONNECT_MS);
    }
  }

  #next(line: Line): void {
    const { count = Number.POSITIVE_INFINITY, pace } = this.#job;
    const now = performance.now();
    if (this.#stopped || this.#sent >= count || this.#ranOut) {
      this.#rest(line);
      return;
    }
    const due = pace ? this.#began + (this.#sent * 1000) / pace : now;
    this.#sent += 1;
    if (due <= now) this.#send(line, due);
    // it was idle, so that its time runs from when it is really sent: timers are a little late
    else setTimeout(() => this.#send(line, performance.now()), due - now);
  }

  #send(line: Line, at: number): void {
    const request = this.#stopped ? undefined : this.#requests.make();
    if (!request) {
      this.#ranOut ||= !this.#stopped;
      this.#rest(line);
      return;
    }
    line.request = request;
    line.at = at;
    line.early = at < this.#measuredFrom;
    line.socket.write(request.text, 'latin1');
  }

  /** Nothing more leaves on this line; the load is over when all rest. */
  #rest(line: Line): void {
    if (line.resting) return;
    line.resting = true;
    this.#busy -= 1;
    if (this.#busy === 0) this.#finish();
  }

  #answered(line: Line, response: Response): void {
    const { request } = line;
    if (!request) return;
    if (response.status === 503 && this.#job.whenLost === 'repeat' && !this.#stopped) {
      this.#repeat(line, request);
      return;
    }
    const now = performance.now();
    line.request = undefined;
    this.#answers += 1;
    const { kind, expect = EXPECTED[kind] ?? [200, 304, 201] } = request.wish;
    const { status, size } = response;
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    this.#size = size;
    const isExpected = expect.includes(status);
    if (status >= 400 || !isExpected) this.#note(kind, status, response.text(), isExpected);
    if (isExpected && !line.early && now <= this.#ends) this.#time(kind, now - line.at);
    request.learn?.(response);
    this.#next(line);
  }

  /** A 503 says that nobody knows: whoever has a key asks again. */
  #repeat(line: Line, request: Request): void {
    const { socket } = line;
    setTimeout(() => {
      // the connection may be lost meanwhile, and the request sent again for that
      if (line.socket !== socket || line.request !== request) return;
      this.#repeated += 1;
      socket.write(request.text, 'latin1');
    }, RECONNECT_MS);
  }

  #time(kind: string, ms: number): void {
    this.#all.add(ms);
    const own = this.#kinds.get(kind) ?? new Latencies();
    own.add(ms);
    this.#kinds.set(kind, own);
  }

  #note(kind: string, status: number, body: string, isExpected: boolean): void {
    const [, code = 'unknown'] = /"code":"([a-z_]+)"/.exec(body) ?? [];
    if (status >= 400) this.#problems[code] = (this.#problems[code] ?? 0) + 1;
    if (isExpected) return;
    const subject = `${kind} ${status} ${code}`;
    const known = this.#unexpected.get(subject);
    if (known) known.count += 1;
    else {
      const shown = body.slice(0, BODY_SHOWN);
      this.#unexpected.set(subject, { kind, status, count: 1, body: shown });
    }
  }

  /** The server went away, or closed: the line is opened again where the job says so. */
  #closed(line: Line): void {
    const { request } = line;
    const { whenLost } = this.#job;
    if (line.resting) return;
    if (!whenLost) throw new Error(`${line.url.href} closed a connection`);
    const again = whenLost === 'repeat' && !this.#stopped ? request : undefined;
    line.request = undefined;
    if (request && !again) this.#lost += 1;
    if (this.#stopped) {
      this.#rest(line);
      return;
    }
    void this.#dial(line).then(() => {
      if (!again || this.#stopped) {
        if (again) this.#lost += 1;
        this.#next(line);
        return;
      }
      this.#repeated += 1;
      line.request = again;
      line.socket.write(again.text, 'latin1');
    });
  }

  #result(seconds: number, busy: number, cpu: number): LoadResult {
    const kinds = [...this.#kinds].map(([kind, latencies]) => {
      const summary = latencies.summary();
      return [kind, { ...summary, rate: summary.count / seconds }] as const;
    });
    const latency = this.#all.summary();
    const { next, acknowledged } = this.#requests;
    return {
      seconds,
      rate: latency.count / seconds,
      latency,
      kinds: Object.fromEntries(kinds),
      answers: this.#answers,
      statuses: this.#statuses,
      problems: this.#problems,
      unexpected: [...this.#unexpected.values()],
      lost: this.#lost,
      repeated: this.#repeated,
      ranOut: this.#ranOut,
      ...(next === undefined ? {} : { next }),
      ...(acknowledged ? { acknowledged } : {}),
      size: this.#size,
      busy,
      cpu,
    };
  }
}
