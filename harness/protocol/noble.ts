import { chacha20, chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { type Bytes, fromInteger, toInteger } from './bytes.js';
import { power } from './modpow.js';
import type { Primitives } from './primitives.js';

const { BASE, Fn, Fp } = ed25519.Point;

/**
 * The X25519 public key by way of the birationally equivalent Edwards curve (RFC 7748 §4.1: u = (1 + y) / (1 - y)), for
 * which the library keeps a table of the base point: a quarter of what the ladder takes. The base point has order L, so
 * the scalar counts mod L; it is no multiple of L, because its bits make it a multiple of 8 below 8 L.
 */
function curvePublicKey(secret: Bytes): Bytes {
  const scalar = secret.slice().reverse();
  scalar[31]! &= 0xf8;
  scalar[0] = (scalar[0]! & 0x7f) | 0x40;
  const { Y, Z } = BASE.multiplyUnsafe(toInteger(scalar) % Fn.ORDER);
  return fromInteger(Fp.mul(Fp.add(Z, Y), Fp.inv(Fp.sub(Z, Y))), 32).reverse();
}

/** What the reference controller and the vectors compute with: the noble libraries and BigInt. */
export const noble: Primitives = {
  name: 'noble',
  sha512: (data) => sha512(data),
  hkdfSha512: (ikm, salt, info, length) => hkdf(sha512, ikm, salt, info, length),
  seal: (key, nonce, plaintext, aad) => chacha20poly1305(key, nonce, aad).encrypt(plaintext),
  open(key, nonce, sealed, aad) {
    try {
      return chacha20poly1305(key, nonce, aad).decrypt(sealed);
    } catch {
      return undefined;
    }
  },
  chacha20: (key, nonce, data) => chacha20(key, nonce, data, undefined, 1),
  power,
  ed25519PublicKey: (seed) => ed25519.getPublicKey(seed),
  ed25519Sign: (seed, message) => ed25519.sign(message, seed),
  ed25519Verify(publicKey, message, signature) {
    try {
      return ed25519.verify(signature, message, publicKey, { zip215: false });
    } catch {
      // The library throws on points that are none.
      return false;
    }
  },
  x25519PublicKey: curvePublicKey,
  x25519(secret, publicKey) {
    try {
      return x25519.getSharedSecret(secret, publicKey);
    } catch {
      // The library throws on keys of low order.
      return undefined;
    }
  },
};
