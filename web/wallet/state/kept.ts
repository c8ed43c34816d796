import type { Balance, Redemption } from '../wire.ts';
import { store } from './session.ts';

/** What can be shown without a network: the last balance, and the codes that can still be used. */
interface Kept {
  user_id: string;
  balance?: Balance;
  redemptions: Redemption[];
}

const NAME = 'kept';

function read(user_id: string): Kept {
  const kept = store.read<Kept>(NAME);
  return kept?.user_id === user_id && Array.isArray(kept.redemptions)
    ? kept
    : { user_id, redemptions: [] };
}

/** The last balance that this device saw of a member. */
export function keptBalance(user_id: string): Balance | undefined {
  return read(user_id).balance;
}

/** A member's redemptions whose code could still be used when they were last seen. */
export function keptRedemptions(user_id: string): Redemption[] {
  return read(user_id).redemptions;
}

/** One of them. */
export function keptRedemption(user_id: string, redemption_id: string): Redemption | undefined {
  return keptRedemptions(user_id).find((one) => one.redemption_id === redemption_id);
}

/** Keeps a member's balance in place of the one before. */
export function keepBalance(user_id: string, balance: Balance): void {
  store.write(NAME, { ...read(user_id), balance });
}

/** Keeps a redemption while its code can be used, and forgets it when it no longer can. */
export function keepRedemption(user_id: string, redemption: Redemption): void {
  const kept = read(user_id);
  const others = kept.redemptions.filter((one) => one.redemption_id !== redemption.redemption_id);
  const isUsable = redemption.redemption_status === 'pending' && redemption.redemption_code;
  store.write(NAME, { ...kept, redemptions: isUsable ? [redemption, ...others] : others });
}

/** Keeps these as the only ones: the whole list of active redemptions came. */
export function keepRedemptions(user_id: string, redemptions: Redemption[]): void {
  store.write(NAME, {
    ...read(user_id),
    redemptions: redemptions.filter((one) => one.redemption_code),
  });
}
