import { expect } from 'chai';
import fc from 'fast-check';
import {
  bitFlips,
  cutAt,
  cutPoints,
  editedTlv,
  equivalentEncodings,
  frameSizes,
  malformedRequests,
  malformedTlv,
  pairingIds,
  requestSpellings,
  setupCodes,
  tlvLists,
  tlvWords,
  unknownTypes,
} from '../harness/arbitraries.js';
import {
  type Bytes,
  type TlvItem,
  TlvType,
  concat,
  decodeTlv,
  encodeTlv,
  equal,
  flipBit,
  isTrivialCode,
  text,
  tlv,
  utf8,
} from '../harness/protocol/index.js';
import { HttpReader, header } from '../harness/wire/index.js';

const SEED = 20;
const RUNS = 200;

/** M3 with an A of two fragments. */
const items: readonly TlvItem[] = [
  tlv(TlvType.State, 3),
  tlv(TlvType.PublicKey, new Uint8Array(384).fill(0xa5)),
  tlv(TlvType.Proof, new Uint8Array(64).fill(0x5a)),
];
const request = {
  startLine: 'POST /pair-setup HTTP/1.1',
  headers: [
    ['Host', 'accessory.local'],
    ['Content-Type', 'application/pairing+tlv8'],
  ] as const,
  body: encodeTlv(items),
};

/** The one request in these bytes; undefined when they are not exactly that. */
function readRequest(bytes: Bytes): { path: string; body: Bytes; type: string | undefined } | undefined {
  const reader = new HttpReader('request');
  reader.feed(bytes);
  const progress = reader.next();
  if (progress.kind !== 'message' || reader.pending.length > 0) return undefined;
  const { path, body } = progress.message;
  return { path, body, type: header(progress.message, 'content-type') };
}

/** What an encoding says: its known items by type, in the order of the types. */
function known(bytes: Bytes): TlvItem[] {
  const types = new Set(items.map(({ type }) => type));
  return decodeTlv(bytes)
    .items.filter(({ type }) => types.has(type))
    .sort((a, b) => a.type - b.type);
}

interface Law {
  readonly arbitrary: fc.Arbitrary<unknown>;
  /** Throws for a value that is not what the generator promises. */
  valid(value: never): void;
  /** How big a value is; shrinking never makes it bigger. */
  size(value: never): number;
  /** What the text of every value looks like. */
  readonly text: RegExp;
}

function law<T>(
  arbitrary: fc.Arbitrary<T>,
  text: RegExp,
  size: (value: T) => number,
  valid: (value: T) => void,
): Law {
  return { arbitrary, text, size, valid };
}

const laws: Readonly<Record<string, Law>> = {
  unknownTypes: law(
    unknownTypes(),
    /^\d+$/,
    (type) => type,
    (type) => expect(Object.values<number>(TlvType)).not.to.include(type),
  ),
  tlvLists: law(
    tlvLists(),
    /^(\(no items\)|.+)$/,
    (list) => encodeTlv(list).length,
    (list) => expect(decodeTlv(encodeTlv(list)).items).to.deep.equal(list.map((item) => ({ ...item }))),
  ),
  equivalentEncodings: law(
    equivalentEncodings(items),
    /^(plain|.*State=3.*) \[[0-9a-f]+… \d+ bytes\]$/s,
    ({ bytes }) => bytes.length,
    ({ bytes }) => {
      expect(decodeTlv(bytes).defect).to.equal(undefined);
      expect(known(bytes)).to.deep.equal([...items].sort((a, b) => a.type - b.type));
    },
  ),
  malformedTlv: law(
    malformedTlv(items),
    /^.+ \[[0-9a-f]*(… \d+ bytes)?\]$/,
    ({ bytes }) => bytes.length,
    ({ bytes }) => expect(decodeTlv(bytes).defect).to.be.a('string'),
  ),
  editedTlv: law(
    editedTlv(items),
    /^.+ \[[0-9a-f]*(… \d+ bytes)?\]$/s,
    // Fewer changes may leave more bytes.
    () => 0,
    ({ bytes }) => {
      expect(equal(bytes, encodeTlv(items))).to.equal(false);
      expect(decodeTlv(bytes).defect).to.equal(undefined);
    },
  ),
  requestSpellings: law(
    requestSpellings(request),
    /host:.*\[[0-9a-f]+… \d+ bytes\]$/is,
    ({ words }) => words.split(' | ').length,
    ({ bytes }) => {
      const read = readRequest(bytes);
      expect(read?.path).to.equal('/pair-setup');
      expect(read?.type).to.equal('application/pairing+tlv8');
      expect(read?.body).to.deep.equal(request.body);
    },
  ),
  malformedRequests: law(
    malformedRequests(request),
    /^.+ \[[0-9a-f]+… \d+ bytes\]$/,
    ({ bytes }) => bytes.length,
    ({ bytes }) => expect(readRequest(bytes)?.body).not.to.deep.equal(request.body),
  ),
  cutPoints: law(
    cutPoints(100),
    /^cut at (no place|\d+(, \d+)*)$/,
    (points) => points.length,
    (points) => {
      expect(points).to.deep.equal([...new Set(points)].sort((a, b) => a - b));
      const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
      const parts = cutAt(bytes, points);
      expect(parts.every(({ length }) => length > 0)).to.equal(true);
      expect(concat(...parts)).to.deep.equal(bytes);
    },
  ),
  frameSizes: law(
    frameSizes(3000),
    /^frames of \d+(, \d+)* bytes$/,
    (sizes) => sizes.length,
    (sizes) => {
      expect(sizes.every((size) => size >= 1 && size <= 1024)).to.equal(true);
      expect(sizes.reduce((sum, size) => sum + size, 0)).to.equal(3000);
    },
  ),
  bitFlips: law(
    bitFlips(utf8('a proof')),
    /^bit \d+ of 56 flipped \[[0-9a-f]{14}\]$/,
    ({ bit }) => bit,
    ({ bytes, bit }) => expect(flipBit(bytes, bit)).to.deep.equal(utf8('a proof')),
  ),
  pairingIds: law(
    pairingIds(),
    /^[0-9A-F-]{36}$/,
    (id) => id.length,
    (id) =>
      expect(text(id)).to.match(/^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/),
  ),
  setupCodes: law(
    setupCodes(),
    /^\d{3}-\d{2}-\d{3}$/,
    ({ digits }) => Number(digits),
    (code) => expect(isTrivialCode(code)).to.equal(false),
  ),
};

describe('arbitraries: what every generator keeps to', () => {
  for (const [name, { arbitrary, valid, size, text: form }] of Object.entries(laws)) {
    const check = valid as (value: unknown) => void;
    const measure = size as (value: unknown) => number;

    it(`${name}: the same seed gives the same values`, () => {
      const draw = (seed: number): string[] =>
        fc.sample(arbitrary, { seed, numRuns: 20 }).map((value) => fc.stringify(value));
      expect(draw(SEED)).to.deep.equal(draw(SEED));
      expect(draw(SEED)).not.to.deep.equal(draw(SEED + 1));
    });

    it(`${name}: every value is what it promises, and prints itself in words`, () => {
      const seen = fc.sample(arbitrary, { seed: SEED, numRuns: RUNS });
      for (const value of seen) {
        check(value);
        expect(fc.stringify(value)).to.match(form);
      }
    });

    it(`${name}: what it shrinks to is still valid, and no bigger`, () => {
      // Everything fails: shrinking goes as far as it can.
      let smaller = 0;
      for (let seed = 1; seed <= 10; seed++) {
        const sizes: number[] = [];
        const details = fc.check(
          fc.property(arbitrary, (value) => {
            check(value);
            sizes.push(measure(value));
            return false;
          }),
          { seed, numRuns: 1 },
        );
        expect(String(details.errorInstance), 'a shrunk value is valid').to.match(/returning false/);
        expect(measure(details.counterexample![0]), `seed ${seed}`).to.be.at.most(sizes[0]!);
        if (details.numShrinks > 0) smaller++;
      }
      expect(smaller, 'values that shrank').to.be.greaterThan(0);
    });
  }

  it('the words of items are those of reports', () => {
    expect(tlvWords(items)).to.equal('State=3 PublicKey[384]=a5a5a5a5…a5a5 Proof[64]=5a5a5a5a…5a5a');
  });
});
