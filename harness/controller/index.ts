/** The reference controller: state machines of bytes in, bytes out. */
export * from './edits.js';
export * from './finding.js';
export * from './mfi.js';
export * from './pair-setup.js';
export * from './pair-verify.js';
export * from './pairings.js';
