/** Test vectors: made over the protocol layer, verified over a second implementation, written for firmware. */
export { cHeader } from './c-header.js';
export { type VectorFile, serialise } from './format.js';
export { generateAll, generateKind, generateSessions, generatedKinds } from './generate.js';
export { groupShapes } from './shapes.js';
export { MAX_RECORDING, fromRecording } from './recording.js';
export { jsonSchema, kinds } from './schemas.js';
export {
  MAX_FILE,
  type Mismatch,
  NoVectors,
  lintFile,
  parseVectors,
  verifyCase,
  verifyFile,
} from './verify.js';
