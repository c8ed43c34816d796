import { useCallback, useEffect, useRef, useState } from 'react';
import { LumisError, newKey } from '../../../sdk/index.ts';
import { serverNow } from '../../shared/clock.ts';
import type { CatalogueOffer, Redemption } from '../wire.ts';
import { asMember, client, isRefused } from './client.ts';
import { useConnectionLost } from './connection.ts';
import { intentFor, noteAnswered, noteNotDone, noteSent } from './intents.ts';
import { refreshAll, showBalance, showRedemption } from './queries.ts';

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
  const [intent, setIntent] = useState(() => intentFor(offer_id, name_friendly, newKey));
  const [state, setState] = useState<Redeeming>(() => stateOf(intent.sent_at));
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
    const isRepeat = intent.sent_at !== undefined;
    const sent = noteSent(intent);
    setIntent(sent);
    setState(
      isRepeat
        ? { step: 'unsure', isLooking: true, isOld: false }
        : { step: 'sending', isSlow: false },
    );
    const slow = setTimeout(
      () => setState((now) => (now.step === 'sending' ? { ...now, isSlow: true } : now)),
      SLOW_MS,
    );
    try {
      const call = () => client.rewards.redeem({ offer_id }, { key: sent.key, isRepeat });
      const { balance, ...redeemed } = await asMember(call);
      noteAnswered(offer_id);
      const redemption: Redemption = { ...redeemed, source: 'lumis', legacy_id: null };
      // the answer to a repetition is as old as the first one
      if (!isRepeat) showBalance(balance, redemption.lumis_spent);
      showRedemption(redemption);
      refreshAll(['redemption']);
      if (isHere.current) onDone(redemption);
    } catch (error) {
      setState(after(error));
      if (error instanceof LumisError && error.isAnswered) {
        if (isRefused(error) || error.code === 'rate_limited') {
          noteNotDone(sent);
          setIntent({ ...sent, sent_at: undefined });
        } else {
          // the refusal is the answer to this key; another try is another wish
          noteAnswered(offer_id);
          setIntent(intentFor(offer_id, name_friendly, newKey));
          refreshAll();
        }
      }
    } finally {
      clearTimeout(slow);
      isBusy.current = false;
    }
  }, [intent, offer_id, name_friendly, onDone]);

  const isWaiting = state.step === 'unsure' && !state.isLooking && !state.isOld;
  const waitMs = (state.step === 'unsure' && state.waitMs) || (isLost ? LOOK_MS : LOOK_MS / 3);
  useEffect(() => {
    if (!isWaiting) return;
    const timer = setTimeout(() => void send(), waitMs);
    return () => clearTimeout(timer);
  }, [isWaiting, waitMs, send]);

  return { state, send, again: () => setState({ step: 'ready' }) };
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
