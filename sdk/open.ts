import type { CallOptions, Connection } from './request.ts';
import type { DemoMembers, DemoToken, Paired, PairInput, Pairing, SiteConfig } from './types.ts';

/** What needs no credential. */
export function open({ send }: Connection) {
  return {
    config: (options?: CallOptions) => send<SiteConfig>('GET', '/config', options),
    devices: {
      /**
       * Exchanges a pairing code for a device's token. The code is good once, so this is never
       * repeated by itself: after a NetworkError ask for a new code.
       */
      pair: (body: PairInput, options?: CallOptions) =>
        send<Paired>('POST', '/devices/pair', { ...options, body }),
    },
    /** There only in an installation with demo data; otherwise `not_found`. */
    demo: {
      members: (options?: CallOptions) => send<DemoMembers>('GET', '/demo/members', options),
      signIn: (body: { user_id: number }, options?: CallOptions) =>
        send<DemoToken>('POST', '/demo/sign-in', { ...options, body }),
      pairing: (options?: CallOptions) => send<Pairing>('POST', '/demo/pairing', options),
    },
  };
}
