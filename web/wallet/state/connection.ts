import { useSyncExternalStore } from 'react';

let isLost = false;
const listeners = new Set<() => void>();

function change(next: boolean): void {
  if (next === isLost) return;
  isLost = next;
  for (const listener of listeners) listener();
}

/** An answer came, whichever: the server can be reached. */
export const noteAnswer = () => change(false);
/** No answer came. */
export const noteLoss = () => change(true);

// the browser knows of a lost network at once; that it is back only an answer tells
addEventListener('offline', noteLoss);
if (!navigator.onLine) isLost = true;

/** Whether the server cannot be reached, now. In components `useConnectionLost`. */
export function isConnectionLost(): boolean {
  return isLost;
}

/** Runs when the connection goes or comes. */
export function onConnection(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the server cannot be reached: no network, or nobody answers. */
export function useConnectionLost(): boolean {
  return useSyncExternalStore(onConnection, isConnectionLost);
}
