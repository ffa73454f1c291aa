/**
 * The cryptography of the protocol as the reference accessory computes it: with OpenSSL, while the reference controller
 * computes with noble. Everything in this room takes these functions from here and not from `protocol`; the linter sees
 * to it, because one that is forgotten would let a mistake in a primitive cancel itself out.
 */
import * as protocol from '../protocol/index.js';
import {
  type Bytes,
  type FrameOptions,
  type Random,
  type SrpConvention,
  openssl,
} from '../protocol/index.js';

export const sha512 = (data: Bytes): Bytes => protocol.sha512(data, openssl);

export const deriveKey = (label: protocol.KeyLabel, ikm: Bytes): Bytes =>
  protocol.deriveKey(label, ikm, openssl);

export const hkdfSha512 = (ikm: Bytes, salt: string, info: string, length?: number): Bytes =>
  protocol.hkdfSha512(ikm, salt, info, length, openssl);

export const controlKeys = (shared: Bytes): protocol.SessionKeys => protocol.controlKeys(shared, openssl);

export const splitKeys = (K: Bytes): protocol.SessionKeys => protocol.splitKeys(K, openssl);

export const seal = (key: Bytes, nonce: Bytes, plaintext: Bytes, aad?: Bytes): Bytes =>
  protocol.seal(key, nonce, plaintext, aad, openssl);

export const open = (key: Bytes, nonce: Bytes, sealed: Bytes, aad?: Bytes): Bytes | undefined =>
  protocol.open(key, nonce, sealed, aad, openssl);

export const openIgnoringTag = (key: Bytes, nonce: Bytes, sealed: Bytes): Bytes | undefined =>
  protocol.openIgnoringTag(key, nonce, sealed, openssl);

export const sealFrame = (
  key: Bytes,
  counter: bigint,
  plaintext: Bytes,
  options?: Omit<FrameOptions, 'by'>,
): Bytes => protocol.sealFrame(key, counter, plaintext, { ...options, by: openssl });

export const sign = (ltsk: Bytes, message: Bytes): Bytes => protocol.sign(ltsk, message, openssl);

export const verifySignature = (ltpk: Bytes, message: Bytes, signature: Bytes): boolean =>
  protocol.verifySignature(ltpk, message, signature, openssl);

export const accessoryIdentity = (random: Random): protocol.Identity =>
  protocol.accessoryIdentity(random, openssl);

export const restoreIdentity = (id: Bytes, ltsk: Bytes): protocol.Identity =>
  protocol.restoreIdentity(id, ltsk, openssl);

export const curvePublicKey = (secret: Bytes): Bytes => protocol.curvePublicKey(secret, openssl);

export const sharedSecret = (secret: Bytes, publicKey: Bytes): Bytes | undefined =>
  protocol.sharedSecret(secret, publicKey, openssl);

export const makeVerifier = (password: string, salt: Bytes, user: string): protocol.Verifier =>
  protocol.makeVerifier(password, salt, user, openssl);

export const srpServer = (
  verifier: protocol.Verifier,
  b: bigint,
  convention: SrpConvention,
  user: string,
): protocol.SrpServer => new protocol.SrpServer(verifier, b, convention, user, openssl);

export const controllerProof = (
  salt: Bytes,
  A: Bytes,
  B: Bytes,
  K: Bytes,
  convention: SrpConvention,
): Bytes => protocol.controllerProof(salt, A, B, K, convention, undefined, openssl);

export const mfiChallenge = (K: Bytes): Bytes => protocol.mfiChallenge(K, openssl);

export const setupHash = (setupId: string, id: string): string => protocol.setupHash(setupId, id, openssl);
