/** The browser's own offer to install, kept for a button: it comes once, before anybody asks. */
interface InstallPrompt extends Event {
  prompt(): Promise<{ outcome: string }>;
}

let offer: InstallPrompt | undefined;
const listeners = new Set<() => void>();

addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault();
  offer = event as InstallPrompt;
  for (const listener of listeners) listener();
});

/** Whether the browser has made its offer and was not taken at its word yet. */
export const canInstall = () => offer !== undefined;

/** Runs when it becomes possible to install. Returns how to stop. */
export function onInstall(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Asks once; the browser does not let us ask again with the same offer. */
export async function install(): Promise<void> {
  const asked = offer;
  offer = undefined;
  await asked?.prompt().catch(() => undefined);
  for (const listener of listeners) listener();
}
