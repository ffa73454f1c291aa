/** Pairing data of a device that another one takes over: the neutral form, and how the stacks keep it. */
export * from './convert.js';
export { type Extra, type Files, type Format, type ReadOptions } from './formats/format.js';
export { formatOf, formats } from './formats/index.js';
export * from './snapshot.js';
export * from './store.js';
