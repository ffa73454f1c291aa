import type { Bytes } from './bytes.js';

/**
 * The arithmetic under the protocol, as one implementation has it. The two ends of a run against the embedded accessory
 * compute with different ones (controller: `noble`, accessory: `openssl`), so that a mistake in one of them cannot cancel
 * itself out. What stands on top (labels, nonces, encodings, the order of what is hashed) is shared, and held down by
 * known answers from outside.
 */
export interface Primitives {
  readonly name: string;
  /** 64 bytes. */
  sha512(data: Bytes): Bytes;
  /** RFC 5869 with SHA-512; `length` bytes. */
  hkdfSha512(ikm: Bytes, salt: Bytes, info: Bytes, length: number): Bytes;
  /** ChaCha20-Poly1305 (RFC 8439): ciphertext and 16-byte tag. Key 32 bytes, nonce 12. */
  seal(key: Bytes, nonce: Bytes, plaintext: Bytes, aad: Bytes): Bytes;
  /** The plaintext, or undefined when the tag is wrong. `sealed` has at least the 16 bytes of a tag. */
  open(key: Bytes, nonce: Bytes, sealed: Bytes, aad: Bytes): Bytes | undefined;
  /** ChaCha20 over `data`, from block 1 on, where RFC 8439 §2.8 begins with the text. */
  chacha20(key: Bytes, nonce: Bytes, data: Bytes): Bytes;
  /** base^exponent mod N, the 3072-bit prime; neither is negative. */
  power(base: bigint, exponent: bigint): bigint;
  /** The public key, 32 bytes, of a seed of 32 bytes. */
  ed25519PublicKey(seed: Bytes): Bytes;
  /** 64 bytes. */
  ed25519Sign(seed: Bytes, message: Bytes): Bytes;
  /** Key of 32 and signature of 64 bytes. False for keys of small order and for S not below the group order. */
  ed25519Verify(publicKey: Bytes, message: Bytes, signature: Bytes): boolean;
  /** The public key, 32 bytes, of a secret of 32 bytes. */
  x25519PublicKey(secret: Bytes): Bytes;
  /** The shared secret of two times 32 bytes; undefined for a key of low order, which makes it zero. */
  x25519(secret: Bytes, publicKey: Bytes): Bytes | undefined;
}
