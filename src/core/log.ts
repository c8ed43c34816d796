import { type Logger, pino } from 'pino';

export type Log = Logger;

/**
 * The one log: JSON lines on standard output. Credentials never reach it: headers that carry them
 * are cut here, and URLs hold none.
 */
export function createLog(level: string): Log {
  return pino({
    level,
    base: null,
    serializers: { err: errorForLog },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['req.headers.authorization', 'req.headers.cookie', '*.api_key', '*.redemption_code'],
  });
}

/** What the log keeps of an error: never PostgreSQL's detail, which quotes whole rows. */
function errorForLog(error: Error & { code?: string; constraint?: string }): object {
  const { name, message, code, constraint, stack, cause } = error;
  return {
    type: name,
    message,
    code,
    constraint,
    stack,
    ...(cause instanceof Error ? { cause: errorForLog(cause) } : {}),
  };
}
