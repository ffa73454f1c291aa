/** What a run leaves behind: console, JUnit, JSON; redacted, escaped, written whole. */
export * from './causes.js';
export * from './console.js';
export * from './diff.js';
export * from './evidence.js';
export * from './files.js';
export * from './json.js';
export * from './junit.js';
export * from './pcapng.js';
export * from './redaction.js';
export * from './sarif.js';
export * from './secrets.js';
export * from './stored.js';
export * from './summary.js';
export * from './text.js';
