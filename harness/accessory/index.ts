/** The reference accessory, its faults, and what serves it. */
export * from './dress.js';
export * from './advertise.js';
export * from './behaviour.js';
export * from './core.js';
export * from './faults/index.js';
export * from './mfi-chip.js';
export * from './server.js';
export * from './store.js';
