import { useEffect, useRef, useState } from 'react';
import { LumisError, newKey } from '../../../sdk/index.ts';
import type { Redemption } from '../wire.ts';
import { asMember, client, isRefused } from './client.ts';
import { refreshAll, showBalance, showRedemption } from './queries.ts';
import { currentSession, tabStore } from './session.ts';

const LOOK_MS = 3000;

export type Cancelling =
  | { step: 'ready' }
  | { step: 'sending' }
  | { step: 'unsure' }
  | { step: 'refused'; error: LumisError };

/** Cancels one redemption, once: a lost answer is looked up with the same key. */
export function useCancel(redemption: Redemption | undefined, onDone: () => void) {
  const [state, setState] = useState<Cancelling>({ step: 'ready' });
  const isBusy = useRef(false);
  const name = `cancel.${redemption?.redemption_id}`;

  const send = async () => {
    if (isBusy.current || !redemption) return;
    isBusy.current = true;
    const member = currentSession()?.user_id;
    const isTheirs = () => currentSession()?.user_id === member;
    const known = tabStore.read<string>(name);
    const key = known ?? newKey();
    tabStore.write(name, key);
    setState({ step: state.step === 'unsure' ? 'unsure' : 'sending' });
    try {
      const { balance, redemption_status, closed_at } = await asMember(() =>
        client.rewards.cancel(redemption.redemption_id, { key, isRepeat: known !== undefined }),
      );
      if (!isTheirs()) return;
      tabStore.remove(name);
      const { redemption_code, qr_image_url, qr_landing_url, ...rest } = redemption;
      showRedemption({ ...rest, redemption_status, closed_at });
      if (!known) showBalance(balance, -redemption.lumis_spent);
      refreshAll(['redemption']);
      setState({ step: 'ready' });
      onDone();
    } catch (error) {
      if (!(error instanceof LumisError)) throw error;
      if (!isTheirs()) return;
      if (!error.isAnswered) {
        // a new object each time: the next look is timed by it
        setState({ step: 'unsure' });
      } else {
        tabStore.remove(name);
        setState(isRefused(error) ? { step: 'ready' } : { step: 'refused', error });
        refreshAll();
      }
    } finally {
      isBusy.current = false;
    }
  };

  const look = useRef(send);
  look.current = send;
  useEffect(() => {
    if (state.step !== 'unsure') return;
    const timer = setTimeout(() => void look.current(), LOOK_MS);
    return () => clearTimeout(timer);
  }, [state]);

  return { state, send, reset: () => setState({ step: 'ready' }) };
}
