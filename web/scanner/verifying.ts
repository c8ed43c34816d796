import type { CounterParts } from './counter.ts';
import type { Code, Till } from './till.ts';
import { type Failing, familyOf, hasLostAccess, SLOW_MS, verdictOf } from './verdict.ts';

/**
 * Verifies codes: asks the server what a code is worth, which moves nothing. What could not be asked
 * lies in the tray until a person takes it up again.
 */
export function createVerifying(till: Till, { api, memory, now, isOnline }: CounterParts) {
  const keep = ({ key, send, shown }: Code) => memory.put({ key, send, shown, read_at: now() });

  return async (code: Code): Promise<void> => {
    const mine = till.begin(code);
    if (!isOnline()) {
      keep(code);
      return till.conclude({ kind: 'offline' });
    }
    const { shown } = code;
    till.set({ verdict: undefined, checking: { shown, is_slow: false } });
    till.after(SLOW_MS, mine, () => till.set({ checking: { shown, is_slow: true } }));
    try {
      const redemption = await api.validate({ code: code.send });
      if (!till.isCurrent(mine)) return;
      memory.drop(code.key);
      till.conclude({ kind: 'valid', redemption });
    } catch (error) {
      if (!till.isCurrent(mine)) return;
      const failing = error as Failing;
      if (hasLostAccess(failing)) return till.loseAccess();
      const verdict = verdictOf(failing, now(), memory.confirmedHere());
      if (familyOf(verdict) === 'stop') memory.drop(code.key);
      else if (verdict.kind !== 'too_many') keep(code);
      const isLost = verdict.kind === 'no_answer' && !isOnline();
      till.conclude(isLost ? { kind: 'offline' } : verdict);
    }
  };
}
