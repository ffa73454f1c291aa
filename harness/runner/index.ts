/** Catalogue, selection, plan, execution, status. */
export type { RunFacts, RunHead } from './book.js';
export * from './catalogue.js';
export * from './check.js';
export * from './coverage.js';
export * from './hunt.js';
export * from './judge.js';
export * from './mount.js';
export * from './parts.js';
export * from './result.js';
export * from './execute.js';
export * from './expectations.js';
export * from './plan.js';
export * from './property.js';
export * from './run.js';
export * from './selection.js';
export * from './selftest.js';
export * from './status.js';
export * from './traits.js';
