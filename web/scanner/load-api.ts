/** The API, which is no part of the first load: nothing is asked before the first screen is drawn. */
export const loadApi = async () => (await import('./api.ts')).api;
