import { type KeyObject, X509Certificate } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { asn1 } from './asn1.js';
import { type Bytes, InputError, concat, equal, fromHex, fromInteger, toInteger } from './bytes.js';
import { deriveKey } from './key-schedule.js';
import type { Primitives } from './primitives.js';

/** MFi authentication in M4 (seed 001): what the coprocessor signs, and how its certificate is read. */

/** The two generations of coprocessors (erratum E23): RSA-1024 with SHA-1, and ECDSA over P-256 with SHA-256. */
export type ChipKind = 'rsa' | 'ecdsa';

/** Bytes of a signature of each: PKCS#1 v1.5, and r and s of 32 bytes. */
export const chipSignatureLength: Readonly<Record<ChipKind, number>> = { rsa: 128, ecdsa: 64 };

/** What is signed: 32 bytes derived from K, and nothing else of the session. */
export function mfiChallenge(K: Bytes, by?: Primitives): Bytes {
  return deriveKey('MFi-Pair-Setup', K, by);
}

/** Length of the DER element at the start, header included; undefined when it is cut or no DER. */
function derLength(bytes: Bytes): number | undefined {
  const first = bytes[1];
  if (bytes[0] !== 0x30 || first === undefined) return undefined;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  if (count < 1 || count > 3 || bytes.length < 2 + count) return undefined;
  return 2 + count + bytes.subarray(2, 2 + count).reduce((length, byte) => length * 256 + byte, 0);
}

/**
 * The certificate of M4: PKCS#7 SignedData with one certificate and no signer, or a certificate as it is.
 * @returns what is wrong with it, in words, when it is neither. Never throws.
 */
export function readMfiCertificate(bytes: Bytes): X509Certificate | string {
  const length = derLength(bytes);
  if (length === undefined || length > bytes.length) return 'it is no DER';
  if (length < bytes.length) return `${bytes.length - length} bytes follow its DER`;
  const { cms, schema, x509 } = asn1();
  const { AsnConvert } = schema;
  const { ContentInfo, SignedData, id_signedData } = cms;
  const { Certificate } = x509;
  const bare = tryRead(() => AsnConvert.parse(bytes, Certificate));
  if (bare !== undefined) return nodeCertificate(bytes);
  const container = tryRead(() => AsnConvert.parse(bytes, ContentInfo));
  if (container === undefined) return 'it is neither a certificate nor PKCS#7';
  if (container.contentType !== id_signedData) return `PKCS#7 of type ${container.contentType}`;
  const signed = tryRead(() => AsnConvert.parse(container.content, SignedData));
  if (signed === undefined) return 'PKCS#7 SignedData that cannot be read';
  const held = [...(signed.certificates ?? [])];
  const [first] = held;
  if (held.length !== 1 || first?.certificate === undefined) return `PKCS#7 with ${held.length} certificates`;
  const der = new Uint8Array(AsnConvert.serialize(first.certificate));
  // Its bytes are what was signed: what does not come back as it went in is not to be trusted.
  return holds(bytes, der) ? nodeCertificate(der) : 'the certificate in the PKCS#7 is not DER';
}

function tryRead<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function nodeCertificate(der: Bytes): X509Certificate | string {
  return tryRead(() => new X509Certificate(der)) ?? 'a certificate that cannot be read';
}

function holds(bytes: Bytes, part: Bytes): boolean {
  for (let at = 0; at + part.length <= bytes.length; at++)
    if (equal(bytes.subarray(at, at + part.length), part)) return true;
  return false;
}

/** Which generation a key is of; undefined for one that is of neither. */
export function chipKindOf(key: KeyObject): ChipKind | undefined {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && modulusLength === 1024) return 'rsa';
  return key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1' ? 'ecdsa' : undefined;
}

/** What stands before the hash in a signature by PKCS#1 v1.5 with SHA-1: AlgorithmIdentifier and OCTET STRING (RFC 8017 §9.2). */
const SHA1_DIGEST_INFO = fromHex('3021300906052b0e03021a05000414');

/** PKCS#1 v1.5 (RFC 8017 §8.2.2): what the signature raised to e comes to is compared whole, so no padding is parsed. */
function rsaHolds(n: bigint, e: bigint, hash: Bytes, signature: Bytes): boolean {
  const size = chipSignatureLength.rsa;
  let [base, result] = [toInteger(signature), 1n];
  if (signature.length !== size || base >= n) return false;
  for (let rest = e; rest > 0n; rest >>= 1n, base = (base * base) % n)
    if (rest & 1n) result = (result * base) % n;
  const end = concat(Uint8Array.of(0), SHA1_DIGEST_INFO, hash);
  const filling = new Uint8Array(size - 2 - end.length).fill(0xff);
  return equal(fromInteger(result, size), concat(Uint8Array.of(0, 1), filling, end));
}

/** True when `signature` is the chip's over `data`, hashed once. Never throws. */
export function mfiSignatureHolds(key: KeyObject, data: Bytes, signature: Bytes): boolean {
  const kind = chipKindOf(key);
  if (kind === undefined) return false;
  return tryRead(() => holdsUnder(key, kind, chipHash(kind, data), signature)) ?? false;
}

function holdsUnder(key: KeyObject, kind: ChipKind, hash: Bytes, signature: Bytes): boolean {
  const jwk = key.export({ format: 'jwk' });
  const part = (name: 'n' | 'e' | 'x' | 'y'): Bytes => new Uint8Array(Buffer.from(jwk[name]!, 'base64url'));
  if (kind === 'rsa') return rsaHolds(toInteger(part('n')), toInteger(part('e')), hash, signature);
  const point = concat(Uint8Array.of(4), part('x'), part('y'));
  // Either of the two values of s holds: a chip does not choose the lower one.
  return p256.verify(signature, hash, point, { prehash: false, lowS: false });
}

/** The hash the chip takes of what it signs: 20 or 32 bytes. */
export function chipHash(kind: ChipKind, data: Bytes): Bytes {
  return kind === 'rsa' ? sha1(data) : sha256(data);
}

/** True when one of the roots has issued the certificate. Its dates do not count: the chips outlive them. */
export function isIssuedBy(certificate: X509Certificate, roots: readonly X509Certificate[]): boolean {
  return roots.some((root) => certificate.checkIssued(root) && certificate.verify(root.publicKey));
}

/** The certificates of a file of trust anchors: PEM, several in a row, or one in DER. @throws InputError */
export function readTrustAnchors(content: Bytes): readonly X509Certificate[] {
  const blocks = Buffer.from(content)
    .toString('latin1')
    .match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  try {
    return (blocks ?? [content]).map((block) => new X509Certificate(block));
  } catch (error) {
    throw new InputError('trust anchors: expected certificates in PEM, or one in DER', { cause: error });
  }
}
