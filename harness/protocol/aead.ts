import { type Bytes, InputError, abytes, concat, utf8 } from './bytes.js';
import { Length } from './constants.js';
import { ours } from './ours.js';
import type { Primitives } from './primitives.js';

/** The eight-character nonce labels (seed 002 §5). */
export type NonceLabel = 'PS-Msg04' | 'PS-Msg05' | 'PS-Msg06' | 'PV-Msg02' | 'PV-Msg03';

const NONCE_PREFIX = new Uint8Array(4);
const NO_AAD = new Uint8Array(0);

/** 12 bytes: four zero bytes, then the label (seed 002 §5; §2.7 says it the other way round and is wrong, erratum E11). */
export function labelNonce(label: string): Bytes {
  const bytes = utf8(label);
  if (bytes.length !== 8) throw new InputError(`nonce label: expected 8 characters, got "${label}"`);
  return concat(NONCE_PREFIX, bytes);
}

/** 12 bytes: four zero bytes, then the counter as 64-bit little-endian (seed 001). */
export function counterNonce(counter: bigint): Bytes {
  const out = new Uint8Array(12);
  new DataView(out.buffer).setBigUint64(4, counter, true);
  return out;
}

/** Ciphertext with its 16-byte tag. Key 32 bytes, nonce 12 bytes. @throws InputError on other sizes. */
export function seal(
  key: Bytes,
  nonce: Bytes,
  plaintext: Bytes,
  aad: Bytes = NO_AAD,
  by: Primitives = ours(),
): Bytes {
  abytes(key, 'ChaCha20-Poly1305 key', 32);
  abytes(nonce, 'ChaCha20-Poly1305 nonce', 12);
  return by.seal(key, nonce, plaintext, aad);
}

/** The plaintext, or undefined when the tag is wrong or the input is shorter than a tag. Never throws on a peer's bytes. */
export function open(
  key: Bytes,
  nonce: Bytes,
  sealed: Bytes,
  aad: Bytes = NO_AAD,
  by: Primitives = ours(),
): Bytes | undefined {
  abytes(key, 'ChaCha20-Poly1305 key', 32);
  abytes(nonce, 'ChaCha20-Poly1305 nonce', 12);
  return sealed.length < Length.tag ? undefined : by.open(key, nonce, sealed, aad);
}

/** The plaintext without looking at the tag: what an accessory with a missing check computes. Only faults call this. */
export function openIgnoringTag(
  key: Bytes,
  nonce: Bytes,
  sealed: Bytes,
  by: Primitives = ours(),
): Bytes | undefined {
  return sealed.length < Length.tag ? undefined : by.chacha20(key, nonce, sealed.subarray(0, -Length.tag));
}
