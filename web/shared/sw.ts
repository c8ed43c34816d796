import { createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching';
import { registerRoute } from 'workbox-routing';

/** Filled in by the build: every file of the app, and the page that serves all its addresses. */
declare const __PRECACHE__: { url: string; revision: string | null }[];
declare const __SHELL__: string;

/** What the types for pages do not know of a service worker. */
interface WorkerScope {
  skipWaiting(): Promise<void>;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
}

const scope = self as unknown as WorkerScope;

// A new version waits until the page asks for it: never in the middle of something.
scope.addEventListener('message', ({ data }) => {
  if (data?.type === 'lumis:skip-waiting') void scope.skipWaiting();
});

// Only the app's own files; /api and /r are never touched.
precacheAndRoute(__PRECACHE__, { directoryIndex: '', cleanURLs: false });

// A page inside another one asks the server, which decides anew who may frame it.
registerRoute(
  ({ request }) => request.mode === 'navigate' && request.destination === 'document',
  createHandlerBoundToURL(__SHELL__),
);
