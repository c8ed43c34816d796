export { admin } from './admin.ts';
export { type Client, createClient } from './client.ts';
export { counters } from './counters.ts';
export { type ErrorCode, LumisError, type NetworkCode, NetworkError } from './errors.ts';
export { newKey } from './key.ts';
export { type CounterEvent, merchant } from './merchant.ts';
export { open } from './open.ts';
export {
  type CallOptions,
  type ClientOptions,
  type Connection,
  connect,
  type KeyedOptions,
} from './request.ts';
export { rewards } from './rewards.ts';
export type { StreamEvent, StreamState, WatchOptions } from './stream.ts';
export type * from './types.ts';
