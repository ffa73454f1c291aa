/** The reference accessory, its faults, and what serves it. */
export * from './announcement/advertise.js';
export * from './announcement/announcement.js';
export * from './behaviour.js';
export * from './core.js';
export * from './device/store.js';
export * from './dress/dress.js';
export * from './dress/mfi-chip.js';
export * from './facts.js';
export * from './faults/index.js';
export * from './server.js';
export { pieces } from './session/frames.js';
