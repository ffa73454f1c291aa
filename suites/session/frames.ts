import {
  FrameEncoder,
  answered,
  anyReply,
  chapter,
  closed,
  concat,
  sealFrame,
  silence,
  utf8,
} from '../../harness/suite.js';

const request = { method: 'GET', path: '/accessories' };
const ok = { allow: [answered(200)] };
/** What must not be served: the connection ends, or at least nothing comes back. */
const unserved = { allow: [closed(), silence()], forbid: [anyReply()] };
const mustClose = { allow: [closed()], forbid: [anyReply()] };
/** Frames each way that show a counter of one byte, and of nine bits. */
const FRAMES = 300n;

export default chapter('session.frames', ({ check }) => [
  check(
    'SESS-01',
    { from: 'paired', costs: { verifies: 2 }, ...unserved },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.get('/accessories')).to.be.allowed(ok);
      const swapped = await controller.session();
      const { link } = swapped;
      const frames = new FrameEncoder(link.session.keys.toController).encode(link.encode(request));
      const outcome = await swapped.sendRaw(
        concat(...frames),
        'GET /accessories sealed with the key of the other direction',
      );
      expect(outcome).to.be.allowed();
    },
  ),

  check(
    'SESS-02',
    { from: 'paired', costs: { verifies: 1 }, ...ok },
    async ({ controller, expect, observe }) => {
      const session = await controller.session();
      const { encoder, decoder } = session.link.session;
      let requests = 0;
      for (; encoder.counter < FRAMES || decoder.counter < FRAMES; requests++) {
        const bytes = session.link.encode(request);
        // One request in one, two or three frames; each part takes the next counter.
        const size = Math.ceil(bytes.length / ((requests % 3) + 1));
        const parts: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size)
          parts.push(...encoder.encode(bytes.subarray(at, at + size)));
        const last = encoder.counter - 1n;
        const reply = decoder.counter;
        const line = `GET /accessories in ${parts.length} frames, the last with counter ${last}`;
        expect(
          await session.sendRaw(concat(...parts), line),
          `request up to counter ${last}, reply from ${reply}`,
        ).to.be.allowed();
      }
      observe('frames', `${encoder.counter} sent, ${decoder.counter} received in ${requests} requests`);
    },
  ),

  check(
    'SESS-04/empty-aad',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const { keys } = session.link.session;
      const frame = sealFrame(keys.toAccessory, 0n, session.link.encode(request), { aad: new Uint8Array(0) });
      expect(
        await session.sendRaw(frame, 'GET /accessories in a frame sealed with an empty AAD'),
      ).to.be.allowed();
    },
  ),

  check(
    'SESS-04/length-changed',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const { keys } = session.link.session;
      // A blank line behind the request: whoever skips the tag finds a whole request in the shortened frame.
      const plaintext = concat(session.link.encode(request), utf8('\r\n'));
      const frame = sealFrame(keys.toAccessory, 0n, plaintext, { declaredLength: plaintext.length - 2 });
      expect(
        await session.sendRaw(frame, 'GET /accessories in a frame whose length was lowered by 2'),
      ).to.be.allowed();
    },
  ),

  ...(['ciphertext', 'tag', 'length'] as const).map((part) =>
    check(
      `SESS-11/${part}-bit`,
      { from: 'paired', risky: true, costs: { verifies: 2 }, ...mustClose },
      async ({ controller, expect, random }) => {
        const bystander = await controller.session();
        const session = await controller.session();
        // An accessory may keep one session of a controller, the newest (PV-STATE-05).
        const both = await bystander.link.stillOpen(50);
        const frame = concat(...session.seal(request));
        const length = frame.length - 18;
        // A length bit that is set, so that the shorter frame is complete and the tag is looked at.
        const lengthBit = [...Array(8).keys()].filter((bit) => (length >> bit) & 1)[0]!;
        const at = {
          ciphertext: 2 + random.below(length - 4),
          tag: 2 + length + random.below(16),
          length: 0,
        }[part];
        frame[at]! ^= 1 << (part === 'length' ? lengthBit : random.below(8));
        expect(
          await session.sendRaw(frame, `GET /accessories in a frame with one ${part} bit flipped`),
        ).to.be.allowed();
        if (both) expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
  ),

  check(
    'SESS-12',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const frames = concat(...session.seal(request));
      expect(await session.sendRaw(frames, 'GET /accessories'), 'first time').to.be.allowed(ok);
      expect(await session.sendRaw(frames, 'the same bytes again'), 'replay').to.be.allowed();
    },
  ),

  ...(['accessories', 'pairings'] as const).flatMap((what) =>
    ['at-once', 'after-traffic'].map((moment) =>
      check(
        `SESS-18/${what}-${moment}`,
        { from: 'paired', risky: true, costs: { verifies: 1 }, ...unserved },
        async ({ controller, expect }) => {
          const session = await controller.session();
          if (moment === 'after-traffic') expect(await session.get('/accessories')).to.be.allowed(ok);
          const body = Uint8Array.of(0x06, 0x01, 0x01, 0x00, 0x01, 0x05);
          const type: [string, string] = ['Content-Type', controller.profile.mediaType];
          const plain =
            what === 'accessories'
              ? session.link.encode(request)
              : session.link.encode({
                  method: 'POST',
                  path: controller.profile.paths.pairings,
                  headers: [type],
                  body,
                });
          expect(await session.sendRaw(plain, `plaintext request for ${what}`)).to.be.allowed();
        },
      ),
    ),
  ),
]);
