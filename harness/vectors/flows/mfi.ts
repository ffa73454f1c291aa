import { p256 } from '@noble/curves/nist.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  AIRPLAY_CODE,
  type Bytes,
  PairingFlag,
  TlvType,
  concat,
  deriveKey,
  encodeTlv,
  flipBit,
  fromHex,
  fromInteger,
  labelNonce,
  seal,
  setupM4,
  tlv,
  toInteger,
  utf8,
} from '../../protocol/index.js';
import { CODE, draft } from '../cases.js';
import type { Edit } from '../format.js';
import type { Draft, Generator, GroupDraft, Value } from '../make.js';
import type { FlagName } from '../notes.js';
import { type Secrets, plainSecrets } from '../primitives/srp.js';
import { type SetupInput, setupStart } from './setup.js';

/** Keys made for these files; they sign nothing else. */
const testKeys = {
  rsa: {
    n: BigInt(
      '0xc9e495e85d8b87897d6f1d28d50bb3b2ca8370c85006dc773446a80f95d13e7ac2a2c5541800b14df525aee093acb365c88ce94a58cfd7cc573cfd833fb5c70cdc7811ee5746d914bffa4947d4e48b20a1004039991743dbc249f402e39e5226b132de6736a27bf1de62f9e5b2ca5a2611d28a52e2c037a5988490ca16ca1d7b',
    ),
    d: BigInt(
      '0x43d8d5a7e907e2dc8992b5b1eb26ab95020979f5572f77177831e6789658632ece09f556755a863b348f1d5dcb42d666f626a49f9f88f9746a3cccd536abd7e019a816627d7b9832d42aad7411f1d5c2768d52de437d3a0f9c7702a20ec51930d45869644cf0a36703f1c091a11b9b5860653b492ddd833e1026a63c8be99481',
    ),
  },
  p256: fromHex('519b423d715f8b581f4fa8ee59f4771a5b44c8130b4e3eacca54a56dda72b464'),
};

function der(tag: number, ...parts: readonly Bytes[]): Bytes {
  const content = concat(...parts);
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return concat(Uint8Array.of(tag, ...length), content);
}
const sequence = (...parts: readonly Bytes[]): Bytes => der(0x30, ...parts);
const oid = (digits: string): Bytes => der(0x06, fromHex(digits));
const unsigned = (value: bigint): Bytes => {
  const bytes = fromInteger(value);
  return der(0x02, bytes.length === 0 || bytes[0]! > 127 ? concat(Uint8Array.of(0), bytes) : bytes);
};
const NULL = Uint8Array.of(5, 0);
const commonName = (name: string): Bytes =>
  sequence(der(0x31, sequence(oid('550403'), der(0x0c, utf8(name)))));

/** RSASSA-PKCS1-v1_5 with SHA-1 (RFC 8017 §8.2). */
function rsaSign(message: Bytes): Bytes {
  const { n, d } = testKeys.rsa;
  const info = concat(fromHex('3021300906052b0e03021a05000414'), sha1(message));
  const padded = concat(
    Uint8Array.of(0, 1),
    new Uint8Array(128 - 3 - info.length).fill(0xff),
    Uint8Array.of(0),
    info,
  );
  let result = 1n;
  let square = toInteger(padded);
  for (let rest = d; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % n;
    square = (square * square) % n;
  }
  return fromInteger(result, 128);
}

interface Chip {
  readonly chip: '2.0C' | '3.0';
  readonly publicKey: Bytes;
  readonly algorithm: Bytes;
  /** The signature as the chip gives it. */
  readonly sign: (message: Bytes) => Bytes;
  /** The same, as a certificate holds it. */
  readonly seal: (message: Bytes) => Bytes;
}

function chips(): Chip[] {
  const { n } = testKeys.rsa;
  const rsa = sequence(
    sequence(oid('2a864886f70d010101'), NULL),
    der(0x03, Uint8Array.of(0), sequence(unsigned(n), unsigned(65537n))),
  );
  const point = p256.getPublicKey(testKeys.p256, false);
  const ec = sequence(
    sequence(oid('2a8648ce3d0201'), oid('2a8648ce3d030107')),
    der(0x03, Uint8Array.of(0), point),
  );
  const ecdsa = (message: Bytes): Bytes =>
    p256.sign(sha256(message), testKeys.p256, { prehash: false, lowS: false });
  return [
    {
      chip: '2.0C',
      publicKey: rsa,
      algorithm: sequence(oid('2a864886f70d010105'), NULL),
      sign: rsaSign,
      seal: rsaSign,
    },
    {
      chip: '3.0',
      publicKey: ec,
      algorithm: sequence(oid('2a8648ce3d040302')),
      sign: ecdsa,
      seal(message) {
        const both = ecdsa(message);
        return sequence(unsigned(toInteger(both.subarray(0, 32))), unsigned(toInteger(both.subarray(32))));
      },
    },
  ];
}

/** A certificate that its own key has signed, valid for ten years of the past: dates are not what is looked at. */
function certificate({ publicKey, algorithm, seal: sealed, chip }: Chip): Bytes {
  const name = commonName(`hapspec test ${chip}`);
  const dates = sequence(der(0x17, utf8('150101000000Z')), der(0x17, utf8('250101000000Z')));
  const body = sequence(
    der(0xa0, unsigned(2n)),
    unsigned(BigInt(chip === '3.0' ? 30 : 20)),
    algorithm,
    name,
    dates,
    name,
    publicKey,
  );
  return sequence(body, algorithm, der(0x03, Uint8Array.of(0), sealed(body)));
}

/** PKCS #7 SignedData without a signer, the form in which the older chip hands its certificate out. */
function pkcs7(inside: Bytes): Bytes {
  const empty = der(0x31);
  const data = sequence(unsigned(1n), empty, sequence(oid('2a864886f70d010701')), der(0xa0, inside), empty);
  return sequence(oid('2a864886f70d010702'), der(0xa0, data));
}

export const mfiM4: Generator = (random) =>
  chips().map((chip): GroupDraft => {
    const own = random.fork(chip.chip);
    const bare = certificate(chip);
    const held = chip.chip === '2.0C' ? pkcs7(bare) : bare;
    const hash = chip.chip === '2.0C' ? sha1 : sha256;
    const kind: FlagName = chip.chip === '2.0C' ? 'RsaSignature' : 'EcdsaSignature';
    const one = (
      comment: string,
      flags: readonly FlagName[],
      given: Secrets | SetupInput,
      change?: Edit,
    ): Draft => {
      const input = 'secrets' in given ? given : { secrets: given };
      const start = setupStart({ ...input, method: 1 }, undefined);
      const challenge = deriveKey('MFi-Pair-Setup', start.K);
      const encryptKey = deriveKey('Pair-Setup-Encrypt', start.K);
      const op = change?.op;
      const right = chip.sign(
        op === 'signed-K' ? start.K : op === 'hashed-twice' ? hash(challenge) : challenge,
      );
      const signature = op === 'signature-flip' ? flipBit(right, change!.bit!) : right;
      const sub = encodeTlv([
        ...(op === 'no-signature' ? [] : [tlv(TlvType.Signature, signature)]),
        ...(op === 'no-certificate' ? [] : [tlv(TlvType.Certificate, held)]),
      ]);
      const whole = seal(encryptKey, labelNonce(op === 'label' ? change!.text! : 'PS-Msg04'), sub);
      const sealed = op === 'flip' ? flipBit(whole, change!.bit!) : whole;
      const M4 = setupM4(start.M2);
      if (op !== 'no-encrypted-data') M4.push(tlv(TlvType.EncryptedData, sealed));
      return draft(comment, [kind, ...flags], change === undefined ? 'valid' : 'invalid', {
        ...start.fields,
        ...{ challenge, signature, sub, encryptKey, sealed },
        messages: { ...start.messages, M4: encodeTlv(M4) },
        ...(input.pairingFlags !== undefined && {
          keys: {
            toAccessory: deriveKey('Control-Write', start.K),
            toController: deriveKey('Control-Read', start.K),
          },
        }),
        edit: change,
        right: change && rightM4(start, encryptKey, challenge),
      });
    };
    /** M4 as the chip and Pair Setup make it together. */
    const rightM4 = (start: ReturnType<typeof setupStart>, encryptKey: Bytes, challenge: Bytes): Value => {
      const signature = chip.sign(challenge);
      const sub = encodeTlv([tlv(TlvType.Signature, signature), tlv(TlvType.Certificate, held)]);
      const sealed = seal(encryptKey, labelNonce('PS-Msg04'), sub);
      const M4 = encodeTlv([...setupM4(start.M2), tlv(TlvType.EncryptedData, sealed)]);
      return { signature, sub, sealed, M4 };
    };
    const shared = plainSecrets(own.fork('negatives'), CODE);
    // A receiver asked for both at once (seed 001): the code is the default one, and frames begin behind M4.
    const receiver: SetupInput = {
      code: AIRPLAY_CODE,
      secrets: plainSecrets(own.fork('transient'), AIRPLAY_CODE),
      pairingFlags: PairingFlag.Transient,
    };
    return {
      type: 'MfiM4',
      parameters: { chip: chip.chip, certificate: held, publicKey: chip.publicKey },
      tests: [
        ...[0, 1, 2].map((index) =>
          one('drawn', ['Ordinary', 'Fragmented'], plainSecrets(own.fork(`plain ${index}`), CODE)),
        ),
        one('transient, with the default code of AirPlay', ['DressAirPlay', 'Fragmented'], receiver),
        one('the ciphertext changed', ['ModifiedCiphertext'], shared, { op: 'flip', bit: 40 }),
        one('sealed as PS-Msg05', ['WrongNonce'], shared, { op: 'label', text: 'PS-Msg05' }),
        one('the challenge hashed before it was signed', ['SignedInfo'], shared, { op: 'hashed-twice' }),
        one('K signed in the place of the challenge', ['SignedInfo'], shared, { op: 'signed-K' }),
        one('the signature changed', ['WrongSignature'], shared, { op: 'signature-flip', bit: 77 }),
        one('no Signature', ['MissingItem'], shared, { op: 'no-signature' }),
        one('no Certificate', ['MissingItem'], shared, { op: 'no-certificate' }),
        one('no EncryptedData: silently without authentication', ['MissingItem'], shared, {
          op: 'no-encrypted-data',
        }),
        one('no EncryptedData behind a transient M1', ['DressAirPlay', 'MissingItem'], receiver, {
          op: 'no-encrypted-data',
        }),
      ],
    };
  });
