import { expect } from 'chai';
import fc from 'fast-check';
import {
  InputError,
  abytes,
  aint,
  concat,
  equal,
  flipBit,
  fromHex,
  fromInteger,
  hex,
  isZero,
  padLeft,
  stripLeadingZeros,
  text,
  toInteger,
  utf8,
} from '../../harness/protocol/index.js';

const bytes = fc.uint8Array({ maxLength: 60 });

describe('bytes', () => {
  it('survive hex, also as a view into something larger', () => {
    fc.assert(
      fc.property(bytes, fc.nat(60), (value, from) => {
        expect(hex(fromHex(hex(value)))).to.equal(hex(value));
        expect(hex(value.subarray(from))).to.equal(hex(value).slice(from * 2));
        expect(fromHex(hex(value).toUpperCase())).to.deep.equal(value);
      }),
    );
  });

  it('are not made from what is no hex', () => {
    for (const wrong of ['0', 'zz', '0x00', '00 11'])
      expect(() => fromHex(wrong)).to.throw(InputError, 'hexadecimal');
  });

  it('survive integers, without leading zeros', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const integer = toInteger(value);
        expect(fromInteger(integer)).to.deep.equal(stripLeadingZeros(value));
        expect(fromInteger(integer, value.length)).to.deep.equal(value);
      }),
    );
    expect(toInteger(new Uint8Array(0))).to.equal(0n);
    expect(fromInteger(0n)).to.deep.equal(new Uint8Array(0));
    expect(fromInteger(0n, 2)).to.deep.equal(new Uint8Array(2));
  });

  it('pad on the left, never cut', () => {
    expect(hex(padLeft(Uint8Array.of(1), 3))).to.equal('000001');
    expect(hex(padLeft(Uint8Array.of(1, 2, 3), 2))).to.equal('010203');
    expect(hex(stripLeadingZeros(Uint8Array.of(0, 0, 1, 0)))).to.equal('0100');
  });

  it('join, compare and tell zero', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(hex(concat(a, b))).to.equal(hex(a) + hex(b));
        expect(equal(a, b)).to.equal(hex(a) === hex(b));
        expect(equal(a, a.slice())).to.equal(true);
        expect(isZero(a)).to.equal(toInteger(a) === 0n);
      }),
    );
  });

  it('flip exactly one bit, and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(), (value, any) => {
        const bit = any % (value.length * 8);
        const flipped = flipBit(value, bit);
        const changed = [...value.keys()].filter((i) => value[i] !== flipped[i]);
        expect(changed).to.deep.equal([bit >> 3]);
        expect(flipBit(flipped, bit)).to.deep.equal(value);
      }),
    );
    for (const bit of [-1, 8]) expect(() => flipBit(new Uint8Array(1), bit)).to.throw(InputError, 'outside');
  });

  it('show malformed UTF-8 as replacement characters', () => {
    expect(text(Uint8Array.of(0x61, 0xff, 0x62))).to.equal('a\ufffdb');
    expect(text(utf8('\ufeffé'))).to.equal('\ufeffé');
  });

  it('guards name the value, the size wanted and the size found', () => {
    expect(abytes(Uint8Array.of(1), 'x', 1)).to.deep.equal(Uint8Array.of(1));
    expect(() => abytes(new Uint8Array(3), 'salt', 16)).to.throw(
      InputError,
      'salt: expected 16 bytes, got 3',
    );
    expect(() => abytes('text' as unknown as Uint8Array, 'salt')).to.throw(
      InputError,
      'salt: expected bytes, got string',
    );
    expect(aint(3, 'x', 0, 3)).to.equal(3);
    for (const wrong of [-1, 4, 1.5, NaN, Infinity])
      expect(() => aint(wrong, 'count', 0, 3)).to.throw(InputError, 'count');
  });
});
