import type { MerchantCredential } from '../core/actor.ts';
import type { Log } from '../core/log.ts';
import type { Database } from '../db/pool.ts';
import { stillMayAct } from '../merchants/still.ts';
import type { Stream } from './stream.ts';

/** Ends the streams of merchants whose credential holds no longer. */
export interface Guard {
  /** Watches over a stream until it ends. */
  keep(stream: Stream, credential: MerchantCredential): void;
  close(): void;
}

const LOOK_MS = 2000;

/**
 * Requests are checked by the statement that decides them; a stream was decided once and goes on.
 * So all credentials of open streams are looked at together, every two seconds, by one statement.
 */
export function openGuard(db: Database, log: Log): Guard {
  const kept = new Map<Stream, MerchantCredential>();
  let timer: NodeJS.Timeout | undefined;
  let looking = false;

  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      const streams = [...kept.keys()];
      const may = await stillMayAct(db, [...kept.values()]);
      for (const [i, stream] of streams.entries()) if (!may[i]) stream.end();
    } catch (error) {
      // without the database nothing is told to anybody either
      log.debug({ err: error }, 'cannot look whether credentials still hold');
    }
    looking = false;
  };

  return {
    keep(stream, credential) {
      kept.set(stream, credential);
      timer ??= setInterval(() => void look(), LOOK_MS);
      stream.onEnd(() => {
        kept.delete(stream);
        if (kept.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      });
    },
    close: () => clearInterval(timer),
  };
}
