import { type Connection, connect } from '../../sdk/index.ts';
import { followServer } from './clock.ts';
import { currentLocale } from './words.ts';

/**
 * A connection to the server this page came from: in the language of the page, with the token that
 * `token` returns at each request, and the clock of the page set by its answers. Give it to the
 * audiences the app needs, `rewards(connection)`; what is not imported is not loaded.
 */
export function appConnection(token: () => string | undefined): Connection {
  const connection = connect({ token, locale: currentLocale });
  followServer(() => connection.clockOffsetMs);
  return connection;
}
