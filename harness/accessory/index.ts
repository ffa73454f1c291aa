/** The reference accessory, its faults, and what serves it. */
export * from './dress/dress.js';
export * from './announcement/advertise.js';
export * from './behaviour.js';
export * from './core.js';
export * from './faults/index.js';
export * from './dress/mfi-chip.js';
export * from './server.js';
export * from './device/store.js';
