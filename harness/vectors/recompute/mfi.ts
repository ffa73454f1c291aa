import { X509Certificate, createPublicKey, verify } from 'node:crypto';
import type { Fields } from '../format.js';
import { flip, join, keyFor, nonceOf, seal, sha, writeTlv } from '../second.js';
import type { Pairs } from './pairings.js';
import { setupStart } from './setup.js';
import { type Claims, T, editOf, fields, hex, state, text, verdict } from './shared.js';

/** The certificate by itself, or the one in a PKCS#7 envelope without a signer: the first element that is one. */
function certificateIn(der: Buffer): X509Certificate {
  const candidates = [0];
  for (let at = 0; at < Math.min(der.length, 100); at++) if (der[at] === 0xa0) candidates.push(at);
  for (const at of candidates)
    for (const skip of at === 0 ? [0] : [2, 3, 4])
      try {
        return new X509Certificate(der.subarray(at + skip));
      } catch {
        // Not here.
      }
  throw new Error('the certificate cannot be read');
}

export function mfiGroup(group: Fields): Claims {
  const der = hex(group['certificate']);
  const certificate = certificateIn(der);
  const key = certificate.publicKey;
  const wanted = key.asymmetricKeyType === 'rsa' ? '2.0C' : '3.0';
  const raw = certificate.raw;
  const [outer] = [der.length === raw.length ? raw : envelope(raw)];
  return {
    chip: wanted,
    certificate: certificate.verify(key) ? outer : 'a certificate that its own key has signed',
    publicKey: key.export({ format: 'der', type: 'spki' }),
  };
}

/** PKCS#7 SignedData that holds one certificate and no signature. */
function envelope(certificate: Buffer): Buffer {
  const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
    const content = Buffer.concat(parts);
    const size = content.length;
    const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
    return join(Buffer.of(tag, ...length), content);
  };
  const oid = (last: number): Buffer =>
    der(6, Buffer.from(`2a864886f70d0107${last.toString(16).padStart(2, '0')}`, 'hex'));
  const empty = der(0x31);
  const signedData = der(0x30, der(2, Buffer.of(1)), empty, der(0x30, oid(1)), der(0xa0, certificate), empty);
  return der(0x30, oid(2), der(0xa0, signedData));
}

export function mfiM4(test: Fields, group: Fields): Claims {
  const edit = editOf(test);
  const start = setupStart(test, text(test['code']), undefined);
  const { K } = start.values;
  const challenge = keyFor('MFi-Pair-Setup', K);
  const encryptKey = keyFor('Pair-Setup-Encrypt', K);
  const certificate = hex(group['certificate']);
  const key = createPublicKey({ key: hex(group['publicKey']), format: 'der', type: 'spki' });
  const hash = group['chip'] === '2.0C' ? 'sha1' : 'sha256';
  const given = hex(test['signature']);
  const message =
    edit?.op === 'signed-K' ? K : edit?.op === 'hashed-twice' ? sha(hash, challenge) : challenge;
  const signature = edit?.op === 'signature-flip' ? flip(given, edit.bit!) : given;
  const holds = verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature);
  const sub = writeTlv([
    ...(edit?.op === 'no-signature' ? [] : ([[T.Signature, given]] as const)),
    ...(edit?.op === 'no-certificate' ? [] : ([[T.Certificate, certificate]] as const)),
  ]);
  let sealed = seal(encryptKey, nonceOf(edit?.op === 'label' ? edit.text! : 'PS-Msg04'), sub);
  if (edit?.op === 'flip') sealed = flip(sealed, edit.bit!);
  const right = edit && fields(test['right'] ?? {});
  const due = hex(right?.['signature'] ?? '');
  const dueSub = writeTlv([
    [T.Signature, due],
    [T.Certificate, certificate],
  ]);
  const dueSealed = seal(encryptKey, nonceOf('PS-Msg04'), dueSub);
  const dueHolds = verify(hash, challenge, { key, dsaEncoding: 'ieee-p1363' }, due);
  const M4: Pairs = [state(4), [T.Proof, start.values.M2]];
  if (edit?.op !== 'no-encrypted-data') M4.push([T.EncryptedData, sealed]);
  return {
    ...start.claims,
    challenge,
    encryptKey,
    ...(!holds && { signature: 'one that holds over the challenge' }),
    sub,
    sealed,
    messages: { ...start.messages, M4: writeTlv(M4) },
    keys:
      test['pairingFlags'] === undefined
        ? undefined
        : { toAccessory: keyFor('Control-Write', K), toController: keyFor('Control-Read', K) },
    right: edit && {
      ...(!dueHolds && { signature: 'one that holds over the challenge' }),
      sub: dueSub,
      sealed: dueSealed,
      M4: writeTlv([state(4), [T.Proof, start.values.M2], [T.EncryptedData, dueSealed]]),
    },
    result: verdict(edit !== undefined),
  };
}
