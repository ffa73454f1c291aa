import {
  type Bytes,
  type Random,
  concat,
  counterNonce,
  flipBit,
  lengthBytes,
  seal,
  sealFrame,
  utf8,
} from '../../protocol/index.js';
import { draft } from '../cases.js';
import { type Draft, type Generator, edit } from '../make.js';
import type { FlagName } from '../notes.js';

interface StreamOptions {
  readonly counter?: bigint;
  readonly sizes?: readonly number[];
  readonly plaintext?: Bytes;
  readonly change?: {
    op: string;
    argument?: Parameters<typeof edit>[1];
    make: (right: Bytes[], key: Bytes, plaintext: Bytes, counter: bigint) => Bytes[];
  };
}

function stream(random: Random, comment: string, flags: readonly FlagName[], options: StreamOptions): Draft {
  const { counter = 0n, change } = options;
  const sizes = options.sizes ?? [options.plaintext?.length ?? 37];
  const key = random.bytes(32);
  const plaintext = options.plaintext ?? random.bytes(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  const right = sizes.map((size, index) =>
    sealFrame(key, counter + BigInt(index), plaintext.subarray(at, (at += size))),
  );
  const odd = sizes.some((size) => size === 0 || size > 1024);
  return draft(comment, flags, change !== undefined ? 'invalid' : odd ? 'acceptable' : 'valid', {
    key,
    counter: counter.toString(),
    sizes,
    plaintext,
    frames: change === undefined ? right : change.make(right, key, plaintext.subarray(0, sizes[0]), counter),
    right: change && right,
    edit: change && edit(change.op, change.argument),
  });
}

function full(length: number): number[] {
  return Array.from({ length: Math.ceil(length / 1024) }, (_, i) => Math.min(1024, length - 1024 * i));
}

export const frames: Generator = (random) => {
  const one = (comment: string, flags: readonly FlagName[], options: StreamOptions): Draft =>
    stream(random, comment, flags, options);
  const http = utf8('GET /accessories HTTP/1.1\r\nHost: accessory.local\r\n\r\n');
  const counters = [1n, 255n, 256n, 65_535n, 65_536n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n];
  const last = (list: Bytes[], how: (frame: Bytes) => Bytes): Bytes[] => [
    ...list.slice(0, -1),
    how(list.at(-1)!),
  ];
  const first = (list: Bytes[], frame: Bytes): Bytes[] => [frame, ...list.slice(1)];
  const sizes = [40, 30];
  const bit = (at: number, flag: FlagName, comment: string): Draft =>
    one(comment, [flag], {
      sizes,
      change: { op: 'flip', argument: { bit: at }, make: (list) => first(list, flipBit(list[0]!, at)) },
    });
  const other = random.bytes(32);
  return [
    {
      type: 'FrameStream',
      tests: [
        one('a request', ['Ordinary'], { plaintext: http }),
        ...[1, 2, 1023, 1024, 1025, 2047, 2048, 2049, 4096].map((length) =>
          one(`a message of ${length} bytes`, ['Boundary'], { sizes: full(length) }),
        ),
        one('a message in frames of odd sizes', ['Ordinary'], { sizes: [1, 100, 1024, 3, 512] }),
        one('forty small frames', ['Counter'], { sizes: Array.from({ length: 40 }, (_, i) => 1 + (i % 3)) }),
        ...counters.map((counter) => one(`counter ${counter}`, ['Counter', 'Boundary'], { counter })),
        one('over the edge of 16 bits', ['Counter', 'Boundary'], { counter: 65_535n, sizes: [5, 5] }),
        one('over the edge of 32 bits', ['Counter', 'Boundary'], { counter: 2n ** 32n - 1n, sizes: [5, 5] }),
        one('an empty frame', ['FrameSize'], { sizes: [0] }),
        one('an empty frame between two others', ['FrameSize'], { sizes: [10, 0, 10] }),
        one('a frame of 1025 bytes', ['FrameSize', 'Boundary'], { sizes: [1025] }),
        one('a frame of 4096 bytes', ['FrameSize'], { sizes: [4096] }),
        bit(0, 'FrameHeader', 'first bit of the length'),
        bit(10, 'FrameHeader', 'length 1024 more'),
        bit(16, 'ModifiedCiphertext', 'first bit of the ciphertext'),
        bit(8 * 41 + 7, 'ModifiedCiphertext', 'last bit of the ciphertext'),
        bit(8 * 42, 'ModifiedTag', 'first bit of the tag'),
        bit(8 * 58 - 1, 'ModifiedTag', 'last bit of the tag'),
        one('a tag changed in the second frame', ['ModifiedTag'], {
          sizes,
          change: {
            op: 'flip-last',
            argument: { bit: 8 * 47 },
            make: (list) => last(list, (frame) => flipBit(frame, 8 * 47)),
          },
        }),
        one('ends inside the tag', ['Truncated'], {
          sizes,
          change: {
            op: 'cut',
            argument: { to: 40 },
            make: (list) => last(list, (frame) => frame.subarray(0, 40)),
          },
        }),
        one('ends behind the length', ['Truncated'], {
          sizes,
          change: {
            op: 'cut',
            argument: { to: 2 },
            make: (list) => last(list, (frame) => frame.subarray(0, 2)),
          },
        }),
        one('ends behind the first length byte', ['Truncated'], {
          sizes,
          change: {
            op: 'cut',
            argument: { to: 1 },
            make: (list) => last(list, (frame) => frame.subarray(0, 1)),
          },
        }),
        one('a counter too far', ['Counter', 'WrongNonce'], {
          change: {
            op: 'counter',
            argument: { to: 1 },
            make: (_, key, plain) => [sealFrame(key, 1n, plain)],
          },
        }),
        one('counter 0 again', ['Counter', 'WrongNonce'], {
          counter: 7n,
          change: {
            op: 'counter',
            argument: { to: 0 },
            make: (_, key, plain) => [sealFrame(key, 0n, plain)],
          },
        }),
        one('a counter of 16 bits runs over', ['Counter', 'WrongNonce'], {
          counter: 65_536n,
          change: {
            op: 'counter',
            argument: { to: 0 },
            make: (_, key, plain) => [sealFrame(key, 0n, plain)],
          },
        }),
        one('without additional data', ['WrongAad'], {
          sizes,
          change: {
            op: 'no-aad',
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { aad: new Uint8Array(0) })),
          },
        }),
        one('additional data in the other byte order', ['WrongAad', 'ByteOrder'], {
          sizes,
          change: {
            op: 'aad-big-endian',
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { aad: lengthBytes(plain.length).reverse() })),
          },
        }),
        one('length in the other byte order', ['FrameHeader', 'ByteOrder'], {
          sizes,
          change: {
            op: 'header-big-endian',
            make: (list, key, plain, counter) => {
              const header = lengthBytes(plain.length).reverse();
              return first(list, concat(header, seal(key, counterNonce(counter), plain, header)));
            },
          },
        }),
        one('declares one byte less', ['FrameHeader'], {
          sizes,
          change: {
            op: 'declared',
            argument: { to: 39 },
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { declaredLength: 39 })),
          },
        }),
        one('declares 65535 bytes', ['FrameHeader', 'Boundary'], {
          sizes,
          change: {
            op: 'declared',
            argument: { to: 65_535 },
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { declaredLength: 65_535 })),
          },
        }),
        one('the first frame again', ['Replayed'], {
          sizes,
          change: { op: 'replay', make: (list) => [...list, list[0]!] },
        }),
        one('two frames in the wrong order', ['Replayed'], {
          sizes,
          change: { op: 'swapped', make: (list) => [...list].reverse() },
        }),
        one('the key of the other direction', ['WrongKey'], {
          sizes,
          change: {
            op: 'other-key',
            argument: { value: other },
            make: (list, _, plain, counter) => first(list, sealFrame(other, counter, plain)),
          },
        }),
        one('the counter in front of the four zero bytes', ['WrongNonce'], {
          counter: 3n,
          sizes,
          change: {
            op: 'nonce-left',
            make: (list, key, plain, counter) => {
              const nonce = counterNonce(counter);
              const moved = concat(nonce.subarray(4), nonce.subarray(0, 4));
              return first(
                list,
                concat(lengthBytes(plain.length), seal(key, moved, plain, lengthBytes(plain.length))),
              );
            },
          },
        }),
      ],
    },
  ];
};
