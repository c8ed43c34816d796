import type { Counter, CounterParts } from './counter.ts';
import { type Code, mark, type Till } from './till.ts';
import { type Failing, hasLostAccess, type PendingConfirm, SLOW_MS, verdictOf } from './verdict.ts';

const LOOK_UP_MS = [1500, 3000, 5000];
/** A confirmation older than this is not repeated without a tap: the customer may have left. */
const YOUNG_MS = 120_000;

/**
 * Confirms, once each: the key is kept before the request leaves, and as long as nobody knows what
 * became of it, the same request goes out again.
 */
export function createConfirming(
  till: Till,
  parts: CounterParts,
): Pick<Counter, 'confirm' | 'checkNow' | 'resume'> {
  const { memory, newKey, now, isOnline } = parts;
  const { settle, lookUp, begin } = createSettling(till, parts);
  return {
    confirm: () => {
      const { verdict } = till.state();
      if (verdict?.kind !== 'valid') return;
      const { redemption } = verdict;
      mark('confirm');
      // nothing was sent, so nothing is in doubt, and nothing goes out later by itself
      if (!isOnline()) return till.conclude({ kind: 'valid', redemption, notice: 'offline' });
      const code = till.code();
      const known = memory.pendings().find((one) => one.redemption_id === redemption.redemption_id);
      const shown = code?.shown ?? '';
      const pending = known ?? { ...redemption, key: newKey(), shown, began_at: now() };
      memory.begin(pending); // before the request: a page that dies now finds its key again
      const mine = begin(code);
      const say = (is_slow: boolean) =>
        till.set({ verdict: { kind: 'confirming', redemption, is_slow } });
      say(false);
      till.after(SLOW_MS, mine, () => say(true));
      void settle(pending, mine, known !== undefined);
    },
    checkNow: (id) => {
      const { verdict, pendings } = till.state();
      const shown = verdict?.kind === 'unsure' ? verdict : undefined;
      if (shown?.is_checking) return;
      const pending = id ? pendings.find((one) => one.redemption_id === id) : shown?.pending;
      if (pending) lookUp(pending, begin(id ? undefined : till.code()));
    },
    resume: () => {
      const [pending] = memory.pendings();
      if (!pending) return;
      const mine = begin(undefined);
      till.conclude({ kind: 'unsure', pending, is_checking: false });
      if (Math.abs(now() - pending.began_at) < YOUNG_MS && isOnline()) lookUp(pending, mine);
    },
  };
}

/** What becomes of a confirmation that was sent: it is done, refused, or looked up until it is. */
function createSettling(till: Till, { api, memory, now, isOnline }: CounterParts) {
  let lookUps = 0;

  /** Sends a confirmation, the first time or again: the key makes both the same request. */
  const settle = async (pending: PendingConfirm, mine: number, isRepeat: boolean) => {
    const { key, redemption_id } = pending;
    try {
      const redemption = await api.confirm(redemption_id, { key, isRepeat });
      memory.remember(redemption);
      memory.end(redemption_id);
      if (!till.isCurrent(mine)) return till.set({});
      mark('confirmed');
      till.conclude({ kind: 'confirmed', redemption });
    } catch (error) {
      const failing = error as Failing;
      if (hasLostAccess(failing)) return till.loseAccess();
      if (failing.isAnswered) refuse(pending, mine, failing);
      else if (till.isCurrent(mine)) doubt(pending, mine);
      else till.set({});
    }
  };
  /** It was not done, and nothing sent under this key is still on its way: nothing is in doubt. */
  const refuse = (pending: PendingConfirm, mine: number, failing: Failing) => {
    const verdict = verdictOf(failing, now(), memory.confirmedHere());
    memory.end(pending.redemption_id);
    if (!till.isCurrent(mine)) return till.set({});
    const isBusy = verdict.kind === 'too_many';
    till.conclude(
      isBusy ? { kind: 'valid', redemption: pending, wait_until: verdict.wait_until } : verdict,
    );
  };
  const doubt = (pending: PendingConfirm, mine: number) => {
    till.conclude({ kind: 'unsure', pending, is_checking: false });
    lookUpSoon(pending, mine);
  };
  const lookUpSoon = (pending: PendingConfirm, mine: number) => {
    const wait = LOOK_UP_MS[Math.min(lookUps, LOOK_UP_MS.length - 1)] as number;
    lookUps += 1;
    till.after(wait, mine, () => {
      if (isOnline()) lookUp(pending, mine);
      else lookUpSoon(pending, mine);
    });
  };
  const lookUp = (pending: PendingConfirm, mine: number) => {
    till.set({ checking: undefined, verdict: { kind: 'unsure', pending, is_checking: true } });
    void settle(pending, mine, true);
  };
  const begin = (code: Code | undefined) => {
    lookUps = 0;
    return till.begin(code);
  };
  return { settle, lookUp, begin };
}
