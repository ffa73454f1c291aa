import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { loadConfig } from '../../harness/cli/config.js';
import { readPairings } from '../../harness/controller/index.js';
import {
  type Bytes,
  FrameDecoder,
  InputError,
  airplayFeatures,
  airplayFeaturesInWords,
  categoryInWords,
  concat,
  declaresTransient,
  decodeTlv,
  encodeTlv,
  featuresInWords,
  frameOpener,
  parseSetupCode,
  parseSetupPayload,
  readMfiCertificate,
  readTxt,
  sealFrame,
  splitEntries,
  statusInWords,
  tlv,
  txtNumber,
  utf8,
} from '../../harness/protocol/index.js';
import { parseJson } from '../../harness/runner/expectations.js';
import { HttpReader } from '../../harness/wire/index.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
const RUNS = slow ? 100_000 : 1_000;
const seed = 20;

/** Bytes of no form, or a valid sample with some bytes changed, dropped, put in or cut off. */
function spoiled(...samples: readonly Bytes[]): fc.Arbitrary<Bytes> {
  const edit = fc.record({
    at: fc.nat(),
    drop: fc.nat(3),
    put: fc.uint8Array({ maxLength: 3 }),
  });
  const edited = fc
    .tuple(fc.constantFrom(...samples), fc.array(edit, { maxLength: 6 }), fc.option(fc.nat()))
    .map(([sample, edits, end]) => {
      let bytes = sample;
      for (const { at, drop, put } of edits) {
        const from = at % (bytes.length + 1);
        bytes = concat(bytes.subarray(0, from), put, bytes.subarray(from + drop));
      }
      return end === null ? bytes : bytes.subarray(0, end % (bytes.length + 1));
    });
  return fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
    { weight: 3, arbitrary: edited },
  );
}

/** The same for text. */
function spoiledText(...samples: readonly string[]): fc.Arbitrary<string> {
  const decoder = new TextDecoder();
  return fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    spoiled(...samples.map(utf8)).map((bytes) => decoder.decode(bytes)),
  );
}

/** Holds for every value; what is thrown is printed with the value that did it. */
function forAll<T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, holds), { numRuns: RUNS, seed });
}

/** Takes no error but one that names a mistake in the input. */
function refusesAtMost(parse: () => void): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).to.match(/\S/);
  }
}

describe(`fuzzing: parsers of what others send (${RUNS} inputs each)`, function () {
  this.timeout(slow ? 900_000 : 30_000);

  it('TLV8 never throws, keeps every byte, and reads back what it writes', () => {
    const message = encodeTlv([
      tlv(6, 2),
      tlv(2, new Uint8Array(16).fill(1)),
      tlv(3, new Uint8Array(384).fill(2)),
      tlv(255, new Uint8Array(0)),
      tlv(1, 'id'),
    ]);
    forAll(spoiled(message, new Uint8Array(0)), (bytes) => {
      const read = decodeTlv(bytes);
      const held = read.items.reduce((sum, { value }) => sum + value.length, 0);
      expect(held).to.be.at.most(bytes.length);
      if (read.defect === undefined) {
        const again = decodeTlv(encodeTlv(read.items));
        expect(again.items.map(({ type }) => type)).to.include.members(read.items.map(({ type }) => type));
      } else expect(read.defect).to.match(/\S/);
      const entries = splitEntries(read);
      expect(entries.flat().length).to.be.at.most(read.items.length);
      readPairings(read);
    });
  });

  for (const role of ['request', 'response'] as const)
    it(`HTTP (${role}) never throws, and comes to the same however it is cut`, () => {
      const samples =
        role === 'request'
          ? [
              'POST /pair-setup HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
              'GET / RTSP/1.0\r\nCSeq: 1\r\n\r\n',
            ]
          : [
              'HTTP/1.1 200 OK\r\nContent-Type: application/pairing+tlv8\r\nContent-Length: 3\r\n\r\nabc',
              'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
              'EVENT/1.0 200 OK\nContent-Length: 2\n\n{}HTTP/1.1 100 Continue\r\n\r\n',
            ];
      const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 8 });
      forAll(fc.tuple(spoiled(...samples.map(utf8)), cuts), ([bytes, sizes]) => {
        const whole = readAll(role, [bytes]);
        const parts: Bytes[] = [];
        let at = 0;
        for (const size of sizes) parts.push(bytes.subarray(at, (at += size)));
        expect(readAll(role, [...parts, bytes.subarray(at)])).to.deep.equal(whole);
      });
    });

  it('frames never throw, and come to the same however they are cut', () => {
    const key = new Uint8Array(32).fill(7);
    const frames = concat(
      sealFrame(key, 0n, utf8('first')),
      sealFrame(key, 1n, new Uint8Array(0)),
      sealFrame(key, 2n, utf8('third')),
    );
    const lengths = (parts: readonly Bytes[]): unknown => {
      const decoder = new FrameDecoder(frameOpener(key));
      const got = parts.flatMap((part) => decoder.feed(part));
      return [
        got.map(({ length, plaintext }) => [length, plaintext && [...plaintext]]),
        decoder.pending.length,
      ];
    };
    forAll(fc.tuple(spoiled(frames), fc.nat()), ([bytes, cut]) => {
      const at = cut % (bytes.length + 1);
      expect(lengths([bytes.subarray(0, at), bytes.subarray(at)])).to.deep.equal(lengths([bytes]));
    });
  });

  it('TXT records never throw, nor does what puts them into words', () => {
    const samples = [
      'id=AA:BB:CC:DD:EE:FF',
      'sf=1',
      'ff=2',
      'ci=5',
      'features=0x4A7FDFD5,0x3C157FDE',
      'flags=0x4',
      '=',
      'pw',
    ];
    forAll(fc.array(spoiled(...samples.map(utf8)), { maxLength: 20 }), (entries) => {
      const txt = readTxt(entries);
      expect(txt.size).to.be.at.most(entries.length);
      declaresTransient(txt);
      for (const value of txt.values()) {
        const features = airplayFeatures(value);
        if (features !== undefined) airplayFeaturesInWords(features);
        const number = txtNumber(value);
        if (number === undefined) continue;
        expect(statusInWords(number).concat(featuresInWords(number), categoryInWords(number))).to.satisfy(
          (words: readonly string[]) => words.every((word) => word.length < 60),
        );
      }
    });
  });

  it('setup codes and payloads are read, or refused without being repeated', () => {
    forAll(spoiledText('031-45-154', '03145154', 'X-HM://0023ISYWY9OXB'), (input) => {
      for (const parse of [parseSetupCode, parseSetupPayload])
        try {
          parse(input);
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          // What comes behind the scheme may be the code.
          const secret = input.trim().replace(/^X-HM:\/\//i, '');
          if (secret.length > 6) expect(error.message).to.not.include(secret);
        }
    });
  });

  it('certificates of M4 are read, or called what they are', () => {
    const element = utf8('0\x0b0\x09\x06\x03U\x04\x06\x13\x02DE');
    forAll(
      spoiled(element, Uint8Array.of(0x30, 0x82, 0x01, 0x00), Uint8Array.of(0x30, 0x80, 0, 0)),
      (bytes) => {
        expect(readMfiCertificate(bytes)).to.be.a('string');
      },
    );
  });

  it('JSON for people is read, or refused with its place', () => {
    forAll(
      spoiledText('{"target":"a:1","attempts":30,"skip":["PS-*"],"strict":true}', '[1e3, null, "\\u00e9"]'),
      (text) => {
        refusesAtMost(() => parseJson(text, 'file.json'));
      },
    );
  });

  it('configuration files are read, or refused with key and value', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hapspec-fuzz-'));
    const path = join(folder, 'hapspec.config.json');
    const values = fc.dictionary(
      fc.oneof(
        fc.constantFrom('target', 'code', 'attempts', 'timeout', 'skip', 'strict', 'level', 'seed', 'pace'),
        fc.string({ maxLength: 8 }),
      ),
      fc.jsonValue({ maxDepth: 2 }),
      { maxKeys: 4 },
    );
    try {
      await fc.assert(
        fc.asyncProperty(values, async (content) => {
          writeFileSync(path, JSON.stringify(content));
          try {
            await loadConfig({ path, cwd: folder });
          } catch (error) {
            if (!(error instanceof InputError)) throw error;
            expect(error.message).to.include('hapspec.config.json');
          }
        }),
        { numRuns: RUNS / 10, seed },
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('megabytes of the worst form take no more than one look at each byte', () => {
    // A reader that looks at everything again for each piece would need hours for one of these.
    const million = 1_000_000;
    const empty = new Uint8Array(2 * million);
    expect(decodeTlv(empty).items).to.have.length(million);
    expect(decodeTlv(new Uint8Array(16 * million).fill(255)).items.length).to.be.at.least(1);
    splitEntries(decodeTlv(new Uint8Array(2 * million).map((_, at) => (at % 2 === 0 ? 255 : 0))));
    const chunks = utf8(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(200_000)}0\r\n\r\n`,
    );
    const pieces = Array.from({ length: Math.ceil(chunks.length / 100) }, (_, i) =>
      chunks.subarray(100 * i, 100 * (i + 1)),
    );
    readAll('response', pieces);
    readAll(
      'response',
      Array.from({ length: 30_000 }, () => utf8('X: y\r\n')),
    );
    const decoder = new FrameDecoder(() => undefined);
    for (let i = 0; i < 70_000; i++) decoder.feed(Uint8Array.of(255));
    readTxt(Array.from({ length: 100_000 }, (_, i) => utf8(`k${i}=v`)));
    refusesAtMost(() => parseSetupCode('1'.repeat(million)));
    refusesAtMost(() => parseJson('['.repeat(million), 'deep.json'));
  });
});

/** What a reader makes of pieces, in words, until it wants no more. */
function readAll(role: 'request' | 'response', pieces: readonly Bytes[]): readonly string[] {
  const reader = new HttpReader(role);
  const seen: string[] = [];
  let last = '';
  for (const piece of pieces) {
    reader.feed(piece);
    for (;;) {
      const progress = reader.next();
      last = progress.kind;
      if (progress.kind === 'invalid') return [...seen, 'invalid'];
      if (progress.kind === 'partial') break;
      const { startLine, body } = progress.message;
      seen.push(`${startLine} ${body.length}`);
    }
  }
  return [...seen, last];
}
