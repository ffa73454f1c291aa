import {
  type Alternatives,
  type Bytes,
  type Matcher,
  type TlvItem,
  answered,
  anyRefusal,
  chapter,
  concat,
  cutAt,
  cutPoints,
  decodeTlv,
  encodeTlv,
  equivalentEncodings,
  fc,
  frameSizes,
  listPairings,
  property,
  requestSpellings,
  setupM1,
  setupM3,
  silence,
  success,
  utf8,
  verifyM1,
} from '../../harness/suite.js';

const verifyM2 = success('verify-m2');
const setupM2 = success('setup-m2');
const m4 = success('setup-m4');

/** What Pair Verify M1 says here; whoever only asks for M2 needs no secret to it. */
const curveKey = utf8('thirty-two bytes of a public key');
const m1 = verifyM1(curveKey);
const m1Body = encodeTlv(m1);
/** A message of the size and items of M3; its values are filled in when they are known. */
const m3Shape = setupM3(new Uint8Array(384), new Uint8Array(64));
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
function sparingLengths(cuts: readonly number[], frames: readonly Bytes[]): readonly number[] {
  const starts = frames.map((_, i) => frames.slice(0, i).reduce((sum, { length }) => sum + length, 0));
  return cuts.filter((cut) => !starts.includes(cut - 1));
}

/** `shape` with the values of `items`, by their types. */
function filled(shape: Bytes, items: readonly TlvItem[]): Bytes {
  const values = new Map(items.map(({ type, value }) => [type, value]));
  return encodeTlv(
    decodeTlv(shape).items.map(({ type, value }) => ({ type, value: values.get(type) ?? value })),
  );
}

/** A frame of one byte is a question of its own (SESS-08, which warns): to be refused for it weighs no more here. */
function lenient(answer: Matcher, sizes: readonly number[]): Alternatives {
  return { allow: [answer], ...(sizes.includes(1) && { tolerate: [anyRefusal()] }) };
}

export default chapter('properties.encodings', () => [
  property(
    'TLV-02/any-verify-m1',
    { from: 'paired', keyless: true, each: { verifies: 1 }, allow: [verifyM2], forbid: [silence()] },
    () => equivalentEncodings(m1),
    async ({ controller, bench, expect, step }, { bytes, words }) => {
      const link = await controller.open();
      step(link.number, words);
      expect(await link.postBytes(bench.profile.paths.verify, bytes, controller.judgedWait)).to.be.allowed();
      bench.spent.verifies++;
    },
  ),

  property(
    'TLV-02/any-setup-m1',
    { from: 'unpaired', each: { m2: 1 }, allow: [setupM2], forbid: [silence()] },
    () => equivalentEncodings(setupM1()),
    async ({ controller, expect, step }, { bytes, words }) => {
      const setup = await controller.setup();
      step(setup.link.number, words);
      expect(await setup.sendM1Bytes(bytes)).to.be.allowed();
    },
  ),

  property(
    'TLV-04/any-m3',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      each: { m2: 1, m4: 1 },
      runs: 5,
      allow: [m4],
      forbid: [silence()],
    },
    () => equivalentEncodings(m3Shape, { unknown: 2 }),
    async ({ controller, expect, step }, { bytes, words }) => {
      const setup = await controller.pairSetup();
      step(setup.link.number, words);
      expect(await setup.sendM3Bytes(filled(bytes, setup.machine.m3()))).to.be.allowed();
    },
  ),

  property(
    'HTTP-02/any-spelling',
    { from: 'paired', keyless: true, each: { verifies: 1 }, allow: [verifyM2], forbid: [anyRefusal()] },
    () => requestSpellings(request),
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
    { from: 'paired', keyless: true, each: { verifies: 1 }, allow: [verifyM2] },
    () => cutPoints(LEAST),
    async ({ controller, bench, expect, step }, points) => {
      const link = await controller.open();
      const { paths, mediaType } = bench.profile;
      const headers = [['Content-Type', mediaType]] as const;
      const bytes = link.encode({ method: 'POST', path: paths.verify, headers, body: m1Body });
      step(link.number, `Pair Verify M1 in ${points.length + 1} segments, cut at ${points.join(', ')}`);
      for (const part of cutAt(bytes, points)) {
        link.send(part);
        await bench.clock.sleep(GAP);
      }
      bench.spent.verifies++;
      expect(await link.outcome(controller.judgedWait)).to.be.allowed();
    },
  ),

  property(
    'SESS-06/any-split',
    { from: 'paired', needs: ['PV-M3-01'], each: { verifies: 1 }, allow: [answered(200)] },
    () =>
      fc
        .constantFrom(...LONG)
        .chain((size) =>
          fc.record({ size: fc.constant(size), sizes: frameSizes(size), cuts: cutPoints(size) }),
        ),
    async ({ controller, expect, bench }, { size, sizes, cuts }) => {
      const session = await controller.session();
      const plain = session.padded(size);
      const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
      const frames = session.sealParts(cutAt(plain, ends.slice(0, -1)));
      const segments = cutAt(concat(...frames), sparingLengths(cuts, frames));
      const line = `GET ${bench.profile.resource} in frames of ${sizes.join(', ')} bytes, in ${segments.length} segments`;
      const outcome = await session.sendSegments(segments, GAP, line);
      expect(outcome).to.be.allowed(lenient(answered(200), sizes));
      if (!answered(200).matches(outcome)) return;
      const longest = Math.max(...session.link.lastFrames.map(({ length }) => length));
      expect(longest, 'bytes of the longest frame of the reply (SESS-05)').to.be.at.most(1024);
    },
  ),

  property(
    'SESS-06/any-split-list',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'PAIRINGS-01'],
      each: { verifies: 1 },
      allow: [success('pairings-list')],
    },
    () => cutPoints(LEAST, 3),
    async ({ controller, expect, bench }, cuts) => {
      const session = await controller.session();
      await session.demands('list');
      const { paths, mediaType } = bench.profile;
      const headers = [['Content-Type', mediaType]] as const;
      const plain = session.link.encode({
        method: 'POST',
        path: paths.pairings,
        headers,
        body: encodeTlv(listPairings()),
      });
      // The places are counted from the end, where the body is.
      const places = cuts.map((cut) => plain.length - cut).filter((place) => place > 0);
      const parts = cutAt(
        plain,
        places.toSorted((a, b) => a - b),
      );
      const outcome = await session.sendRaw(
        concat(...session.sealParts(parts)),
        `List in ${parts.length} frames`,
      );
      expect(outcome).to.be.allowed(
        lenient(
          success('pairings-list'),
          parts.map(({ length }) => length),
        ),
      );
    },
  ),
]);
