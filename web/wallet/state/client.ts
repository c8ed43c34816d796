import { connect, LumisError, NetworkError, open, rewards } from '../../../sdk/index.ts';
import { appConnection } from '../../shared/client.ts';
import { followServer } from '../../shared/clock.ts';
import { currentLocale } from '../../shared/words.ts';
import { noteAnswer, noteLoss } from './connection.ts';
import { currentSession, currentToken, endSession, proveSession, store } from './session.ts';

// the members' part alone: the rest of the sdk need not travel to a phone
const connection = appConnection(currentToken);
export const client = { ...open(connection), rewards: rewards(connection) };

/** A clock is told again only when it moved by more than a header's second is worth. */
const CLOCK_STEP_MS = 2000;
let keptOffsetMs = store.read<number>('clock') ?? 0;
// what was learned on the last visit serves until an answer comes; offline none does
followServer(() => connection.clockOffsetMs || keptOffsetMs);

/**
 * A call in the member's name. A refused token ends the session, unless a newer one of the same
 * member has come in the meantime: then the call is made once more with it.
 */
export async function asMember<T>(call: () => Promise<T>): Promise<T> {
  const token = currentToken();
  const member = currentSession()?.user_id;
  try {
    const value = await heard(call);
    proveSession(token);
    return value;
  } catch (error) {
    if (!isRefused(error)) throw error;
    const newer = currentSession()?.user_id === member ? currentToken() : undefined;
    if (newer && newer !== token) return heard(call);
    endSession(token);
    throw error;
  }
}

/** Notes from how a call ends whether the server can be reached. */
export async function heard<T>(call: () => Promise<T>): Promise<T> {
  try {
    const value = await call();
    noteAnswer();
    keepClock();
    return value;
  } catch (error) {
    if (error instanceof NetworkError) noteLoss();
    else if (error instanceof LumisError) noteAnswer();
    throw error;
  }
}

/** Asks as somebody who is not signed in here yet, to see whether their token is good. */
export async function checkToken(token: string): Promise<void> {
  const stranger = connect({ token, locale: currentLocale });
  await heard(() => rewards(stranger).balance());
}

/** Whether the server did not accept the token. */
export function isRefused(error: unknown): boolean {
  return error instanceof LumisError && error.code === 'unauthorized';
}

function keepClock(): void {
  const { clockOffsetMs } = connection;
  if (Math.abs(clockOffsetMs - keptOffsetMs) < CLOCK_STEP_MS) return;
  keptOffsetMs = clockOffsetMs;
  store.write('clock', clockOffsetMs);
}
