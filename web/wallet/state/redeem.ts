import { useCallback, useEffect, useRef, useState } from 'react';
import { LumisError, newKey } from '../../../sdk/index.ts';
import { serverNow } from '../../shared/clock.ts';
import type { CatalogueOffer, Redemption } from '../wire.ts';
import { asMember, client, isRefused } from './client.ts';
import { useConnectionLost } from './connection.ts';
import { type Intent, intentFor, noteAnswered, noteNotDone, noteSent } from './intents.ts';
import { refreshAll, showBalance, showRedemption } from './queries.ts';
import { currentSession } from './session.ts';

/** Longer than that, and we say that it takes long. */
const SLOW_MS = 3000;
/** Between two looks for an answer that was lost. */
const LOOK_MS = 3000;
/** A wish that was sent this recently is looked up without asking. */
const RECENT_MS = 2 * 60 * 1000;
const RATE_LIMIT_SECONDS = 60;

export type Redeeming =
  | { step: 'ready' }
  | { step: 'sending'; isSlow: boolean }
  /** nobody knows whether it was done; `isLooking` while the server is being asked */
  | { step: 'unsure'; isLooking: boolean; isOld: boolean; waitMs?: number }
  | { step: 'refused'; error: LumisError }
  | { step: 'limited'; until: number };

/**
 * Redeems one offer, once, however often it is tapped, lost, or taken up again: every request of one
 * wish carries the same key, until an answer comes. `onDone` gets the redemption.
 */
export function useRedeem(offer: CatalogueOffer, onDone: (redemption: Redemption) => void) {
  const { offer_id, name_friendly } = offer;
  const wish = useCallback(
    () => intentFor(offer_id, name_friendly, newKey),
    [offer_id, name_friendly],
  );
  const [state, setState] = useState<Redeeming>(() => stateOf(wish().sent_at));
  const isBusy = useRef(false);
  const isHere = useRef(true);
  const isLost = useConnectionLost();
  useEffect(() => {
    isHere.current = true;
    return () => {
      isHere.current = false;
    };
  }, []);

  const send = useCallback(async () => {
    if (isBusy.current) return; // a second tap is the same wish
    isBusy.current = true;
    const intent = wish(); // as it stands now: another tab may have sent one meanwhile
    setState(
      intent.sent_at !== undefined
        ? { step: 'unsure', isLooking: true, isOld: false }
        : { step: 'sending', isSlow: false },
    );
    const slow = setTimeout(
      () => setState((now) => (now.step === 'sending' ? { ...now, isSlow: true } : now)),
      SLOW_MS,
    );
    try {
      const redemption = await carryOut(intent);
      if (redemption && isHere.current) onDone(redemption);
    } catch (error) {
      setState(after(error));
    } finally {
      clearTimeout(slow);
      isBusy.current = false;
    }
  }, [wish, onDone]);

  const isWaiting = state.step === 'unsure' && !state.isLooking && !state.isOld;
  const waitMs = (state.step === 'unsure' && state.waitMs) || (isLost ? LOOK_MS : LOOK_MS / 3);
  useEffect(() => {
    if (!isWaiting) return;
    const timer = setTimeout(() => void send(), waitMs);
    return () => clearTimeout(timer);
  }, [isWaiting, waitMs, send]);

  return { state, send, again: () => setState({ step: 'ready' }) };
}

/**
 * Sends a wish, and notes what became of it; undefined when another member is here by then. Rejects
 * with the refusal, or with a NetworkError when nobody knows.
 */
async function carryOut(intent: Intent): Promise<Redemption | undefined> {
  const member = currentSession()?.user_id;
  const isTheirs = () => currentSession()?.user_id === member;
  const { offer_id, key } = intent;
  const isRepeat = intent.sent_at !== undefined;
  const sent = noteSent(intent);
  try {
    const call = () => client.rewards.redeem({ offer_id }, { key, isRepeat });
    const { balance, ...redeemed } = await asMember(call);
    if (!isTheirs()) return undefined;
    noteAnswered(sent);
    const redemption: Redemption = { ...redeemed, source: 'lumis', legacy_id: null };
    // the answer to a repetition is as old as the first one
    if (!isRepeat) showBalance(balance, redemption.lumis_spent);
    showRedemption(redemption);
    refreshAll(['redemption']);
    return redemption;
  } catch (error) {
    if (isTheirs() && error instanceof LumisError && error.isAnswered) {
      if (isRefused(error) || error.code === 'rate_limited') {
        noteNotDone(sent);
      } else {
        // the refusal is the answer to this key; another try is another wish
        noteAnswered(sent);
        refreshAll();
      }
    }
    throw error;
  }
}

function stateOf(sent_at: number | undefined): Redeeming {
  if (sent_at === undefined) return { step: 'ready' };
  const isOld = Math.abs(Date.now() - sent_at) > RECENT_MS;
  return { step: 'unsure', isLooking: false, isOld };
}

function after(error: unknown): Redeeming {
  if (!(error instanceof LumisError)) throw error;
  const { retryAfterSeconds: seconds } = error;
  if (!error.isAnswered) {
    return { step: 'unsure', isLooking: false, isOld: false, waitMs: (seconds ?? 0) * 1000 };
  }
  if (isRefused(error)) return { step: 'ready' };
  if (error.code === 'rate_limited') {
    return { step: 'limited', until: serverNow() + (seconds ?? RATE_LIMIT_SECONDS) * 1000 };
  }
  return { step: 'refused', error };
}
