import { store, tabStore } from './session.ts';

/** A wish to redeem an offer, with the one key that all its requests carry. */
export interface Intent {
  offer_id: string;
  offer_name: string;
  key: string;
  /** when it was sent last, in this device's milliseconds; undefined: never, or surely not done */
  sent_at: number | undefined;
}

const NAME = 'intents';
/** How long the server remembers a key. After that, repeating it would be a second redemption. */
const KEY_LIFE_MS = 72 * 60 * 60 * 1000;

/** The open wish for an offer; a new one when there is none. Kept in this tab until it is sent. */
export function intentFor(offer_id: string, offer_name: string, newKey: () => string): Intent {
  const known = sentIntents()[offer_id] ?? tabStore.read<Intent>(`intent.${offer_id}`);
  if (known?.key) return known;
  const fresh = { offer_id, offer_name, key: newKey(), sent_at: undefined };
  tabStore.write(`intent.${offer_id}`, fresh);
  return fresh;
}

/** Notes, before the request leaves, that it does: a tab may die before the answer comes. */
export function noteSent(intent: Intent): Intent {
  const sent = { ...intent, sent_at: Date.now() };
  store.write(NAME, { ...sentIntents(), [intent.offer_id]: sent });
  return sent;
}

/** Notes that what was sent was not carried out (a session that ended, too many requests). */
export function noteNotDone(intent: Intent): void {
  forgetSent(intent);
  tabStore.write(`intent.${intent.offer_id}`, { ...intent, sent_at: undefined });
}

/** The wish was answered, by a redemption or by a refusal: the next one gets its own key. */
export function noteAnswered(intent: Intent): void {
  forgetSent(intent);
  const name = `intent.${intent.offer_id}`;
  if (tabStore.read<Intent>(name)?.key === intent.key) tabStore.remove(name);
}

/** Only this one: another tab may have sent a wish of its own for the same offer. */
function forgetSent({ offer_id, key }: Intent): void {
  const { [offer_id]: sent, ...others } = sentIntents();
  if (sent?.key === key) store.write(NAME, others);
}

/** The wishes whose answer never came, by offer. */
export function unansweredIntents(): Intent[] {
  return Object.values(sentIntents());
}

function sentIntents(): Record<string, Intent> {
  const kept = store.read<Record<string, Intent>>(NAME) ?? {};
  const now = Date.now();
  return Object.fromEntries(
    Object.entries(kept).filter(([, { sent_at = 0 }]) => Math.abs(now - sent_at) < KEY_LIFE_MS),
  );
}
