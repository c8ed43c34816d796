import { merchant, open } from '../../sdk/index.ts';
import { connection } from './session.ts';

/** The parts of the API that a counter needs, loaded with the first screen that calls them. */
export const api = { ...open(connection), merchant: merchant(connection) };
