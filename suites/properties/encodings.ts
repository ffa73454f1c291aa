/**
 * Properties of encodings: the same message in other fragments, spellings, segments or frames means the same.
 * Each draws how it is written, sends it, and asks for the usual answer.
 * What fails is made smaller and can be replayed.
 */
import { arbitraries, chapter, fc, hap, outcomes, property } from '../../harness/suite.js';

const verifyM2 = outcomes.success('verify-m2');
const setupM2 = outcomes.success('setup-m2');
const m4 = outcomes.success('setup-m4');

/** What Pair Verify M1 says here; whoever only asks for M2 needs no secret to it. */
const curveKey = hap.utf8('thirty-two bytes of a public key');
const m1 = hap.verifyM1(curveKey);
const m1Body = hap.encodeTlv(m1);
/** A message of the size and items of M3; its values are filled in when they are known. */
const m3Shape = hap.setupM3(new Uint8Array(384), new Uint8Array(64));
const request = {
  startLine: 'POST /pair-verify HTTP/1.1',
  headers: [
    ['Host', 'accessory.local'],
    ['Content-Type', 'application/pairing+tlv8'],
  ] as const,
  body: m1Body,
};
/** Bytes of a request with its headers on a plain connection, at the least. */
const LEAST = 120;
/** Plaintext bytes of requests: two frames, full frames, and one byte more. */
const LONG = [1561, 1024, 2048, 1025] as const;
/** Milliseconds between segments. */
const GAP = 1;

/** Cuts but for those between the two length bytes of a frame: closing there is a lesser mistake (SESS-15). */
function sparingLengths(cuts: readonly number[], frames: readonly hap.Bytes[]): readonly number[] {
  const starts = frames.map((_, i) => frames.slice(0, i).reduce((sum, { length }) => sum + length, 0));
  return cuts.filter((cut) => !starts.includes(cut - 1));
}

/** `shape` with the values of `items`, by their types. */
function filled(shape: hap.Bytes, items: readonly hap.TlvItem[]): hap.Bytes {
  const values = new Map(items.map(({ type, value }) => [type, value]));
  return hap.encodeTlv(
    hap.decodeTlv(shape).items.map(({ type, value }) => ({ type, value: values.get(type) ?? value })),
  );
}

/** A frame of one byte is a question of its own (SESS-08, which warns): to be refused for it weighs no more here. */
function lenient(answer: outcomes.Matcher, sizes: readonly number[]): outcomes.Alternatives {
  return { allow: [answer], ...(sizes.includes(1) && { tolerate: [outcomes.anyRefusal()] }) };
}

export default chapter('properties.encodings', () => [
  property(
    'TLV-02/any-verify-m1',
    'Unknown TLV types are ignored',
    { from: 'paired', keyless: true, each: { verifies: 1 }, allow: [verifyM2], forbid: [outcomes.silence()] },
    () => arbitraries.equivalentEncodings(m1),
    async ({ controller, bench, expect, step }, { bytes, words }) => {
      const link = await controller.open();
      step(link.number, words);
      expect(await link.postBytes(bench.profile.paths.verify, bytes, controller.judgedWait)).to.be.allowed();
      bench.spent.verifies++;
    },
  ),

  property(
    'TLV-02/any-setup-m1',
    'Unknown TLV types are ignored',
    { from: 'unpaired', each: { m2: 1 }, allow: [setupM2], forbid: [outcomes.silence()] },
    () => arbitraries.equivalentEncodings(hap.setupM1()),
    async ({ controller, expect, step }, { bytes, words }) => {
      const setup = await controller.setup();
      step(setup.link.number, words);
      expect(await setup.sendM1Bytes(bytes)).to.be.allowed();
    },
  ),

  property(
    'TLV-04/any-m3',
    'Values longer than 255 bytes are reassembled from adjacent fragments',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      each: { m2: 1, m4: 1 },
      runs: 5,
      allow: [m4],
      forbid: [outcomes.silence()],
    },
    () => arbitraries.equivalentEncodings(m3Shape, { unknown: 2 }),
    async ({ controller, expect, step }, { bytes, words }) => {
      const setup = await controller.pairSetup();
      step(setup.link.number, words);
      expect(await setup.sendM3Bytes(filled(bytes, setup.machine.m3()))).to.be.allowed();
    },
  ),

  property(
    'HTTP-02/any-spelling',
    'Header names are case-insensitive, Host and Content-Type variations',
    {
      from: 'paired',
      keyless: true,
      each: { verifies: 1 },
      allow: [verifyM2],
      forbid: [outcomes.anyRefusal()],
    },
    () => arbitraries.requestSpellings(request),
    async ({ controller, bench, expect, step }, { bytes, words }) => {
      const link = await controller.open();
      step(link.number, words);
      link.send(link.dress(bytes));
      bench.spent.verifies++;
      expect(await link.outcome(controller.judgedWait)).to.be.allowed();
    },
  ),

  property(
    'HTTP-07/any-segmentation',
    'Request bytes may arrive in any segmentation',
    { from: 'paired', keyless: true, each: { verifies: 1 }, allow: [verifyM2] },
    () => arbitraries.cutPoints(LEAST),
    async ({ controller, bench, expect, step }, points) => {
      const link = await controller.open();
      const { paths, mediaType } = bench.profile;
      const headers = [['Content-Type', mediaType]] as const;
      const bytes = link.encode({ method: 'POST', path: paths.verify, headers, body: m1Body });
      step(link.number, `Pair Verify M1 in ${points.length + 1} segments, cut at ${points.join(', ')}`);
      for (const part of arbitraries.cutAt(bytes, points)) {
        link.send(part);
        await bench.clock.sleep(GAP);
      }
      bench.spent.verifies++;
      expect(await link.outcome(controller.judgedWait)).to.be.allowed();
    },
  ),

  property(
    'SESS-06/any-split',
    'Requests split over several frames are reassembled',
    { from: 'paired', needs: ['PV-M3-01'], each: { verifies: 1 }, allow: [outcomes.answered(200)] },
    () =>
      fc.constantFrom(...LONG).chain((size) =>
        fc.record({
          size: fc.constant(size),
          sizes: arbitraries.frameSizes(size),
          cuts: arbitraries.cutPoints(size),
        }),
      ),
    async ({ controller, expect, bench }, { size, sizes, cuts }) => {
      const session = await controller.session();
      const plain = session.padded(size);
      const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
      const frames = session.sealParts(arbitraries.cutAt(plain, ends.slice(0, -1)));
      const segments = arbitraries.cutAt(hap.concat(...frames), sparingLengths(cuts, frames));
      const line = `GET ${bench.profile.resource} in frames of ${sizes.join(', ')} bytes, in ${segments.length} segments`;
      const outcome = await session.sendSegments(segments, GAP, line);
      expect(outcome).to.be.allowed(lenient(outcomes.answered(200), sizes));
      if (!outcomes.answered(200).matches(outcome)) return;
      const longest = Math.max(...session.link.lastFrames.map(({ length }) => length));
      expect(longest, 'bytes of the longest frame of the reply (SESS-05)').to.be.at.most(1024);
    },
  ),

  property(
    'SESS-06/any-split-list',
    'Requests split over several frames are reassembled',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'PAIRINGS-01'],
      each: { verifies: 1 },
      allow: [outcomes.success('pairings-list')],
    },
    () => arbitraries.cutPoints(LEAST, 3),
    async ({ controller, expect, bench }, cuts) => {
      const session = await controller.session();
      await session.demands('list');
      const { paths, mediaType } = bench.profile;
      const headers = [['Content-Type', mediaType]] as const;
      const plain = session.link.encode({
        method: 'POST',
        path: paths.pairings,
        headers,
        body: hap.encodeTlv(hap.listPairings()),
      });
      // The places are counted from the end, where the body is.
      const places = cuts.map((cut) => plain.length - cut).filter((place) => place > 0);
      const parts = arbitraries.cutAt(
        plain,
        places.toSorted((a, b) => a - b),
      );
      const outcome = await session.sendRaw(
        hap.concat(...session.sealParts(parts)),
        `List in ${parts.length} frames`,
      );
      expect(outcome).to.be.allowed(
        lenient(
          outcomes.success('pairings-list'),
          parts.map(({ length }) => length),
        ),
      );
    },
  ),
]);
