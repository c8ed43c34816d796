import { constants } from 'node:os';
import { ConfigFault } from '../config.ts';
import { Failure } from '../core/failure.ts';
import { MigrationRefused } from '../db/migrate.ts';

/** sysexits.h, where it has a word for it. */
export const EXIT = {
  done: 0,
  foundWrong: 1,
  usage: 64,
  unavailable: 69,
  configuration: 78,
} as const;

/** The command was asked for something that cannot be; the message says what can. */
export class UsageFault extends Error {}

const UNREACHABLE = /ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ECONNRESET|EAI_AGAIN|EPIPE/;

/** Says what went wrong in words for an operator, and sets the exit code that scripts read. */
export function endWith(error: unknown): void {
  const { text, exit } = explain(error as Fault);
  process.stderr.write(`lumis: ${text}\n`);
  process.exitCode = exit;
}

type Fault = NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException };

function explain(fault: Fault): { text: string; exit: number } {
  const { message } = fault;
  // a Failure keeps what the driver said as its cause
  const code = (fault instanceof Failure ? fault.cause?.code : fault.code) ?? '';
  if (fault instanceof UsageFault) return { text: message, exit: EXIT.usage };
  if (fault instanceof ConfigFault) return { text: message, exit: EXIT.configuration };
  if (fault instanceof MigrationRefused) {
    const more = [fault.detail, fault.hint].filter(Boolean).map((line) => `\n  ${line}`);
    return { text: message + more.join(''), exit: EXIT.configuration };
  }
  if (code === 'EADDRINUSE') {
    return { text: `${message}; set PORT to a free one`, exit: EXIT.configuration };
  }
  if (['EACCES', 'EROFS', 'ENOTDIR', 'EADDRNOTAVAIL'].includes(code)) {
    return { text: message, exit: EXIT.configuration };
  }
  const why = fault.cause?.message ?? message;
  if (/^53/.test(code)) {
    return { text: `the database has run out of something: ${why}`, exit: EXIT.unavailable };
  }
  const unreachable = (why: string) => ({
    text: `the database cannot be reached: ${why}`,
    exit: EXIT.unavailable,
  });
  if (
    UNREACHABLE.test(`${code} ${message} ${fault.cause?.code}`) ||
    /^(28|3D|08|57P0)/.test(code)
  ) {
    return unreachable(message || code);
  }
  if (code === '42P01' || code === '3F000') {
    const text =
      'this database has no redemption system yet; lumis migrate plan says what lumis migrate up would do';
    return { text, exit: EXIT.configuration };
  }
  if (code === '42501') {
    const text = `${message}; docs/operations.md lists the GRANTs that a role needs`;
    return { text, exit: EXIT.configuration };
  }
  if (fault instanceof Failure && fault.code === 'overloaded') {
    return unreachable(why);
  }
  if (fault instanceof Failure) {
    const facts = Object.entries(fault.data).map(([name, value]) => ` ${name}=${value}`);
    return { text: message + facts.join(''), exit: EXIT.foundWrong };
  }
  return { text: message ?? String(fault), exit: EXIT.foundWrong };
}

/** Resolves when somebody asks this process to end (SIGINT, SIGTERM): with the exit code that says so. */
export function untilAsked(): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => resolve(128 + constants.signals[signal]));
    }
  });
}
