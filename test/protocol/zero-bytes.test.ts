import { expect } from 'chai';
import {
  controllerIdentity,
  curvePublicKey,
  ephemeralKeys,
  equal,
  hasZeroByte,
  hex,
  restoreIdentity,
  seededRandom,
  withKeyThat,
} from '../../harness/protocol/index.js';

const places = ['nowhere', 'first', 'inside', 'last'] as const;

describe('zero bytes', () => {
  it('are told by where the only one is, and two are none of these', () => {
    for (const [bytes, where] of [
      [[1, 2, 3, 4], 'nowhere'],
      [[0, 2, 3, 4], 'first'],
      [[1, 0, 3, 4], 'inside'],
      [[1, 2, 3, 0], 'last'],
      [[0, 2, 0, 4], undefined],
      [[1, 2, 0, 0], undefined],
    ] as const)
      expect(
        places.filter((place) => hasZeroByte(Uint8Array.from(bytes), place)),
        bytes.join(' '),
      ).to.deep.equal(where === undefined ? [] : [where]);
  });

  // Both of them drawn with a zero byte, and searched for: one flow in sixty met one key in the place of two.
  it('leave two keys of one identifier two keys', () => {
    const random = seededRandom('two keys');
    const { id } = controllerIdentity(random);
    const keys = Array.from({ length: 3 }, () => {
      const given = { ...controllerIdentity(random), id };
      return hex(withKeyThat(({ ltpk }) => hasZeroByte(ltpk, 'first'), given, random).ltpk);
    });
    expect(new Set(keys).size).to.equal(3);
  });

  for (const where of places)
    it(`are ${where} in a key that was searched for, which stays a pair and is always the same`, () => {
      const draw = () => {
        const random = seededRandom(`zero byte ${where}`);
        const ephemeral = ephemeralKeys(random, undefined, where);
        const given = controllerIdentity(random);
        const identity = withKeyThat(({ ltpk }) => hasZeroByte(ltpk, where), given, random);
        return { ephemeral, given, identity, next: hex(random.bytes(8)) };
      };
      const { ephemeral, given, identity, next } = draw();
      expect(hasZeroByte(ephemeral.publicKey, where)).to.equal(true);
      expect(equal(curvePublicKey(ephemeral.secret), ephemeral.publicKey)).to.equal(true);
      expect(hasZeroByte(identity.ltpk, where)).to.equal(true);
      expect(equal(identity.id, given.id)).to.equal(true);
      expect(equal(restoreIdentity(identity.id, identity.ltsk).ltpk, identity.ltpk)).to.equal(true);
      expect(hex(draw().identity.ltpk)).to.equal(hex(identity.ltpk));
      // What is drawn behind the search does not depend on how long it took.
      const plain = seededRandom(`zero byte ${where}`);
      ephemeralKeys(plain);
      controllerIdentity(plain);
      expect(next).to.equal(hex(plain.bytes(8)));
    });
});
