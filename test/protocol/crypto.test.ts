import { ed25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  InputError,
  type KeyLabel,
  accessoryIdentity,
  concat,
  controlKeys,
  controllerIdentity,
  counterNonce,
  decodeTlv,
  deriveKey,
  encodeTlv,
  ephemeralKeys,
  fromHex,
  hex,
  hkdfSha512,
  isSmallOrder,
  keyLabels,
  labelNonce,
  malleated,
  open,
  openIgnoringTag,
  proofItems,
  restoreIdentity,
  seal,
  seededRandom,
  sharedSecret,
  sign,
  signedInfo,
  smallOrderPoints,
  text,
  utf8,
  verifySignature,
} from '../../harness/protocol/index.js';
import {
  chachaPoly,
  dataStreamFromAlice,
  ed25519Answers,
  hkdfAdk,
  hkdfOnes,
  keysFromAlice,
  lowOrderPoints,
  pairVerify,
  sealsFromAlice,
  srpAlice,
  x25519Answers,
  x25519Iterated,
} from './known-answers.js';
import {
  nodeHkdf,
  nodeOpen,
  nodePublicKey,
  nodeSeal,
  nodeSharedSecret,
  nodeSign,
  nodeVerify,
} from './node-crypto.js';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const K = fromHex(srpAlice.K);

describe('HKDF-SHA-512', () => {
  it('the library gives the known answer of RFC 5869 inputs', () => {
    const { ikm, salt, info, output } = hkdfAdk;
    expect(hex(hkdf(sha512, fromHex(ikm), fromHex(salt), fromHex(info), output.length / 2))).to.equal(output);
  });

  it('gives the known answer with labels of Pair Verify', () => {
    expect(hex(deriveKey('Pair-Verify-Encrypt', utf8('1'.repeat(32))))).to.equal(hkdfOnes);
  });

  for (const [label, key] of Object.entries(keysFromAlice))
    it(`derives ${label}`, () => {
      expect(hex(deriveKey(label as KeyLabel, K))).to.equal(key);
    });

  it('derives the keys of an AirPlay data stream', () => {
    const { salt, output, input } = dataStreamFromAlice;
    expect(hex(hkdfSha512(K, salt, 'DataStream-Output-Encryption-Key'))).to.equal(output);
    expect(hex(hkdfSha512(K, salt, 'DataStream-Input-Encryption-Key'))).to.equal(input);
  });

  it('gives every label another key', () => {
    const labels = Object.keys(keyLabels) as KeyLabel[];
    expect(new Set(labels.map((label) => hex(deriveKey(label, K)))).size).to.equal(labels.length);
  });

  it('agrees with node:crypto', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.string(),
        fc.string(),
        fc.integer({ min: 1, max: 200 }),
        (ikm, salt, info, length) => {
          expect(hex(hkdfSha512(ikm, salt, info, length))).to.equal(hex(nodeHkdf(ikm, salt, info, length)));
        },
      ),
    );
  });
});

describe('ChaCha20-Poly1305', () => {
  it('gives the known answer of RFC 8439', () => {
    const [key, nonce, aad] = [chachaPoly.key, chachaPoly.nonce, chachaPoly.aad].map(fromHex) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const sealed = seal(key, nonce, utf8(chachaPoly.text), aad);
    expect(hex(sealed)).to.equal(chachaPoly.ciphertext + chachaPoly.tag);
    expect(text(open(key, nonce, sealed, aad)!)).to.equal(chachaPoly.text);
  });

  for (const label of ['PS-Msg04', 'PS-Msg05', 'PS-Msg06'] as const)
    it(`seals with the nonce ${label}`, () => {
      const sealed = seal(
        deriveKey('Pair-Setup-Encrypt', K),
        labelNonce(label),
        fromHex(sealsFromAlice.plaintext),
      );
      expect(hex(sealed)).to.equal(sealsFromAlice[label]);
    });

  it('puts four zero bytes in front of labels and counters', () => {
    expect(hex(labelNonce('PS-Msg05'))).to.equal('00000000' + Buffer.from('PS-Msg05').toString('hex'));
    expect(hex(counterNonce(0x0102030405060708n))).to.equal('00000000' + '0807060504030201');
    expect(hex(counterNonce(2n ** 64n - 1n))).to.equal('00000000' + 'ff'.repeat(8));
    expect(() => labelNonce('PS-Msg5')).to.throw(InputError, 'PS-Msg5');
  });

  it('agrees with node:crypto, both ways', () => {
    fc.assert(
      fc.property(
        bytesOf(32),
        bytesOf(12),
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 40 }),
        (key, nonce, plaintext, aad) => {
          const sealed = seal(key, nonce, plaintext, aad);
          expect(hex(sealed)).to.equal(hex(nodeSeal(key, nonce, plaintext, aad)));
          expect(hex(nodeOpen(key, nonce, sealed, aad))).to.equal(hex(plaintext));
          expect(hex(open(key, nonce, sealed, aad)!)).to.equal(hex(plaintext));
          expect(hex(openIgnoringTag(key, nonce, sealed)!)).to.equal(hex(plaintext));
        },
      ),
    );
  });

  it('opens nothing after any single-bit change of what was sealed, AAD, key or nonce', () => {
    const flipped = (bytes: Uint8Array, bit: number) =>
      bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    fc.assert(
      fc.property(
        bytesOf(32),
        bytesOf(12),
        fc.uint8Array({ maxLength: 64 }),
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.nat(),
        (key, nonce, plaintext, aad, bit) => {
          const sealed = seal(key, nonce, plaintext, aad);
          expect(open(key, nonce, flipped(sealed, bit % (sealed.length * 8)), aad)).to.equal(undefined);
          expect(open(key, nonce, sealed, flipped(aad, bit % (aad.length * 8)))).to.equal(undefined);
          expect(open(flipped(key, bit % 256), nonce, sealed, aad)).to.equal(undefined);
          expect(open(key, flipped(nonce, bit % 96), sealed, aad)).to.equal(undefined);
        },
      ),
    );
  });

  it('opens nothing shorter than a tag, and never throws on what a peer sent', () => {
    const key = new Uint8Array(32);
    const nonce = new Uint8Array(12);
    for (let length = 0; length <= 17; length++)
      expect(open(key, nonce, new Uint8Array(length)), `${length} bytes`).to.equal(undefined);
    expect(openIgnoringTag(key, nonce, new Uint8Array(15))).to.equal(undefined);
    expect(openIgnoringTag(key, nonce, new Uint8Array(16))).to.deep.equal(new Uint8Array(0));
  });

  it('names the value and its sizes when our own key or nonce is wrong', () => {
    const message = /expected (32|12) bytes, got (31|8)/;
    expect(() => seal(new Uint8Array(31), new Uint8Array(12), K)).to.throw(InputError, message);
    expect(() => seal(new Uint8Array(32), new Uint8Array(8), K)).to.throw(InputError, message);
    expect(() => open(new Uint8Array(31), new Uint8Array(12), K)).to.throw(InputError, message);
    expect(() => open(new Uint8Array(32), new Uint8Array(8), K)).to.throw(InputError, message);
  });
});

describe('Ed25519', () => {
  ed25519Answers.forEach((answer, index) =>
    it(`gives the known answer of RFC 8032, test ${index + 1}`, () => {
      const { ltsk, ltpk } = restoreIdentity(utf8('id'), fromHex(answer.secret));
      expect(hex(ltpk)).to.equal(answer.publicKey);
      const signature = sign(ltsk, fromHex(answer.message));
      expect(hex(signature)).to.equal(answer.signature);
      expect(verifySignature(ltpk, fromHex(answer.message), signature)).to.equal(true);
    }),
  );

  it('agrees with node:crypto, both ways', () => {
    fc.assert(
      fc.property(bytesOf(32), fc.uint8Array({ maxLength: 200 }), fc.nat(511), (secret, message, bit) => {
        const { ltpk } = restoreIdentity(utf8('id'), secret);
        expect(hex(ltpk)).to.equal(hex(nodePublicKey('ed25519', secret)));
        const signature = sign(secret, message);
        expect(hex(signature)).to.equal(hex(nodeSign(secret, message)));
        expect(verifySignature(ltpk, message, signature)).to.equal(true);
        const changed = signature.slice();
        changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7));
        expect(verifySignature(ltpk, message, changed)).to.equal(false);
        expect(nodeVerify(ltpk, message, changed)).to.equal(false);
        expect(verifySignature(ltpk, concat(message, Uint8Array.of(0)), signature)).to.equal(false);
      }),
      { numRuns: 30 },
    );
  });

  it('says false, and never throws, for any sizes and bytes', () => {
    const odd = fc.oneof(fc.uint8Array({ maxLength: 70 }), bytesOf(32), bytesOf(64));
    fc.assert(
      fc.property(odd, fc.uint8Array({ maxLength: 20 }), odd, (ltpk, message, signature) => {
        expect(verifySignature(ltpk, message, signature)).to.equal(false);
      }),
    );
    for (const size of [0, 31, 32, 33])
      for (const length of [0, 63, 64, 65])
        expect(
          verifySignature(new Uint8Array(size).fill(0xff), K, new Uint8Array(length).fill(0xff)),
        ).to.equal(false);
  });

  it('refuses S + L, and every key of small order with the signature that holds for all messages', () => {
    const { ltsk, ltpk } = controllerIdentity(seededRandom('weak'));
    const signature = sign(ltsk, K);
    expect(malleated(signature).subarray(0, 32)).to.deep.equal(signature.subarray(0, 32));
    expect(verifySignature(ltpk, K, malleated(signature))).to.equal(false);
    expect(new Set(smallOrderPoints.map(hex)).size).to.equal(14);
    const neutral = concat(Uint8Array.of(1), new Uint8Array(63));
    for (const point of smallOrderPoints) {
      // The library's own arithmetic is the witness of the table.
      expect(ed25519.Point.fromBytes(point, true).isSmallOrder(), hex(point)).to.equal(true);
      expect(verifySignature(point, K, neutral), hex(point)).to.equal(false);
    }
    expect(isSmallOrder(ltpk)).to.equal(false);
  });

  it('refuses a secret that is not 32 bytes', () => {
    expect(() => sign(new Uint8Array(64), K)).to.throw(InputError, 'LTSK: expected 32 bytes, got 64');
    expect(() => restoreIdentity(utf8('id'), new Uint8Array(31))).to.throw(InputError, 'got 31');
  });
});

describe('X25519', () => {
  x25519Answers.forEach(({ secret, publicKey, shared }, index) =>
    it(`gives the known answer of RFC 7748, ${index + 1}`, () => {
      expect(hex(sharedSecret(fromHex(secret), fromHex(publicKey))!)).to.equal(shared);
    }),
  );

  it('gives the iterated known answers of RFC 7748', () => {
    let k = fromHex('09' + '00'.repeat(31));
    let u = k;
    for (let round = 1; round <= 1000; round++) {
      [k, u] = [sharedSecret(k, u)!, k];
      if (round === 1) expect(hex(k)).to.equal(x25519Iterated[1]);
    }
    expect(hex(k)).to.equal(x25519Iterated[1000]);
  });

  it('agrees with node:crypto', () => {
    fc.assert(
      fc.property(bytesOf(32), bytesOf(32), (ours, theirs) => {
        const publicKey = nodePublicKey('x25519', theirs);
        expect(hex(sharedSecret(ours, publicKey)!)).to.equal(hex(nodeSharedSecret(ours, publicKey)));
      }),
      { numRuns: 30 },
    );
  });

  it('makes key pairs whose halves belong together', () => {
    const { secret, publicKey } = ephemeralKeys(seededRandom(1));
    expect(hex(publicKey)).to.equal(hex(nodePublicKey('x25519', secret)));
  });

  it('has no secret with a point of low order', () => {
    for (const point of lowOrderPoints)
      expect(sharedSecret(fromHex(x25519Answers[0].secret), fromHex(point)), point).to.equal(undefined);
  });

  it('has no secret with a key of another size', () => {
    for (const size of [0, 1, 31, 33, 64])
      expect(sharedSecret(fromHex(x25519Answers[0].secret), new Uint8Array(size).fill(9))).to.equal(
        undefined,
      );
  });
});

describe('Pair Verify, known answers', () => {
  const { accessory, controller } = pairVerify;
  const accessoryKeys = restoreIdentity(utf8(accessory.id), fromHex(accessory.ltsk));
  const controllerKeys = restoreIdentity(utf8(controller.id), fromHex(controller.ltsk));
  const shared = sharedSecret(fromHex(controller.secret), fromHex(accessory.publicKey))!;
  const key = deriveKey('Pair-Verify-Encrypt', shared);

  it('has the keys of both identities', () => {
    expect(hex(accessoryKeys.ltpk)).to.equal(accessory.ltpk);
    expect(hex(controllerKeys.ltpk)).to.equal(controller.ltpk);
    for (const { secret, publicKey } of [accessory, controller])
      expect(hex(ephemeralKeys({ ...seededRandom(0), bytes: () => fromHex(secret) }).publicKey)).to.equal(
        publicKey,
      );
  });

  it('derives secret and keys', () => {
    expect(hex(shared)).to.equal(pairVerify.shared);
    expect(hex(sharedSecret(fromHex(accessory.secret), fromHex(controller.publicKey))!)).to.equal(
      pairVerify.shared,
    );
    expect(hex(key)).to.equal(pairVerify.encryptKey);
    const { toAccessory, toController } = controlKeys(shared);
    expect(hex(toAccessory)).to.equal(pairVerify.controlWrite);
    expect(hex(toController)).to.equal(pairVerify.controlRead);
  });

  it('seals M2', () => {
    const info = signedInfo(fromHex(accessory.publicKey), accessoryKeys.id, fromHex(controller.publicKey));
    const sub = encodeTlv(proofItems(accessoryKeys.id, sign(accessoryKeys.ltsk, info)));
    expect(hex(seal(key, labelNonce('PV-Msg02'), sub))).to.equal(pairVerify.m2);
    const opened = decodeTlv(open(key, labelNonce('PV-Msg02'), fromHex(pairVerify.m2))!);
    expect(opened.typeNames()).to.deep.equal(['Identifier', 'Signature']);
    expect(verifySignature(fromHex(accessory.ltpk), info, opened.get(0x0a)!)).to.equal(true);
  });

  it('seals M3', () => {
    const info = signedInfo(fromHex(controller.publicKey), controllerKeys.id, fromHex(accessory.publicKey));
    const sub = encodeTlv(proofItems(controllerKeys.id, sign(controllerKeys.ltsk, info)));
    expect(hex(seal(key, labelNonce('PV-Msg03'), sub))).to.equal(pairVerify.m3);
  });
});

describe('identities', () => {
  it('controllers have an upper-case UUID of version 4 and a fresh key', () => {
    const random = seededRandom('controllers');
    const made = Array.from({ length: 20 }, () => controllerIdentity(random));
    for (const { id } of made)
      expect(text(id)).to.match(/^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
    expect(new Set(made.flatMap(({ id, ltpk }) => [text(id), hex(ltpk)])).size).to.equal(40);
  });

  it('accessories have a MAC-like id of 17 characters', () => {
    const { id, ltsk, ltpk } = accessoryIdentity(seededRandom('accessory'));
    expect(text(id)).to.match(/^([0-9A-F]{2}:){5}[0-9A-F]{2}$/);
    expect(hex(ltpk)).to.equal(hex(nodePublicKey('ed25519', ltsk)));
  });
});
