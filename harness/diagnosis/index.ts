/** From what a run has seen to the mistakes that explain it: the matrix of faults and checks read backwards. */
export * from './evidence.js';
export * from './explain.js';
export * from './inquiry.js';
export * from './signatures.js';
export * from './symptom.js';
