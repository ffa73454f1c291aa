import { expect } from 'chai';
import fc from 'fast-check';
import {
  FrameDecoder,
  FrameEncoder,
  type ReceivedFrame,
  concat,
  counterNonce,
  deriveKey,
  flipBit,
  frameOpener,
  fromHex,
  hex,
  lengthBytes,
  sealFrame,
  text,
  utf8,
} from '../../harness/protocol/index.js';
import { framesFromAlice, srpAlice } from './known-answers.js';
import { nodeSeal } from './node-crypto.js';

const key = new Uint8Array(32).fill(7);

function decoder(from = 0n): FrameDecoder {
  return new FrameDecoder(frameOpener(key), from);
}

function joined(frames: readonly ReceivedFrame[]): string {
  return hex(concat(...frames.map(({ plaintext }) => plaintext ?? utf8('unopened'))));
}

/** Cuts bytes at the given places, in any order and number. */
function segments(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

describe('frames', () => {
  it('give the known answers', () => {
    const K = fromHex(srpAlice.K);
    for (const [label, { text: message, wire }] of [
      ['Control-Write', framesFromAlice.toAccessory],
      ['Control-Read', framesFromAlice.toController],
    ] as const) {
      const control = deriveKey(label, K);
      expect(new FrameEncoder(control).encode(utf8(message)).map(hex)).to.deep.equal([wire]);
      const [frame, ...rest] = new FrameDecoder(frameOpener(control)).feed(fromHex(wire));
      expect(text(frame!.plaintext!)).to.equal(message);
      expect(rest).to.have.length(0);
    }
  });

  const cuts: readonly [size: number, frames: number[]][] = [
    [0, []],
    [1, [1]],
    [1023, [1023]],
    [1024, [1024]],
    [1025, [1024, 1]],
    [2048, [1024, 1024]],
    [2049, [1024, 1024, 1]],
  ];
  for (const [size, frames] of cuts)
    it(`cut ${size} bytes into [${frames.join(', ')}]`, () => {
      const message = Uint8Array.from({ length: size }, (_, i) => i % 253);
      const encoder = new FrameEncoder(key);
      const sealed = encoder.encode(message);
      expect(sealed.map((frame) => frame.length)).to.deep.equal(frames.map((length) => 2 + length + 16));
      expect(encoder.counter).to.equal(BigInt(frames.length));
      const received = decoder().feed(concat(...sealed));
      expect(received.map(({ length }) => length)).to.deep.equal(frames);
      expect(received.map(({ counter }) => counter)).to.deep.equal(frames.map((_, i) => BigInt(i)));
      expect(joined(received)).to.equal(hex(message));
    });

  it('survive any segmentation', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 2100, size: 'max' }), { maxLength: 4 }),
        fc.array(fc.nat(10_000), { maxLength: 20 }),
        (messages, places) => {
          const encoder = new FrameEncoder(key);
          const wire = concat(...messages.flatMap((message) => encoder.encode(message)));
          const receiving = decoder();
          const frames = segments(wire, places).flatMap((segment) => receiving.feed(segment));
          expect(joined(frames)).to.equal(hex(concat(...messages)));
          expect(hex(concat(...frames.map((frame) => frame.wire)))).to.equal(hex(wire));
          expect(receiving.pending.length).to.equal(0);
          expect(receiving.counter).to.equal(encoder.counter);
        },
      ),
    );
  });

  it('survive one byte at a time, and tell what they wait for', () => {
    const wire = sealFrame(key, 0n, utf8('hello'));
    const receiving = decoder();
    expect(receiving.declared).to.equal(undefined);
    for (let i = 0; i < wire.length - 1; i++) {
      expect(receiving.feed(wire.subarray(i, i + 1))).to.have.length(0);
      expect(receiving.declared).to.equal(i === 0 ? undefined : 5);
      expect(receiving.pending.length).to.equal(i + 1);
    }
    expect(joined(receiving.feed(wire.subarray(-1)))).to.equal(hex(utf8('hello')));
  });

  it('open nothing when a single bit differs anywhere but in the length', () => {
    const wire = sealFrame(key, 0n, utf8('hello'));
    for (let bit = 16; bit < wire.length * 8; bit++)
      expect(
        decoder()
          .feed(flipBit(wire, bit))
          .map(({ plaintext }) => plaintext),
      ).to.deep.equal([undefined]);
  });

  it('open nothing under another counter, and count on all the same', () => {
    const frames = [0n, 1n, 2n].map((counter) => sealFrame(key, counter, utf8(`frame ${counter}`)));
    const opened = (wire: Uint8Array[]) =>
      decoder()
        .feed(concat(...wire))
        .map(({ plaintext }) => plaintext && text(plaintext));
    expect(opened(frames)).to.deep.equal(['frame 0', 'frame 1', 'frame 2']);
    expect(opened([frames[1]!, frames[0]!, frames[2]!])).to.deep.equal([undefined, undefined, 'frame 2']);
    expect(opened([frames[0]!, frames[0]!, frames[2]!])).to.deep.equal(['frame 0', undefined, 'frame 2']);
  });

  it('count with 64 bits', () => {
    const high = 2n ** 32n + 5n;
    const wire = sealFrame(key, high, utf8('late'));
    expect(hex(wire)).to.equal(
      '0400' + hex(nodeSeal(key, counterNonce(high), utf8('late'), Uint8Array.of(4, 0))),
    );
    expect(joined(decoder(high).feed(wire))).to.equal(hex(utf8('late')));
    expect(decoder(5n).feed(wire)[0]?.plaintext).to.equal(undefined);
  });

  it('authenticate the two length bytes', () => {
    expect(hex(lengthBytes(0x0401))).to.equal('0104');
    const wire = sealFrame(key, 0n, utf8('hello'), { aad: Uint8Array.of(6, 0) });
    expect(decoder().feed(wire)[0]?.plaintext).to.equal(undefined);
  });

  it('can lie about the length on purpose', () => {
    const honest = sealFrame(key, 0n, utf8('hello'));
    const lying = sealFrame(key, 0n, utf8('hello'), { declaredLength: 65535 });
    expect(hex(lying)).to.equal('ffff' + hex(honest).slice(4));
    const receiving = decoder();
    expect(receiving.feed(lying)).to.have.length(0);
    expect(receiving.declared).to.equal(65535);
  });

  it('read an empty frame and one above 1024 bytes, which a check may have to see', () => {
    const empty = sealFrame(key, 0n, new Uint8Array(0));
    const large = sealFrame(key, 1n, new Uint8Array(1025));
    expect(
      decoder()
        .feed(concat(empty, large))
        .map(({ plaintext }) => plaintext?.length),
    ).to.deep.equal([0, 1025]);
  });

  it('never throw, whatever arrives', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), (chunks) => {
        const receiving = decoder();
        const frames = chunks.flatMap((chunk) => receiving.feed(chunk));
        const seen = frames.reduce((sum, frame) => sum + frame.wire.length, receiving.pending.length);
        expect(seen).to.equal(concat(...chunks).length);
        for (const { plaintext } of frames) expect(plaintext).to.equal(undefined);
      }),
    );
  });
});
