/** The narrow door: all that a suite file may import. */
export * as arbitraries from './arbitraries.js';
export * as edits from './edits.js';
export * as hap from './hap.js';
export * as outcomes from './outcomes.js';
export {
  type Announced,
  type Asking,
  type Characteristic,
  type ClonedDevice,
  type Controller,
  type Link,
  type OwnPairing,
  type PairSetup,
  type PairVerify,
  type Session,
  StepFailed,
  type TransientSetup,
  type Silent,
  describeOutcome,
  guess,
  ownPairings,
  readAccessories,
} from './device/index.js';
export { header } from './wire/index.js';
export { loadCatalogue } from './runner/catalogue.js';
export { verifySuite } from './runner/plan.js';
export { WRONG_CODE } from './runner/status.js';
export { type Cell, type CheckContext, type CheckSpec, chapter, loadCases } from './runner/check.js';
export { type Trial, property } from './runner/property.js';
export { default as fc } from 'fast-check';
