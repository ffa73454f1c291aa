/** The library's public surface. */
export * as accessory from './accessory/index.js';
export * as controller from './controller/index.js';
export * as protocol from './protocol/index.js';
export * as target from './device/index.js';
export * as wire from './wire/index.js';
export * as runner from './runner/index.js';
export * as report from './report/index.js';
export { type ConformanceOptions } from './wanted.js';
export { type ProgressEvent, type Spectator, conformance } from './conformance.js';
export { version } from './version.js';
