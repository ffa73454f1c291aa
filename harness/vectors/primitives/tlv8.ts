import {
  type Bytes,
  type TlvItem,
  TlvType,
  concat,
  decodeTlv,
  encodeTlv,
  fromHex,
  fromInteger,
  tlv,
} from '../../protocol/index.js';
import { draft } from '../cases.js';
import type { Draft, Generator, Value } from '../make.js';
import type { FlagName } from '../notes.js';

const values = (items: readonly TlvItem[]): Value => items.map(({ type, value }) => ({ type, value }));

function codec(comment: string, flags: readonly FlagName[], encoded: Bytes): Draft {
  const { items, defect, fragments } = decodeTlv(encoded);
  const last = fragments.at(-1);
  const offset = last === undefined ? 0 : last.offset + 2 + last.value.length;
  const rest = encoded.subarray(offset);
  const canonical = Buffer.compare(encodeTlv(items), encoded) === 0;
  return draft(comment, flags, defect !== undefined ? 'invalid' : canonical ? 'valid' : 'acceptable', {
    encoded,
    items: values(items),
    defect:
      defect === undefined
        ? undefined
        : { kind: rest.length < 2 ? 'length-missing' : 'value-truncated', offset, rest },
  });
}

export const tlv8: Generator = (random) => {
  const state = tlv(TlvType.State, 1);
  const of = (size: number, type: number = TlvType.PublicKey): TlvItem => tlv(type, random.bytes(size));
  const sizes = [0, 1, 2, 127, 128, 254, 255, 256, 257, 384, 509, 510, 511, 765, 1024, 3000];
  const tests = [
    codec('no items', ['Boundary'], new Uint8Array(0)),
    ...sizes.map((size) =>
      codec(
        `one item of ${size} bytes behind a State`,
        size < 255 ? ['Boundary'] : ['Boundary', 'Fragmented'],
        encodeTlv([state, of(size)]),
      ),
    ),
    codec('a long item in front of a short one', ['Fragmented'], encodeTlv([of(300), state])),
    codec(
      'two long items of different types',
      ['Fragmented'],
      encodeTlv([of(384), of(300, TlvType.EncryptedData)]),
    ),
    codec('two items of one type, the first below 255 bytes', ['RepeatedItem'], encodeTlv([of(20), of(20)])),
    codec(
      'entries with separators',
      ['Separated'],
      encodeTlv([of(36, 1), tlv(0xff, ''), of(36, 1), tlv(0xff, ''), of(36, 1)]),
    ),
    codec(
      'an item of 255 bytes, a separator, the same type again',
      ['Separated', 'Fragmented'],
      encodeTlv([of(255, 1), tlv(0xff, ''), of(5, 1)]),
    ),
    codec(
      'types nobody has defined',
      ['UnknownType'],
      encodeTlv([of(3, 0x7f), state, of(0, 0x20), of(255, 0xfe), of(1, 0x80)]),
    ),
    codec(
      'every type from 0 to 0x13 once',
      ['Ordinary'],
      encodeTlv(Array.from({ length: 0x14 }, (_, type) => of(type % 5, type))),
    ),
    codec('M1 of Pair Setup', ['Ordinary'], encodeTlv([tlv(0, 0), state])),
    codec(
      'an item of 255 bytes continued by an empty fragment',
      ['UnusualFragments', 'Boundary'],
      concat(encodeTlv([of(255)]), Uint8Array.of(3, 0)),
    ),
    codec(
      '510 bytes continued by an empty fragment',
      ['UnusualFragments', 'Boundary'],
      concat(encodeTlv([of(510)]), Uint8Array.of(3, 0), encodeTlv([state])),
    ),
    codec(
      'an empty item, then the same type with 255 bytes, then 4 more',
      ['UnusualFragments'],
      concat(Uint8Array.of(5, 0), encodeTlv([of(259, 5)])),
    ),
    ...[
      ['one byte: a type without a length', fromHex('06')],
      ['a type without a length behind a good item', fromHex('06010103')],
      ['a length without a value', fromHex('0320')],
      ['a value that is one byte short', encodeTlv([state, of(32)]).slice(0, -1)],
      [
        'a second fragment that is missing all of its bytes',
        concat(encodeTlv([of(255)]), Uint8Array.of(3, 129)),
      ],
      ['a second fragment that is one byte short', encodeTlv([of(384)]).slice(0, -1)],
      ['a length of 255 with one byte behind it', fromHex('03ff01')],
      ['a separator that declares a byte too many', concat(encodeTlv([of(4, 1)]), Uint8Array.of(0xff, 1))],
    ].map(([comment, encoded]) => codec(comment as string, ['Truncated'], encoded as Bytes)),
  ];
  const integer = (value: bigint, width: number, order: 'little-endian' | 'big-endian'): Draft => {
    const big = fromInteger(value, width);
    const encoded = order === 'big-endian' ? big : big.slice().reverse();
    const least = [1, 2, 4, 8].find((size) => value < 1n << BigInt(8 * size))!;
    const result = order === 'big-endian' ? 'invalid' : width === least ? 'valid' : 'acceptable';
    return draft(
      `${value} in ${width} bytes, ${order}`,
      order === 'big-endian' ? ['ByteOrder'] : ['IntegerWidth'],
      result,
      { value: value.toString(), width, order, encoded },
    );
  };
  const plain = [
    0n,
    1n,
    16n,
    255n,
    256n,
    65535n,
    65536n,
    0x1000000n,
    0x1000010n,
    0xffffffffn,
    0x100000000n,
    2n ** 64n - 1n,
  ];
  return [
    { type: 'TlvCodec', tests },
    {
      type: 'TlvInteger',
      tests: [
        ...plain.map((value) =>
          integer(
            value,
            [1, 2, 4, 8].find((size) => value < 1n << BigInt(8 * size))!,
            'little-endian',
          ),
        ),
        integer(0n, 0, 'little-endian'),
        ...[2, 3, 4, 8].map((width) => integer(16n, width, 'little-endian')),
        integer(0x10000n, 3, 'little-endian'),
        ...[256n, 0x1000000n, 0x1000010n, 1024n].map((value) => integer(value, 4, 'big-endian')),
        integer(16n, 2, 'big-endian'),
      ],
    },
  ];
};
