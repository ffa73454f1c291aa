import { expect } from 'chai';
import fc from 'fast-check';
import {
  InputError,
  type TlvItem,
  TlvType,
  decodeTlv,
  encodeTlv,
  fromHex,
  hex,
  integerValue,
  separator,
  splitEntries,
  tlv,
} from '../../harness/protocol/index.js';

const item = fc.record({ type: fc.nat(255), value: fc.uint8Array({ maxLength: 700 }) });
/** Items no two neighbours of which share a type: the only lists that survive merging. */
const separable = fc
  .array(item, { maxLength: 8 })
  .map((items) => items.filter(({ type }, i) => type !== items[i - 1]?.type))
  .filter((items) => items.every(({ type }, i) => type !== items[i - 1]?.type));

function plain(items: readonly TlvItem[]): [number, string][] {
  return items.map(({ type, value }) => [type, hex(value)]);
}

describe('TLV8 encoding', () => {
  const sizes: readonly [size: number, fragments: number[]][] = [
    [0, [0]],
    [1, [1]],
    [254, [254]],
    [255, [255]],
    [256, [255, 1]],
    [510, [255, 255]],
    [511, [255, 255, 1]],
  ];
  for (const [size, fragments] of sizes)
    it(`writes ${size} bytes as fragments of ${fragments.join(' + ')}`, () => {
      const value = Uint8Array.from({ length: size }, (_, i) => i % 251);
      const body = encodeTlv([{ type: 3, value }]);
      const decoded = decodeTlv(body);
      expect(body.length).to.equal(size + 2 * fragments.length);
      expect(decoded.fragments.map((fragment) => fragment.value.length)).to.deep.equal(fragments);
      expect(decoded.fragments.map(({ offset }) => offset)).to.deep.equal(fragments.map((_, i) => i * 257));
      expect(plain(decoded.items)).to.deep.equal([[3, hex(value)]]);
      expect(decoded.defect).to.equal(undefined);
    });

  it('keeps the order of items and takes a number, a text and bytes', () => {
    const items = [tlv(TlvType.State, 1), tlv(TlvType.Identifier, 'Ä'), tlv(TlvType.Salt, Uint8Array.of(7))];
    expect(hex(encodeTlv(items))).to.equal('060101' + '0102c384' + '020107');
  });

  it('fragments at other sizes when asked to', () => {
    expect(hex(encodeTlv([tlv(1, Uint8Array.of(1, 2, 3))], 2))).to.equal('01020102' + '010103');
  });

  it('refuses what does not fit, naming it', () => {
    expect(() => encodeTlv([{ type: 256, value: new Uint8Array(0) }])).to.throw(InputError, 'TLV type');
    expect(() => encodeTlv([], 0)).to.throw(InputError, 'fragment size');
    expect(() => encodeTlv([], 256)).to.throw(InputError, 'fragment size');
    expect(() => tlv(TlvType.State, 256)).to.throw(InputError, 'TLV State');
    expect(() => tlv(TlvType.State, -1)).to.throw(InputError, 'TLV State');
  });

  it('writes integers little-endian in 1, 2, 4 or 8 bytes', () => {
    const values: readonly [number, string][] = [
      [0, '00'],
      [0x10, '10'],
      [0xff, 'ff'],
      [0x100, '0001'],
      [0xffff, 'ffff'],
      [0x1_0000, '00000100'],
      [0x0100_0010, '10000001'],
      [0xffff_ffff, 'ffffffff'],
      [0x1_0000_0000, '0000000001000000'],
      [Number.MAX_SAFE_INTEGER, 'ffffffffffff1f00'],
    ];
    for (const [value, digits] of values) expect(hex(integerValue(value))).to.equal(digits);
    for (const wrong of [-1, 0.5, NaN, 2 ** 53])
      expect(() => integerValue(wrong)).to.throw(InputError, 'TLV integer');
  });
});

describe('TLV8 decoding', () => {
  it('is the inverse of encoding, for any items without equal neighbours', () => {
    fc.assert(
      fc.property(separable, (items) => {
        const decoded = decodeTlv(encodeTlv(items));
        expect(plain(decoded.items)).to.deep.equal(plain(items));
        expect(decoded.defect).to.equal(undefined);
      }),
    );
  });

  it('keeps every fragment, so that the same bytes can be written again, for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 800 }), (body) => {
        const { fragments, defect } = decodeTlv(body);
        const again = fragments
          .map(({ type, value }) => hex(Uint8Array.of(type, value.length, ...value)))
          .join('');
        expect(hex(body).startsWith(again)).to.equal(true);
        expect(again.length === body.length * 2).to.equal(defect === undefined);
        for (const { offset, type } of fragments) expect(body[offset]).to.equal(type);
      }),
    );
  });

  it('joins a fragment to the one before only when that is full and of the same type', () => {
    const full = '03ff' + 'aa'.repeat(255);
    const cases: readonly [body: string, lengths: [number, number][]][] = [
      [full + '0301bb', [[3, 256]]],
      // A value of exactly 255 bytes may be ended by an empty fragment.
      [full + '0300', [[3, 255]]],
      [full + full + '0301bb', [[3, 511]]],
      [full, [[3, 255]]],
      // A fragment that was not full ended its value: what follows is another one.
      [
        '0301aa' + '0301bb',
        [
          [3, 1],
          [3, 1],
        ],
      ],
      [
        full + '0301bb' + '0301cc',
        [
          [3, 256],
          [3, 1],
        ],
      ],
      // Anything in between ends it as well.
      [
        full + 'ff00' + '0301bb',
        [
          [3, 255],
          [255, 0],
          [3, 1],
        ],
      ],
      [
        full + '0201aa' + '0301bb',
        [
          [3, 255],
          [2, 1],
          [3, 1],
        ],
      ],
    ];
    for (const [body, lengths] of cases)
      expect(decodeTlv(fromHex(body)).items.map(({ type, value }) => [type, value.length])).to.deep.equal(
        lengths,
      );
  });

  it('joins all neighbours of a type when asked to, whatever their sizes', () => {
    const message = decodeTlv(fromHex('060102' + '0302aabb' + '0301cc' + '020100' + '0301dd'));
    expect(hex(message.get(3)!)).to.equal('aabb');
    expect(hex(message.joined(3)!)).to.equal('aabbcc');
    expect(message.joined(9)).to.equal(undefined);
    expect(message.all(3).map(hex)).to.deep.equal(['aabb', 'cc', 'dd']);
  });

  it('tells where it ends too early and keeps what came before', () => {
    const defects: readonly [body: string, items: number, defect: string | undefined][] = [
      ['', 0, undefined],
      ['06', 0, '1 byte left over at offset 0 (0x06)'],
      ['0601', 0, 'State at offset 0 declares 1 bytes, 0 are there'],
      ['060102' + '04', 1, '1 byte left over at offset 3 (0x04)'],
      ['060102' + '0440aabb', 1, 'Proof at offset 3 declares 64 bytes, 2 are there'],
      ['060102' + '7f02aa', 1, '0x7f at offset 3 declares 2 bytes, 1 are there'],
    ];
    for (const [body, items, defect] of defects) {
      const message = decodeTlv(fromHex(body));
      expect(message.items.length, body).to.equal(items);
      expect(message.defect, body).to.equal(defect);
    }
  });

  it('reads State and Error as numbers where they can be', () => {
    const read = (body: string) => {
      const { state, error } = decodeTlv(fromHex(body));
      return { state, error };
    };
    expect(read('060104070102')).to.deep.equal({ state: 4, error: 2 });
    expect(read('0602040007020201')).to.deep.equal({ state: undefined, error: 0x0102 });
    expect(read('0600' + '0700')).to.deep.equal({ state: undefined, error: 0 });
    expect(read('0706ffffffffffff')).to.deep.equal({ state: undefined, error: 0xffff_ffff });
    expect(read('')).to.deep.equal({ state: undefined, error: undefined });
  });

  it('describes a message in one line', () => {
    const message = decodeTlv(
      fromHex(
        '060102' +
          '000103' +
          '070102' +
          '0103414243' +
          '0210' +
          '11'.repeat(16) +
          'ff00' +
          '0300' +
          '7f0101' +
          '04',
      ),
    );
    expect(message.toString()).to.equal(
      'State=2 Method=3(AddPairing) Error=2(Authentication) Identifier[3]="ABC" Salt[16]=11111111…1111 ¦ ' +
        'PublicKey[0] 0x7f[1]=01 (malformed: 1 byte left over at offset 39 (0x04))',
    );
    expect(decodeTlv(new Uint8Array(0)).toString()).to.equal('(no items)');
    expect(message.typeNames()).to.include.members(['State', 'Salt', 'Separator', '0x7f']);
  });

  it('never shows control characters of an accessory', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
        expect(decodeTlv(body).toString()).to.match(/^[\x20-\x7e…¦]*$/);
      }),
    );
  });

  it('splits lists at separators, stray ones included', () => {
    const entry = (name: string) => [tlv(TlvType.Identifier, name), tlv(TlvType.Permissions, 1)];
    const listed = (items: TlvItem[]) =>
      splitEntries(decodeTlv(encodeTlv(items))).map((entryItems) => entryItems.length);
    expect(listed([...entry('a'), separator(), ...entry('b')])).to.deep.equal([2, 2]);
    expect(listed([separator(), ...entry('a'), separator()])).to.deep.equal([0, 2, 0]);
    expect(listed([])).to.deep.equal([0]);
  });
});
