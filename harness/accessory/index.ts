/**
 * The reference accessory, its faults, and what serves it. A folder for each machine: `setup`, `verify` and `pairings`,
 * the `session` and `http` around them, the `announcement`; `messages` and `device` under them, `dress` over them. A file
 * answers first, as a healthy accessory does, then says what it asks of the behaviour, and has the healthy answers side by
 * side; what only a faulty twin answers otherwise is asked of `twin`. The faults of a machine stand beside it.
 */
export * from './announcement/advertise.js';
export * from './announcement/announcement.js';
export * from './behaviour.js';
export * from './core.js';
export * from './device/import.js';
export * from './device/store.js';
export * from './dress/dress.js';
export * from './dress/mfi-chip.js';
export * from './facts.js';
export * from './faults/index.js';
export * from './server.js';
export { pieces } from './session/frames.js';
