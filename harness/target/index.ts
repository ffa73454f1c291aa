/** The accessory under test. */
export * from './bench.js';
export * from './controller.js';
export * from './discovery.js';
export * from './errors.js';
export * from './gate.js';
export * from './hooks.js';
export * from './lifecycle.js';
export * from './link.js';
export * from './lockout.js';
export type { IdentityOrigin, StoredIdentity } from './key-log.js';
export * from './store.js';
export * from './waits.js';
export * from './outcome.js';
export * from './profile.js';
export * from './address.js';
export * from './connect.js';
