/** The protocol core: bytes in, bytes out; no socket, no clock, no file. */
export * from './aead.js';
export * from './announcement.js';
export * from './bytes.js';
export * from './constants.js';
export * from './frames.js';
export * from './identity.js';
export * from './key-schedule.js';
export { memoiseArithmetic, memoising } from './memo.js';
export * from './messages.js';
export * from './mfi.js';
export * from './modpow.js';
export { noble } from './noble.js';
export { openssl } from './openssl.js';
export type * from './primitives.js';
export * from './random.js';
export * from './setup-code.js';
export * from './srp.js';
export * from './tlv8.js';
