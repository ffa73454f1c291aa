import { expect } from 'chai';
import { findFault } from '../../harness/accessory/index.js';
import {
  type Bytes,
  concat,
  controlKeys,
  counterNonce,
  deriveKey,
  hkdfSha512,
  howFramed,
  howProven,
  howSealed,
  howSigned,
  identifierForms,
  labelNonce,
  lengthBytes,
  restoreIdentity,
  seal,
  sealFrame,
  seededRandom,
  sha512,
  sign,
  utf8,
} from '../../harness/protocol/index.js';
import { runTwin } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';

const random = seededRandom(1);
const K = random.bytes(64);
const S = random.bytes(384);
const rule = {
  label: 'Pair-Setup-Encrypt',
  nonce: 'PS-Msg06',
  secret: ['K', K],
  others: [['S', S]],
} as const;
const key = deriveKey('Pair-Setup-Encrypt', K);
const nonce = labelNonce('PS-Msg06');
const plain = random.bytes(119);
const [salt, info] = ['Pair-Setup-Encrypt-Salt', 'Pair-Setup-Encrypt-Info'];

describe('protocol: how data was sealed that does not open', () => {
  const half = K.subarray(0, 32);
  const table: readonly (readonly [words: string, sealed: Bytes])[] = [
    ['the nonce PS-Msg05', seal(key, labelNonce('PS-Msg05'), plain)],
    ['the nonce PV-Msg02', seal(key, labelNonce('PV-Msg02'), plain)],
    [
      'the nonce PS-Msg06 in front of its four zero bytes',
      seal(key, concat(utf8('PS-Msg06'), new Uint8Array(4)), plain),
    ],
    ['the nonce PS-Msg06 in lower case', seal(key, labelNonce('ps-msg06'), plain)],
    ['a nonce of zero bytes', seal(key, new Uint8Array(12), plain)],
    ['the key Pair-Setup-Accessory-Sign', seal(deriveKey('Pair-Setup-Accessory-Sign', K), nonce, plain)],
    ['the key Control-Read', seal(deriveKey('Control-Read', K), nonce, plain)],
    ['a key derived from S in the place of K', seal(deriveKey('Pair-Setup-Encrypt', S), nonce, plain)],
    ['a key derived with salt and info exchanged', seal(hkdfSha512(K, info, salt), nonce, plain)],
    ['a key derived without a salt', seal(hkdfSha512(K, '', info), nonce, plain)],
    ['a key derived from the first 32 bytes of K', seal(hkdfSha512(half, salt, info), nonce, plain)],
    ['the first 32 bytes of K as key', seal(half, nonce, plain)],
    ['PS-Msg06 as additional data', seal(key, nonce, plain, utf8('PS-Msg06'))],
    ['the length as additional data', seal(key, nonce, plain, lengthBytes(plain.length))],
    [
      'the nonce PS-Msg05 and the key Pair-Setup-Controller-Sign',
      seal(deriveKey('Pair-Setup-Controller-Sign', K), labelNonce('PS-Msg05'), plain),
    ],
  ];
  for (const [words, sealed] of table)
    it(`says: ${words}`, () => expect(howSealed(sealed, rule)).to.equal(words));

  it('says nothing of what nobody knows, of what is cut, and of what is longer than any message', () => {
    expect(howSealed(random.bytes(135), rule)).to.equal(undefined);
    expect(howSealed(random.bytes(3), rule)).to.equal(undefined);
    expect(howSealed(seal(key, labelNonce('PS-Msg05'), random.bytes(5000)), rule)).to.equal(undefined);
  });
});

describe('what a run says of such mistakes', () => {
  const table: Readonly<Record<string, readonly [id: string, words: string]>> = {
    'm6-sealed-as-m5': ['PS-M5-01', 'it opens with the nonce PS-Msg05'],
    'm6-signature-other-order': ['PS-M6-01', 'it holds over Identifier | LTPK | AccessoryX'],
    'echoes-controller-proof': ['PS-M3-03', 'it is the proof of M3 sent back'],
    'verify-signs-other-order': ['PV-M2-01', 'it holds over controller’s key | Identifier | accessory’s key'],
    'counter-big-endian': ['SESS-02', 'it opens with the counter as a big-endian number'],
    'one-key-both-ways': ['SESS-01', 'it opens with the key of the other direction'],
    'seals-without-aad': ['SESS-04/frames-of-the-accessory', 'it opens with no additional data'],
  };
  for (const [name, [id, words]] of Object.entries(table))
    it(`${name}: ${words}`, async () => {
      const asked = suite.filter((entry) => entry.id === id);
      const [result] = await runTwin(suite, asked, findFault(name), { seed: 1 });
      expect(result!.status).to.equal('fail');
      expect(result!.message).to.include(words);
    });
});

describe('protocol: over what was signed or hashed that does not hold', () => {
  const id = utf8('AA:BB:CC:DD:EE:FF');
  const { ltsk, ltpk } = restoreIdentity(id, random.bytes(32));
  const x = deriveKey('Pair-Setup-Accessory-Sign', K);
  const controllerX = deriveKey('Pair-Setup-Controller-Sign', K);
  const parts = [
    { name: 'AccessoryX', value: x, others: [['ControllerX', controllerX]] },
    { name: 'Identifier', value: id, others: identifierForms(id) },
    { name: 'LTPK', value: ltpk },
  ] as const;
  const table: readonly (readonly [words: string, signed: Bytes])[] = [
    ['Identifier | LTPK | AccessoryX', concat(id, ltpk, x)],
    ['Identifier | LTPK', concat(id, ltpk)],
    ['AccessoryX', x],
    ['ControllerX | Identifier | LTPK', concat(controllerX, id, ltpk)],
    ['AccessoryX | Identifier in lower case | LTPK', concat(x, utf8('aa:bb:cc:dd:ee:ff'), ltpk)],
    [
      'AccessoryX | Identifier as 6 raw bytes | LTPK',
      concat(x, Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff), ltpk),
    ],
    ['LTPK | Identifier without its colons | AccessoryX', concat(ltpk, utf8('AABBCCDDEEFF'), x)],
  ];
  for (const [words, signed] of table)
    it(`a signature over ${words}`, () => expect(howSigned(ltpk, sign(ltsk, signed), parts)).to.equal(words));

  it('a proof, and nothing where nobody knows', () => {
    const [A, M1] = [random.bytes(384), random.bytes(64)];
    const joined = [
      { name: 'A', value: A },
      { name: 'M1', value: M1 },
      { name: 'K', value: K, others: [['S', S]] },
    ] as const;
    expect(howProven(sha512(concat(A, M1, S)), joined)).to.equal('A | M1 | S');
    expect(howProven(sha512(concat(M1, A, K)), joined)).to.equal('M1 | A | K');
    expect(howProven(sha512(concat(A, K)), joined)).to.equal('A | K');
    expect(howProven(random.bytes(64), joined)).to.equal(undefined);
    expect(howSigned(ltpk, random.bytes(64), parts)).to.equal(undefined);
  });
});

describe('protocol: how a frame was sealed that does not open', () => {
  const keys = controlKeys(random.bytes(32));
  const { toController, toAccessory } = keys;
  const header = lengthBytes(plain.length);
  const frame = (nonceOf: Bytes, aad = header, by = toController): Bytes =>
    concat(header, seal(by, nonceOf, plain, aad));
  const bigEndian = concat(new Uint8Array(11), Uint8Array.of(3));
  const table: readonly (readonly [words: string, wire: Bytes])[] = [
    ['counter 4', sealFrame(toController, 4n, plain)],
    ['counter 0', sealFrame(toController, 0n, plain)],
    ['the counter as a big-endian number', frame(bigEndian)],
    ['the counter in front of the four zero bytes', frame(concat(Uint8Array.of(3), new Uint8Array(11)))],
    ['the key of the other direction', sealFrame(toAccessory, 3n, plain)],
    ['no additional data', frame(counterNonce(3n), new Uint8Array(0))],
    [
      'the length as a big-endian number as additional data',
      frame(counterNonce(3n), header.slice().reverse()),
    ],
    ['counter 4 and the key of the other direction', sealFrame(toAccessory, 4n, plain)],
  ];
  for (const [words, wire] of table)
    it(`says: ${words}`, () => expect(howFramed(wire, 3n, keys)).to.equal(words));

  it('says nothing of what nobody knows', () => {
    expect(howFramed(concat(header, random.bytes(135)), 3n, keys)).to.equal(undefined);
  });
});
