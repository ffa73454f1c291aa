import {
  type KeyObject,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  sign,
  verify,
} from 'node:crypto';

/** The second implementation: OpenSSL through node:crypto, and SRP from its formulas with plain BigInt. */

type Curve = 'ed25519' | 'x25519';

// RFC 8410: everything in front of the 32 bytes of a key, as DER.
const pkcs8 = { ed25519: '302e020100300506032b657004220420', x25519: '302e020100300506032b656e04220420' };
const spki = { ed25519: '302a300506032b6570032100', x25519: '302a300506032b656e032100' };

function der(prefix: string, key: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(prefix, 'hex'), key]);
}

export function privateKeyObject(curve: Curve, secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: der(pkcs8[curve], secret), format: 'der', type: 'pkcs8' });
}

export function publicKeyObject(curve: Curve, key: Uint8Array): KeyObject {
  return createPublicKey({ key: der(spki[curve], key), format: 'der', type: 'spki' });
}

export function nodePublicKey(curve: Curve, secret: Uint8Array): Uint8Array {
  const exported = createPublicKey(privateKeyObject(curve, secret)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(exported.subarray(-32));
}

export function nodeSign(secret: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKeyObject('ed25519', secret)));
}

export function nodeVerify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, message, publicKeyObject('ed25519', key), signature);
}

export function nodeSharedSecret(secret: Uint8Array, key: Uint8Array): Uint8Array {
  return new Uint8Array(
    diffieHellman({
      privateKey: privateKeyObject('x25519', secret),
      publicKey: publicKeyObject('x25519', key),
    }),
  );
}

export function nodeHkdf(ikm: Uint8Array, salt: string, info: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha512', ikm, Buffer.from(salt), Buffer.from(info), length));
}

export function nodeSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return new Uint8Array(Buffer.concat([body, cipher.getAuthTag()]));
}

export function nodeOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad, { plaintextLength: sealed.length - 16 });
  decipher.setAuthTag(sealed.subarray(-16));
  return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]));
}

export function sha512(...parts: readonly (Uint8Array | string)[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** base^exponent mod modulus by square and multiply: slow and plainly right. */
export function plainPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}
