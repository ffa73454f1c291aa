import {
  type DiffieHellman,
  type KeyObject,
  createCipheriv,
  createDecipheriv,
  createDiffieHellman,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  sign,
  verify,
} from 'node:crypto';
import { type Bytes, concat, fromInteger, toInteger } from './bytes.js';
import { Length } from './constants.js';
import { isSmallOrder } from './identity.js';
import { N, power } from './modpow.js';
import type { Primitives } from './primitives.js';

const AEAD = 'chacha20-poly1305';
const authTagLength = Length.tag;

/** OpenSSL returns Buffers, and these compare and print otherwise than the byte arrays the rest of the harness has. */
function plain(buffer: Uint8Array): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

type Curve = 'Ed25519' | 'X25519';

function base64url(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** A JWK, which takes a sixth of the time DER does. Node derives the public half and does not look at `x`. */
function secretKey(crv: Curve, secret: Bytes): KeyObject {
  return createPrivateKey({ key: { kty: 'OKP', crv, d: base64url(secret), x: '' }, format: 'jwk' });
}

function publicKey(crv: Curve, key: Bytes): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv, x: base64url(key) }, format: 'jwk' });
}

function publicHalf(crv: Curve, secret: Bytes): Bytes {
  const { x } = createPublicKey(secretKey(crv, secret)).export({ format: 'jwk' });
  return plain(Buffer.from(x!, 'base64url'));
}

/** p of Curve25519; the encoding of an Edwards point holds y below it (RFC 8032 §5.1.3), which OpenSSL does not ask. */
const P = 2n ** 255n - 19n;

function isCanonical(point: Bytes): boolean {
  const y = point.slice().reverse();
  y[0]! &= 0x7f;
  return toInteger(y) < P;
}

let group: DiffieHellman | undefined;

/**
 * Exponentiation as Diffie-Hellman: OpenSSL raises the other side's public key to our private one. With 2 for a generator
 * it knows the group by name (RFC 3526) and skips a prime check of a second; the generator plays no part in the result.
 */
function openSslPower(base: bigint, exponent: bigint): bigint {
  group ??= createDiffieHellman(fromInteger(N), 2);
  const reduced = base % N;
  try {
    group.setPrivateKey(fromInteger(exponent));
    return toInteger(plain(group.computeSecret(fromInteger(reduced, Length.srpPublicKey))));
  } catch {
    // 0, 1 and N - 1 are public keys that make no secret; 0 and what has N's length are no private keys.
    return power(reduced, exponent);
  }
}

/** What the reference accessory computes with: OpenSSL, by way of node:crypto. */
export const openssl: Primitives = {
  name: 'openssl',
  sha512: (data) => plain(createHash('sha512').update(data).digest()),
  hkdfSha512: (ikm, salt, info, length) => new Uint8Array(hkdfSync('sha512', ikm, salt, info, length)),
  seal(key, nonce, plaintext, aad) {
    const cipher = createCipheriv(AEAD, key, nonce, { authTagLength });
    cipher.setAAD(aad, { plaintextLength: plaintext.length });
    return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  },
  open(key, nonce, sealed, aad) {
    const cipher = createDecipheriv(AEAD, key, nonce, { authTagLength });
    const end = sealed.length - authTagLength;
    cipher.setAAD(aad, { plaintextLength: end });
    cipher.setAuthTag(sealed.subarray(end));
    try {
      return concat(cipher.update(sealed.subarray(0, end)), cipher.final());
    } catch {
      return undefined;
    }
  },
  chacha20(key, nonce, data) {
    // Its IV is the block counter, 32 bits little-endian, and then the nonce.
    const cipher = createCipheriv('chacha20', key, concat(Uint8Array.of(1, 0, 0, 0), nonce));
    return concat(cipher.update(data), cipher.final());
  },
  power: openSslPower,
  ed25519PublicKey: (seed) => publicHalf('Ed25519', seed),
  ed25519Sign: (seed, message) => plain(sign(null, message, secretKey('Ed25519', seed))),
  ed25519Verify(key, message, signature) {
    if (isSmallOrder(key) || !isCanonical(key)) return false;
    return verify(null, message, publicKey('Ed25519', key), signature);
  },
  x25519PublicKey: (secret) => publicHalf('X25519', secret),
  x25519(secret, key) {
    try {
      return plain(
        diffieHellman({ privateKey: secretKey('X25519', secret), publicKey: publicKey('X25519', key) }),
      );
    } catch {
      // It refuses to derive a secret of zeros.
      return undefined;
    }
  },
};
