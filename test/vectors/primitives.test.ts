import { createHash } from 'node:crypto';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { expect } from 'chai';
import {
  type Bytes,
  flipBit,
  fromHex,
  hex,
  hkdfSha512,
  open,
  restoreIdentity,
  seal,
  sharedSecret,
  sign,
  text,
  verifySignature,
} from '../../harness/protocol/index.js';
import { data } from './folder.js';

/** Cases of the RFCs and, after the habits of Wycheproof, what is near them; `source` in each file says where from. */
interface Data<T> {
  readonly source: string;
  readonly tests: readonly (T & {
    readonly tcId: number;
    readonly comment: string;
    readonly result: 'valid' | 'invalid';
  })[];
}

function cases<T>(name: string, judge: (test: Data<T>['tests'][number], valid: boolean) => void): void {
  const { source, tests } = data<Data<T>>(name);
  describe(`${name}: ${source}`, () => {
    for (const test of tests) it(`${test.tcId} ${test.comment}`, () => judge(test, test.result === 'valid'));
  });
}

describe('the protocol layer and published cases', () => {
  cases<{ private: string; public: string; shared: string }>('x25519', (test, valid) => {
    const shared = sharedSecret(fromHex(test.private), fromHex(test.public));
    expect(shared && hex(shared)).to.equal(valid ? test.shared : undefined);
  });

  cases<{ private: string; public: string; message: string; signature: string }>('ed25519', (test, valid) => {
    const [ltpk, message, signature] = [test.public, test.message, test.signature].map(fromHex) as [
      Bytes,
      Bytes,
      Bytes,
    ];
    expect(verifySignature(ltpk, message, signature)).to.equal(valid);
    if (!valid) return;
    const { ltsk, ltpk: own } = restoreIdentity(fromHex('41'), fromHex(test.private));
    expect([hex(own), hex(sign(ltsk, message))]).to.deep.equal([test.public, test.signature]);
    for (const bit of [0, 7, 100, 255, 256, 300, 508])
      expect(verifySignature(ltpk, message, flipBit(signature, bit)), `bit ${bit} of the signature`).to.equal(
        false,
      );
  });

  interface Sealed {
    readonly key: string;
    readonly nonce: string;
    readonly aad: string;
    readonly plaintext: string;
    readonly sealed: string;
  }
  cases<Sealed>('chacha20-poly1305', (test, valid) => {
    const [key, nonce, aad, plaintext, sealed] = [
      test.key,
      test.nonce,
      test.aad,
      test.plaintext,
      test.sealed,
    ].map(fromHex);
    const opened = open(key!, nonce!, sealed!, aad);
    expect(opened && hex(opened)).to.equal(valid ? test.plaintext : undefined);
    if (!valid) return;
    expect(hex(seal(key!, nonce!, plaintext!, aad))).to.equal(test.sealed);
    // Each bit of the tag counts, and the first and last of everything else.
    const last = 8 * sealed!.length;
    for (let bit = last - 128; bit < last; bit++)
      expect(open(key!, nonce!, flipBit(sealed!, bit), aad), `bit ${bit}`).to.equal(undefined);
    expect(open(key!, nonce!, flipBit(sealed!, 0), aad)).to.equal(undefined);
    expect(open(key!, flipBit(nonce!, 95), sealed!, aad)).to.equal(undefined);
    expect(open(key!, nonce!, sealed!, flipBit(aad!, 0))).to.equal(undefined);
  });

  cases<{ ikm: string; salt: string; info: string; size: number; okm: string; sha256?: string }>(
    'hkdf-sha512',
    (test, valid) => {
      const [ikm, salt, info] = [test.ikm, test.salt, test.info].map(fromHex) as [Bytes, Bytes, Bytes];
      // The protocol layer takes texts; where salt and info are none, the library under it is asked.
      const texts = hex(Buffer.from(text(salt))) === test.salt && hex(Buffer.from(text(info))) === test.info;
      const make = (): Bytes =>
        texts ? hkdfSha512(ikm, text(salt), text(info), test.size) : hkdf(sha512, ikm, salt, info, test.size);
      if (!valid) return void expect(make).to.throw();
      const okm = make();
      if (test.sha256 !== undefined)
        expect(createHash('sha256').update(okm).digest('hex')).to.equal(test.sha256);
      else expect(hex(okm)).to.equal(test.okm);
    },
  );
});
