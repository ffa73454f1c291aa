import { memoiseArithmetic, seededRandom } from '../protocol/index.js';
import { mfiM4 } from './flows/mfi.js';
import { errors, pairings } from './flows/pairings.js';
import { pairSetup } from './flows/setup.js';
import { split, transient } from './flows/transient.js';
import { pairVerify } from './flows/verify.js';
import { type VectorFile, serialise } from './format.js';
import { type Generator, fileOf } from './make.js';
import { frames } from './primitives/frames.js';
import { aead, hkdfKeys } from './primitives/keys.js';
import { setupCode } from './primitives/setup-code.js';
import { plainSessions, srp } from './primitives/srp.js';
import { tlv8 } from './primitives/tlv8.js';
import { jsonSchema, kinds } from './schemas.js';
import { snapshotJsonSchema } from './snapshot.js';

const generators: Readonly<Record<string, Generator>> = {
  tlv8,
  'setup-code': setupCode,
  srp,
  hkdf: hkdfKeys,
  aead,
  'pair-setup': pairSetup,
  'pair-verify': pairVerify,
  pairings,
  frames,
  transient,
  split,
  'mfi-m4': mfiM4,
  errors,
};

/** The kinds of files that are generated, in order. */
export const generatedKinds: readonly string[] = Object.keys(generators);

/** The cases of a file share most of their arithmetic: each result is computed once. */
function memoised<T>(make: () => T): T {
  memoiseArithmetic(true);
  try {
    return make();
  } finally {
    memoiseArithmetic(false);
  }
}

/** One kind of file; the same seed gives the same file, whatever else is generated. */
export function generateKind(kind: string, seed: string): VectorFile {
  const random = seededRandom(`vectors ${seed}`).fork(kind);
  return memoised(() => fileOf(kind, seed, generators[kind]!(random)));
}

/** `count` SRP sessions as a file of vectors, for measurements. */
export function generateSessions(seed: string, count: number): VectorFile {
  return memoised(() => fileOf('srp', seed, plainSessions(seededRandom(`vectors ${seed}`), count)));
}

/** Every file by its path inside the folder: the vectors and their schemas. */
export function generateAll(seed: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const kind of generatedKinds) files.set(`${kind}.json`, serialise(generateKind(kind, seed)));
  for (const kind of Object.keys(kinds))
    files.set(`schemas/${kind}.schema.json`, serialise(jsonSchema(kind)));
  files.set('schemas/pairing-snapshot.schema.json', serialise(snapshotJsonSchema()));
  return files;
}
