import { chacha20, chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { type Bytes, concat, fromInteger, hex, toInteger } from './bytes.js';
import { power } from './modpow.js';
import type { Primitives } from './primitives.js';

const { BASE, Fn, Fp } = ed25519.Point;
/** Multiples of the base point for each eight bits, made when the first is needed: a run has use for thousands. */
BASE.precompute(8);

/** 32 bytes as the scalar of X25519 (RFC 7748 §5) and of Ed25519: little-endian, a multiple of 8 with bit 254 as its highest. */
function clamped(secret: Bytes): bigint {
  const scalar = secret.slice().reverse();
  scalar[31]! &= 0xf8;
  scalar[0] = (scalar[0]! & 0x7f) | 0x40;
  return toInteger(scalar);
}

/**
 * The X25519 public key by way of the birationally equivalent Edwards curve (RFC 7748 §4.1: u = (1 + y) / (1 - y)), for
 * which the library keeps a table of the base point: a quarter of what the ladder takes. The base point has order L, so
 * the scalar counts mod L; it is no multiple of L, because its bits make it a multiple of 8 below 8 L.
 */
function curvePublicKey(secret: Bytes): Bytes {
  const { Y, Z } = BASE.multiplyUnsafe(clamped(secret) % Fn.ORDER);
  return fromInteger(Fp.mul(Fp.add(Z, Y), Fp.inv(Fp.sub(Z, Y))), 32).reverse();
}

/** Keys whose arithmetic is kept, of the accessory's and of the controllers': a run meets few of them often. */
const KEPT_KEYS = 64;

/** What `make` gives for a key of 32 bytes, kept while the key is among the last that were asked for. */
function keptForKey<T>(make: (key: Bytes) => T): (key: Bytes) => T {
  const kept = new Map<string, T>();
  return (key) => {
    const name = hex(key);
    const value = kept.get(name) ?? make(key);
    // Behind all others: the first is the one that was not asked for the longest.
    kept.delete(name);
    kept.set(name, value);
    if (kept.size > KEPT_KEYS) kept.delete(kept.keys().next().value!);
    return value;
  };
}

/**
 * Scalar, prefix and public key of a seed (RFC 8032 §5.1.5). The library's own `sign` derives them each time, half of its
 * work, and hides how long that takes, the other half.
 */
const signer = keptForKey((seed) => {
  const digest = sha512(seed);
  const scalar = Fn.create(clamped(digest.slice(0, 32)));
  return { scalar, prefix: digest.slice(32), pointBytes: BASE.multiplyUnsafe(scalar).toBytes() };
});

/** A public key as a point, undefined when it is none or of small order; verified often, it gets a table. */
const verifier = keptForKey((publicKey) => {
  let point;
  try {
    point = ed25519.Point.fromBytes(publicKey, false);
  } catch {
    point = undefined;
  }
  return { point: point?.isSmallOrder() === false ? point : undefined, uses: 0 };
});

/** A table of 16 multiples for each four bits costs what five verifications save by it. */
const TABLE_AFTER = 4;
const TABLE_WINDOW = 4;

/** SHA-512 of the parts as a scalar: little-endian, mod L (RFC 8032 §5.1.6). */
function scalarOf(...parts: readonly Bytes[]): bigint {
  return Fn.create(toInteger(sha512(concat(...parts)).reverse()));
}

/** RFC 8032 §5.1.6. */
function sign(seed: Bytes, message: Bytes): Bytes {
  const { prefix, scalar, pointBytes } = signer(seed);
  const r = scalarOf(prefix, message);
  const R = BASE.multiplyUnsafe(r).toBytes();
  const S = Fn.create(r + scalarOf(R, pointBytes, message) * scalar);
  return concat(R, fromInteger(S, 32).reverse());
}

/** RFC 8032 §5.1.7 with the cofactor, and refusing what its §5.1.3 and §8.4 refuse: S from L on, keys of small order. */
function verify(publicKey: Bytes, message: Bytes, signature: Bytes): boolean {
  const key = verifier(publicKey);
  const S = toInteger(signature.slice(32).reverse());
  if (key.point === undefined || S >= Fn.ORDER) return false;
  if (++key.uses === TABLE_AFTER) key.point.precompute(TABLE_WINDOW, false);
  let R;
  try {
    R = ed25519.Point.fromBytes(signature.subarray(0, 32), false);
  } catch {
    return false;
  }
  const k = scalarOf(signature.subarray(0, 32), publicKey, message);
  return R.add(key.point.multiplyUnsafe(k)).subtract(BASE.multiplyUnsafe(S)).clearCofactor().is0();
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
  ed25519PublicKey: (seed) => signer(seed).pointBytes.slice(),
  ed25519Sign: sign,
  ed25519Verify: verify,
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
