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
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['req.headers.authorization', 'req.headers.cookie', '*.api_key', '*.redemption_code'],
  });
}
