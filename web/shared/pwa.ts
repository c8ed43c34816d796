import { useSyncExternalStore } from 'react';

let waiting: ServiceWorker | undefined;
const listeners = new Set<() => void>();
const RECHECK_MS = 60 * 60 * 1000;

/**
 * Registers the app's service worker (`scope` is "/wallet/" or "/scan/"), after the page has
 * loaded so that it does not compete with it. Without service workers the app works online only.
 */
export function registerServiceWorker(scope: string): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const register = async () => {
    const registration = await navigator.serviceWorker.register(`${scope}sw.js`, { scope });
    follow(registration);
    // an app on the home screen may stay open for days
    setInterval(() => void registration.update().catch(() => undefined), RECHECK_MS);
  };
  const start = () => void register().catch(() => undefined);
  if (document.readyState === 'complete') start();
  else addEventListener('load', start, { once: true });
}

/**
 * Whether a new version waits, and how to change to it: `apply` reloads the page. Offer it, never
 * force it, and not while something is being decided.
 */
export function useUpdate(): { isReady: boolean; apply(): void } {
  const isReady = useSyncExternalStore(subscribe, () => waiting !== undefined);
  return { isReady, apply };
}

function apply(): void {
  if (waiting?.state !== 'installed') {
    location.reload(); // another tab has changed to it already
    return;
  }
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), {
    once: true,
  });
  waiting.postMessage({ type: 'lumis:skip-waiting' });
}

function follow(registration: ServiceWorkerRegistration): void {
  const note = () => {
    // the first one has nobody to replace
    if (!registration.waiting || !navigator.serviceWorker.controller) return;
    waiting = registration.waiting;
    for (const listener of listeners) listener();
  };
  note();
  registration.addEventListener('updatefound', () => {
    registration.installing?.addEventListener('statechange', note);
  });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
