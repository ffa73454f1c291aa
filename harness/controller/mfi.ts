import type { X509Certificate } from 'node:crypto';
import {
  type Bytes,
  type TlvMessage,
  TlvType,
  chipHash,
  chipKindOf,
  chipSignatureLength,
  decodeTlv,
  deriveKey,
  hkdfSha512,
  howSealed,
  labelNonce,
  mfiChallenge,
  mfiSignatureHolds,
  open,
  readMfiCertificate,
} from '../protocol/index.js';
import type { Finding } from './finding.js';

/** The MFi authentication in M4 (seed 001), as far as it could be read. */
export interface Authentication {
  /** Bytes of EncryptedData. */
  readonly sealedLength: number;
  /** The opened sub-TLV; undefined when it does not open. */
  readonly items: TlvMessage | undefined;
  readonly signature: Bytes | undefined;
  readonly certificate: X509Certificate | undefined;
  /** What the signature has to be over, 32 bytes. */
  readonly challenge: Bytes;
  readonly findings: readonly Finding[];
}

/** Opens and checks EncryptedData of M4; who has issued the certificate is for the caller. */
export function readAuthentication(sealed: Bytes, K: Bytes): Authentication {
  const findings: Finding[] = [];
  const fail = (requirement: string, what: string): void => {
    findings.push({ requirement, what, fatal: false });
  };
  const challenge = mfiChallenge(K);
  const nothing = {
    sealedLength: sealed.length,
    signature: undefined,
    certificate: undefined,
    challenge,
    findings,
  };
  const key = deriveKey('Pair-Setup-Encrypt', K);
  const plain = open(key, labelNonce('PS-Msg04'), sealed);
  if (plain === undefined) {
    const how = howSealed(sealed, { label: 'Pair-Setup-Encrypt', nonce: 'PS-Msg04', secret: ['K', K] });
    const why = how === undefined ? '' : `: it opens with ${how}`;
    fail(
      'MFI-01',
      `EncryptedData of M4 (${sealed.length} bytes) does not open with the Pair-Setup-Encrypt key and PS-Msg04${why}`,
    );
    return { ...nothing, items: undefined };
  }
  const items = decodeTlv(plain);
  if (items.defect !== undefined) fail('MFI-02', `the sub-TLV of M4 is malformed: ${items.defect}`);
  for (const name of ['Signature', 'Certificate'] as const) {
    const values = items.all(TlvType[name]);
    if (values.length !== 1) fail('MFI-02', `M4 holds ${name} ${values.length} times, not once`);
    else if (values[0]!.length === 0) fail('MFI-02', `the ${name} in M4 is empty`);
  }
  const signature = items.get(TlvType.Signature);
  const encoded = items.get(TlvType.Certificate);
  if (signature === undefined || encoded === undefined || findings.length > 0)
    return { ...nothing, items, signature };
  const certificate = readMfiCertificate(encoded);
  if (typeof certificate === 'string') {
    fail('MFI-03', `the Certificate in M4 (${encoded.length} bytes): ${certificate}`);
    return { ...nothing, items, signature };
  }
  const { publicKey } = certificate;
  const kind = chipKindOf(publicKey);
  if (kind === undefined)
    fail('MFI-03', `the key of the certificate is ${publicKey.asymmetricKeyType}, not RSA-1024 or P-256`);
  else if (signature.length !== chipSignatureLength[kind])
    fail('MFI-03', `the Signature in M4 is ${signature.length} bytes, not ${chipSignatureLength[kind]}`);
  else if (!mfiSignatureHolds(publicKey, challenge, signature)) {
    const over: Readonly<Record<string, Bytes>> = {
      'K itself': K,
      'a challenge that was hashed before it was signed': chipHash(kind, challenge),
      'a challenge of 64 bytes': hkdfSha512(K, 'MFi-Pair-Setup-Salt', 'MFi-Pair-Setup-Info', 64),
    };
    const wrong = Object.keys(over).find((what) => mfiSignatureHolds(publicKey, over[what]!, signature));
    fail(
      'MFI-04',
      wrong === undefined
        ? 'the Signature in M4 does not hold over the challenge of this session'
        : `the Signature in M4 is over ${wrong}`,
    );
  }
  return { ...nothing, items, signature, certificate };
}
