/**
 * How messages lie in frames and frames in TCP segments: lengths at the limits, splits, dribbles, pipelined requests.
 * The watch looks at the length of every frame of the run.
 * Frames that are empty, too long or cut off are told from those that are only on their way.
 */
import {
  type Characteristic,
  type CheckContext,
  type Session,
  chapter,
  hap,
  outcomes,
  readAccessories,
} from '../../harness/suite.js';

const request = { method: 'GET', path: '/accessories' };
const ok = { allow: [outcomes.answered(200)] };
/** A close is a poor answer to what TCP does to frames, and silence none. */
const answeredOrClosed = {
  allow: [outcomes.answered(200)],
  tolerate: [outcomes.closed()],
  forbid: [outcomes.silence()],
};
const neverStalls = { allow: [outcomes.answered(200)], forbid: [outcomes.silence()] };
/** More often than most accessories have sockets. */
const REPETITIONS = 10;

/** Bytes cut into pieces of the sizes given; what is left over is one more. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) parts.push(bytes.subarray(at, (at += size)));
  if (at < bytes.length) parts.push(bytes.subarray(at));
  return parts;
}

/** 2 to 8 sizes of 2 to 1024 that add up to `total`. */
function randomSizes(random: hap.Random, total: number): number[] {
  for (;;) {
    const count = 2 + random.below(7);
    const ends = Array.from({ length: count - 1 }, () => 1 + random.below(total - 1)).sort((a, b) => a - b);
    const sizes = [...ends, total].map((end, i) => end - (ends[i - 1] ?? 0));
    if (sizes.every((size) => size >= 2 && size <= 1024)) return sizes;
  }
}

/** Three reads that can be told apart by their answers. */
async function threeReads(
  session: Session,
  { notApplicable }: CheckContext,
): Promise<{ readonly item: Characteristic; readonly bytes: Uint8Array }[]> {
  const readable = (await session.characteristics()).filter(({ perms }) => perms.includes('pr'));
  if (readable.length < 3) notApplicable('fewer than three characteristics can be read');
  return readable.slice(0, 3).map((item) => {
    const path = `/characteristics?id=${item.aid}.${item.iid}`;
    return { item, bytes: session.link.encode({ method: 'GET', path }) };
  });
}

/** Three answers in the order of the requests; a close in their place is tolerated. */
async function expectInOrder(
  session: Session,
  items: readonly Characteristic[],
  { controller, expect, violate }: CheckContext,
  alternatives = answeredOrClosed,
): Promise<void> {
  for (const [index, { iid }] of items.entries()) {
    const outcome = await session.link.outcome(controller.stepWait);
    expect(outcome, `answer ${index + 1} of ${items.length}`).to.be.allowed(alternatives);
    if (outcome.kind !== 'reply') return;
    const body = hap.text(outcome.http.body);
    if (!new RegExp(`"iid"\\s*:\\s*${iid}\\b`).test(body))
      violate(`answer ${index + 1} should be about iid ${iid} and is ${body.slice(0, 120)}`);
  }
}

export default chapter('session.traffic', ({ check, watch }) => [
  watch(
    'SESS-05/frame-lengths',
    'Accessory frames hold at most 1024 plaintext bytes',
    'frame',
    ({ length }, { expect, warn }) => {
      if (length === 0) return warn('a frame without a byte');
      expect(length, 'plaintext bytes of a frame').to.be.at.most(1024);
    },
  ),
  check(
    'SESS-05/long-reply',
    'Accessory frames hold at most 1024 plaintext bytes',
    { from: 'paired', costs: { verifies: 1 }, ...ok },
    async ({ controller, expect, observe }) => {
      // Not by the steps of a flow: PV-M3-01 reads a long reply too, and what is wrong with it is judged here.
      const verify = await controller.pairVerify();
      await verify.sendM3({}, undefined, controller.stepWait);
      const session = verify.secure();
      const outcome = await session.get('/accessories');
      expect(outcome).to.be.allowed();
      if (outcome.kind !== 'reply') return;
      expect(readAccessories(outcome.http.body), 'the attribute database').to.be.an('array');
      observe('frame lengths', session.link.lastFrames.map(({ length }) => length).join(', '));
    },
  ),

  check(
    'SESS-06/1024-and-537',
    'Requests split over several frames are reassembled',
    { from: 'paired', costs: { verifies: 1 }, ...ok },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const frames = session.sealParts(cut(session.padded(1561), [1024]));
      const line = 'GET /accessories of 1561 bytes in frames of 1024 and 537';
      expect(await session.sendSegments(frames, 20, line)).to.be.allowed();
    },
  ),
  check(
    'SESS-06/random-splits',
    'Requests split over several frames are reassembled',
    { from: 'paired', costs: { verifies: 1 }, ...ok },
    async ({ controller, expect, random }) => {
      const session = await controller.session();
      for (let round = 0; round < 3; round++) {
        const sizes = randomSizes(random, 1561);
        const frames = session.sealParts(cut(session.padded(1561), sizes));
        const line = `GET /accessories of 1561 bytes in frames of ${sizes.join(', ')}`;
        expect(await session.sendSegments(frames, 20, line), sizes.join(', ')).to.be.allowed();
      }
    },
  ),
  check(
    'SESS-06/header-and-body',
    'Requests split over several frames are reassembled',
    { from: 'paired', costs: { verifies: 1 }, allow: [outcomes.success('pairings-list')] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      await session.demands('list');
      const { paths, mediaType } = controller.profile;
      const body = hap.encodeTlv(hap.listPairings());
      const headers: [string, string][] = [['Content-Type', mediaType]];
      const bytes = session.link.encode({ method: 'POST', path: paths.pairings, headers, body });
      const frames = session.sealParts(cut(bytes, [bytes.length - body.length]));
      expect(await session.sendSegments(frames, 20, 'List, header and body in two frames')).to.be.allowed();
    },
  ),

  ...[1024, 2048].map((size) =>
    check(
      `SESS-07/${size}-bytes`,
      'Request of exactly 1024 and exactly 2048 plaintext bytes',
      { from: 'paired', costs: { verifies: 1 }, ...neverStalls },
      async ({ controller, expect }) => {
        const session = await controller.session();
        const frames = session.sealParts([session.padded(size)]);
        const line = `GET /accessories of ${size} bytes, full frames only`;
        expect(await session.sendRaw(hap.concat(...frames), line)).to.be.allowed();
      },
    ),
  ),

  check(
    'SESS-08/last-frame-of-one-byte',
    'Frames of one payload byte',
    { from: 'paired', costs: { verifies: 1 }, ...neverStalls },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const frames = session.sealParts([session.padded(1025)]);
      const line = 'GET /accessories of 1025 bytes in frames of 1024 and 1';
      expect(await session.sendRaw(hap.concat(...frames), line)).to.be.allowed();
    },
  ),
  check(
    'SESS-08/every-frame-of-one-byte',
    'Frames of one payload byte',
    {
      from: 'paired',
      costs: { verifies: 1 },
      allow: [outcomes.answered(200)],
      tolerate: [outcomes.silence()],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const bytes = session.link.encode(request);
      const frames = session.sealParts([...bytes].map((byte) => Uint8Array.of(byte)));
      const line = `GET /accessories in ${frames.length} frames of one byte`;
      expect(await session.sendRaw(hap.concat(...frames), line)).to.be.allowed();
    },
  ),

  check(
    'SESS-09',
    'Zero-length frame',
    {
      from: 'paired',
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.answered(200), outcomes.closed()],
      tolerate: [outcomes.silence(), outcomes.anyRefusal()],
      forbid: [outcomes.plaintextReply()],
    },
    async ({ controller, expect, observe }) => {
      const session = await controller.session();
      const { keys, encoder } = session.link.session;
      const empty = hap.sealFrame(keys.toAccessory, encoder.counter++, new Uint8Array(0));
      const line = 'a frame without a byte, GET /accessories behind it';
      const outcome = await session.sendRaw(hap.concat(empty, ...session.seal(request)), line);
      expect(outcome).to.be.allowed();
      observe('an empty frame is', outcome.kind === 'reply' ? 'counted and ignored' : outcome.kind);
    },
  ),

  ...[1025, 1561, 4096, 65_535].map((size) =>
    check(
      `SESS-10/${size}-bytes`,
      'Frames above 1024 plaintext bytes',
      {
        from: 'paired',
        risky: true,
        costs: { verifies: 1 },
        allow: [outcomes.closed(), outcomes.anyReply()],
        // To wait for more is as poor here as behind an empty frame (SESS-09).
        tolerate: [outcomes.silence()],
        forbid: [outcomes.plaintextReply()],
      },
      async ({ controller, expect, observe }) => {
        const session = await controller.session();
        const { keys } = session.link.session;
        const frame = hap.sealFrame(keys.toAccessory, 0n, session.padded(size));
        const outcome = await session.sendRaw(frame, `GET /accessories in one frame of ${size} bytes`);
        expect(outcome).to.be.allowed();
        observe(`a frame of ${size} bytes`, outcome.kind === 'reply' ? 'taken' : outcome.kind);
      },
    ),
  ),
  ...[1025, 0xffff].map((size) =>
    check(
      `SESS-10/length-${size}-alone`,
      'Frames above 1024 plaintext bytes',
      {
        from: 'paired',
        risky: true,
        costs: { verifies: 4 },
        allow: [outcomes.closed(), outcomes.silence()],
        forbid: [outcomes.anyReply()],
      },
      async ({ controller, expect, random, observe, violate }) => {
        const session = await controller.session();
        const bystander = await controller.guestSession(session);
        const start = hap.concat(hap.lengthBytes(size), random.bytes(64));
        const outcome = await session.sendRaw(
          start,
          `the first 66 bytes of a frame of ${size}, then silence`,
          controller.quietWait,
        );
        expect(outcome).to.be.allowed();
        observe('it', outcome.kind === 'silence' ? 'waits' : 'closes');
        expect(await bystander.request(request, controller.stepWait), 'another session').to.be.allowed(
          neverStalls,
        );
        if ((await controller.trySession()) === undefined) violate('a new session did not come about');
      },
    ),
  ),

  ...(['fin', 'reset'] as const).map((end) =>
    check(
      `SESS-14/half-a-frame-then-${end}`,
      'Truncated frame then FIN or silence',
      { from: 'paired', risky: true, costs: { verifies: REPETITIONS + 1 }, ...ok },
      async ({ controller, bench, expect }) => {
        for (let round = 1; round <= REPETITIONS; round++) {
          const session = await controller.trySession();
          expect(session, `session ${round}`).to.not.equal(undefined);
          const { link } = session!;
          const frame = hap.concat(...session!.seal(request));
          link.send(frame.subarray(0, frame.length >> 1));
          if (end === 'reset') {
            // An RST right behind the bytes may overtake them, or be read as the end of the stream.
            await bench.clock.sleep(50);
            link.reset();
          } else {
            link.finish();
            expect(await link.closes(bench.options.patience.close), 'the connection is over').to.equal(true);
          }
        }
        const last = await controller.trySession();
        expect(last, 'a session after that').to.not.equal(undefined);
        expect(await last!.get('/accessories')).to.be.allowed();
      },
    ),
  ),
  check(
    'SESS-14/half-a-frame-then-silence',
    'Truncated frame then FIN or silence',
    { from: 'paired', risky: true, costs: { verifies: 9, seconds: 60 }, ...ok },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const bystander = await controller.guestSession(session);
      const frame = hap.concat(...session.seal(request));
      session.link.said('the first half of a frame, then silence for a minute');
      session.link.send(frame.subarray(0, frame.length >> 1));
      for (let seconds = 0; seconds < 60; seconds += 10) {
        expect(await bystander.get('/accessories'), `another session after ${seconds} s`).to.be.allowed();
        const fresh = await controller.trySession();
        expect(fresh, `a new session after ${seconds} s`).to.not.equal(undefined);
        await fresh!.link.close();
        await bench.clock.sleep(10_000);
      }
    },
  ),
  check(
    'SESS-14/half-a-frame-then-the-rest',
    'Truncated frame then FIN or silence',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...answeredOrClosed },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const frame = hap.concat(...session.seal(request));
      const halves = cut(frame, [frame.length >> 1]);
      expect(await session.sendSegments(halves, 3_000, 'a frame with 3 s in the middle')).to.be.allowed();
    },
  ),

  ...Object.entries({
    // The length bytes are apart in it too, and closing there is no more than a warning.
    'every-byte': { sizes: Array.from({ length: 200 }, () => 1), gap: 1, alternatives: answeredOrClosed },
    'length-bytes-apart': { sizes: [1], gap: 60, alternatives: answeredOrClosed },
    'length-body-tag': {
      sizes: [2, -16],
      gap: 20,
      alternatives: { ...ok, forbid: [outcomes.closed(), outcomes.silence()] },
    },
    'tag-in-two': {
      sizes: [-8],
      gap: 20,
      alternatives: { ...ok, forbid: [outcomes.closed(), outcomes.silence()] },
    },
  }).map(([name, { sizes, gap, alternatives }]) =>
    check(
      `SESS-15/${name}`,
      'Byte-dribbled frames',
      { from: 'paired', risky: true, costs: { verifies: 1 }, ...alternatives },
      async ({ controller, expect }) => {
        const session = await controller.session();
        const frame = hap.concat(...session.seal(request));
        // A negative size counts from the end.
        let at = 0;
        const real = sizes.map((size) => {
          const next = size < 0 ? frame.length + size - at : Math.min(size, frame.length - at);
          at += next;
          return next;
        });
        const segments = cut(frame, real).filter(({ length }) => length > 0);
        const line = `GET /accessories, its frame in ${segments.length} segments ${gap} ms apart`;
        expect(await session.sendSegments(segments, gap, line)).to.be.allowed();
      },
    ),
  ),

  check(
    'SESS-16/three-frames-in-one-segment',
    'Several frames in one TCP segment',
    { from: 'paired', costs: { verifies: 1 }, ...neverStalls },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const frames = session.sealParts(cut(session.link.encode(request), [20, 20]));
      expect(
        await session.sendRaw(hap.concat(...frames), 'GET /accessories in three frames, one segment'),
      ).to.be.allowed();
    },
  ),
  check(
    'SESS-16/random-segments',
    'Several frames in one TCP segment',
    { from: 'paired', costs: { verifies: 1 }, ...neverStalls },
    async ({ controller, expect, random }) => {
      const session = await controller.session();
      for (let round = 0; round < 4; round++) {
        const bytes = session.padded(600 + random.below(900));
        const frames = session.sealParts(cut(bytes, randomSizes(random, bytes.length)));
        // Segments that end behind a frame or inside one, but not between its length bytes (SESS-15).
        const starts = frames.map((_, i) => hap.concat(...frames.slice(0, i)).length);
        let sizes: number[];
        let ends: number[];
        do {
          sizes = randomSizes(random, hap.concat(...frames).length);
          ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
        } while (ends.some((end) => starts.includes(end - 1)));
        const segments = cut(hap.concat(...frames), sizes);
        const line = `GET /accessories of ${bytes.length} bytes in segments of ${segments.map(({ length }) => length).join(', ')}`;
        expect(await session.sendSegments(segments, 5, line), `round ${round + 1}`).to.be.allowed();
      }
    },
  ),

  ...(['three-frames-in-one-segment', 'one-frame'] as const).map((how) =>
    check(
      `SESS-17/${how}`,
      'Pipelined requests',
      { from: 'paired', risky: true, costs: { verifies: 1 }, ...answeredOrClosed },
      async (context) => {
        const session = await context.controller.session();
        const reads = await threeReads(session, context);
        const parts = reads.map(({ bytes }) => bytes);
        const frames = session.sealParts(how === 'one-frame' ? [hap.concat(...parts)] : parts);
        session.link.said(`three requests, ${how.replaceAll('-', ' ')}`);
        session.link.send(hap.concat(...frames));
        await expectInOrder(
          session,
          reads.map(({ item }) => item),
          context,
        );
      },
    ),
  ),
]);
