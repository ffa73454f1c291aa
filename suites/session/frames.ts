/**
 * The keys and frames of a session (seed 002 §4): directions, counters, additional data, tags.
 * Each check sends a frame that is wrong in one thing: the accessory closes, and nothing in it is carried out.
 * Plaintext inside a session, and frames outside of one, are refused as well.
 */
import { type Controller, type Session, chapter, hap, outcomes } from '../../harness/suite.js';

const request = { method: 'GET', path: '/accessories' };
const ok = { allow: [outcomes.answered(200)] };
/** What must not be served: the connection ends, or at least nothing comes back. */
const unserved = { allow: [outcomes.closed(), outcomes.silence()], forbid: [outcomes.anyReply()] };
const mustClose = { allow: [outcomes.closed()], forbid: [outcomes.anyReply()] };
/** Frames each way that show a counter of one byte, and of nine bits. */
const FRAMES = 300n;
/** Frames each way that show a counter of two bytes. */
const MANY_FRAMES = 65_540n;
/** Requests that travel together where thousands are needed. */
const BATCH = 64;

/** Messages to /pairings, of which Add and Remove change something. */
const pairingMessages = ['add', 'remove', 'list'] as const;
type PairingMessage = (typeof pairingMessages)[number];

/** A message to /pairings about a controller, as the plaintext of frames. */
function pairingRequest(session: Session, what: PairingMessage, user: hap.Identity): Uint8Array {
  const { mediaType, paths } = session.controller.profile;
  const items = {
    add: hap.addPairing(user.id, user.ltpk, hap.Permission.User),
    remove: hap.removePairing(user.id),
    list: hap.listPairings(),
  }[what];
  if (what === 'add') session.controller.bench.remember(user, 'add-pairing');
  const headers: [string, string][] = [['Content-Type', mediaType]];
  return session.link.encode({ method: 'POST', path: paths.pairings, headers, body: hap.encodeTlv(items) });
}

/** A message to /pairings that must not be carried out: two sessions, and a controller that is there only to be removed. */
async function prepared(
  controller: Controller,
  what: PairingMessage,
): Promise<{
  readonly bystander: Session;
  readonly session: Session;
  readonly user: hap.Identity;
  readonly plaintext: Uint8Array;
  /** Whether the controller is stored, as another session sees it; it is removed then. */
  isStored(): Promise<boolean>;
}> {
  const session = await controller.session();
  await session.demands('list', what);
  const bystander = await controller.guestSession(session, hap.Permission.Admin);
  const user = what === 'remove' ? controller.newGuest() : controller.newIdentity();
  if (what === 'remove') await bystander.add(user, hap.Permission.User);
  return {
    bystander,
    session,
    user,
    plaintext: pairingRequest(session, what, user),
    async isStored() {
      const { entries } = await bystander.list();
      const stored = entries.some(({ id }) => hap.text(id) === hap.text(user.id));
      if (stored) await bystander.sendRemove(user.id);
      return stored;
    },
  };
}

export default chapter('session.frames', ({ check }) => [
  check(
    'SESS-01',
    'Session keys and their direction',
    { from: 'paired', costs: { verifies: 2 }, ...unserved },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.get('/accessories')).to.be.allowed(ok);
      const swapped = await controller.session();
      const { link } = swapped;
      const frames = new hap.FrameEncoder(link.session.keys.toController).encode(link.encode(request));
      const outcome = await swapped.sendRaw(
        hap.concat(...frames),
        'GET /accessories sealed with the key of the other direction',
      );
      expect(outcome).to.be.allowed();
    },
  ),

  check(
    'SESS-02',
    'Nonces: one counter per direction, from 0, plus 1 per frame',
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
          await session.sendRaw(hap.concat(...parts), line),
          `request up to counter ${last}, reply from ${reply}`,
        ).to.be.allowed();
      }
      observe('frames', `${encoder.counter} sent, ${decoder.counter} received in ${requests} requests`);
    },
  ),

  check(
    'SESS-03',
    'Counters go on past 65 536 frames',
    { from: 'paired', costs: { verifies: 1, seconds: 300 }, allow: [outcomes.anyReply()] },
    async ({ controller, expect, observe }) => {
      let session = await controller.session();
      const small = session.link.encode({ method: 'GET', path: '/characteristics?id=1.1' });
      let batch = BATCH;
      // Without pipelining (SESS-17) each request waits for its reply.
      if ((await session.link.pipeline(small, 3, controller.stepWait)).kind !== 'reply') {
        session = await controller.session();
        batch = 1;
      }
      const { encoder, decoder } = session.link.session;
      let requests = 0;
      for (; encoder.counter < MANY_FRAMES || decoder.counter < MANY_FRAMES; requests += batch) {
        const at = `requests up to counter ${encoder.counter + BigInt(batch)}, replies from ${decoder.counter}`;
        expect(await session.link.pipeline(small, batch, controller.stepWait), at).to.be.allowed();
      }
      observe('frames', `${encoder.counter} sent, ${decoder.counter} received in ${requests} requests`);
    },
  ),

  check(
    'SESS-04/frames-of-the-accessory',
    'AAD is the two length bytes',
    { from: 'paired', costs: { verifies: 1 }, ...ok },
    async ({ controller, expect }) => {
      const session = await controller.session();
      // A frame sealed with another AAD does not open, and is no answer then.
      expect(await session.get('/accessories')).to.be.allowed();
      expect(session.link.lastFrames.length, 'frames of the reply').to.be.at.least(1);
    },
  ),

  check(
    'SESS-04/empty-aad',
    'AAD is the two length bytes',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const { keys } = session.link.session;
      const frame = hap.sealFrame(keys.toAccessory, 0n, session.link.encode(request), {
        aad: new Uint8Array(0),
      });
      expect(
        await session.sendRaw(frame, 'GET /accessories in a frame sealed with an empty AAD'),
      ).to.be.allowed();
    },
  ),

  check(
    'SESS-04/length-changed',
    'AAD is the two length bytes',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const { keys } = session.link.session;
      // A blank line behind the request: whoever skips the tag finds a whole request in the shortened frame.
      const plaintext = hap.concat(session.link.encode(request), hap.utf8('\r\n'));
      const frame = hap.sealFrame(keys.toAccessory, 0n, plaintext, { declaredLength: plaintext.length - 2 });
      expect(
        await session.sendRaw(frame, 'GET /accessories in a frame whose length was lowered by 2'),
      ).to.be.allowed();
    },
  ),

  ...(['ciphertext', 'tag', 'length'] as const).map((part) =>
    check(
      `SESS-11/${part}-bit`,
      'Wrong tag',
      { from: 'paired', risky: true, costs: { verifies: 3 }, ...mustClose },
      async ({ controller, expect, random }) => {
        const session = await controller.session();
        const bystander = await controller.guestSession(session);
        // An accessory may keep one session of a controller, the newest (PV-STATE-05).
        const both = await bystander.link.stillOpen(50);
        const frame = hap.concat(...session.seal(request));
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
    'Replayed frame',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const frames = hap.concat(...session.seal(request));
      expect(await session.sendRaw(frames, 'GET /accessories'), 'first time').to.be.allowed(ok);
      expect(await session.sendRaw(frames, 'the same bytes again'), 'replay').to.be.allowed();
    },
  ),

  ...pairingMessages.map((what) =>
    check(
      `SESS-11/${what}-with-a-bad-tag`,
      'Wrong tag',
      { from: 'paired', risky: true, grid: [what, 'bad-tag'], costs: { verifies: 3 }, ...mustClose },
      async ({ controller, expect, random }) => {
        const { session, plaintext, isStored } = await prepared(controller, what);
        const frame = hap.concat(...session.sealParts([plaintext]));
        frame[frame.length - 1 - random.below(16)]! ^= 1;
        expect(await session.sendRaw(frame, `${what} in a frame with a wrong tag`)).to.be.allowed();
        expect(await isStored(), 'the controller is stored').to.equal(what === 'remove');
      },
    ),
  ),

  ...pairingMessages.map((what) =>
    check(
      `SESS-12/${what}-replayed`,
      'Replayed frame',
      { from: 'paired', risky: true, grid: [what, 'replayed'], costs: { verifies: 3 }, ...mustClose },
      async ({ controller, expect }) => {
        if (what !== 'list') controller.needsRemoval();
        const { bystander, session, user, plaintext, isStored } = await prepared(controller, what);
        const frame = hap.concat(...session.sealParts([plaintext]));
        expect(await session.sendRaw(frame, what), 'first time').to.be.allowed(ok);
        // Undone by another session, so that the replay would have an effect.
        if (what === 'add') await bystander.sendRemove(user.id);
        if (what === 'remove') await bystander.add(user, hap.Permission.User);
        expect(await session.sendRaw(frame, `the same ${what} again`), 'replay').to.be.allowed();
        expect(await isStored(), 'the controller is stored').to.equal(what === 'remove');
      },
    ),
  ),

  ...pairingMessages.map((what) =>
    check(
      `SESS-13/${what}-with-a-wrong-nonce`,
      'Skipped or reordered counters',
      { from: 'paired', risky: true, grid: [what, 'wrong-nonce'], costs: { verifies: 3 }, ...mustClose },
      async ({ controller, expect }) => {
        const { session, plaintext, isStored } = await prepared(controller, what);
        const { encoder } = session.link.session;
        encoder.counter++;
        const frame = hap.concat(...session.sealParts([plaintext]));
        const line = `${what} in a frame sealed with counter 1 instead of 0`;
        expect(await session.sendRaw(frame, line)).to.be.allowed();
        expect(await isStored(), 'the controller is stored').to.equal(what === 'remove');
      },
    ),
  ),

  ...Object.entries({
    skipped: (counter: bigint) => counter + 1n,
    previous: (counter: bigint) => counter - 1n,
    'bit-32-set': (counter: bigint) => counter | (1n << 32n),
  }).map(([name, wrong]) =>
    check(
      `SESS-13/${name}`,
      'Skipped or reordered counters',
      { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
      async ({ controller, expect }) => {
        const session = await controller.session();
        expect(await session.get('/accessories'), 'before').to.be.allowed(ok);
        const { encoder } = session.link.session;
        const due = encoder.counter;
        encoder.counter = wrong(due);
        const line = `GET /accessories sealed with counter ${encoder.counter} instead of ${due}`;
        expect(await session.sendRaw(hap.concat(...session.seal(request)), line)).to.be.allowed();
      },
    ),
  ),
  check(
    'SESS-13/swapped',
    'Skipped or reordered counters',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...mustClose },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const frames = [...session.seal(request), ...session.seal(request)];
      const line = 'two requests, the frame with counter 1 before that with counter 0';
      expect(await session.sendRaw(hap.concat(...frames.reverse()), line)).to.be.allowed();
    },
  ),

  ...(['live-session', 'ended-session', 'after-verify-m2', 'random'] as const).map((whose) =>
    check(
      `SESS-19/${whose}`,
      'Encrypted frame on an unverified connection',
      {
        from: 'paired',
        risky: true,
        costs: { verifies: whose === 'random' ? 0 : whose === 'after-verify-m2' ? 2 : 1 },
        allow: [outcomes.badRequest(), outcomes.closed(), outcomes.silence()],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.served()],
      },
      async ({ controller, expect, random }) => {
        let frame = hap.concat(hap.lengthBytes(64), random.bytes(64 + 16));
        if (whose !== 'random') {
          const session = await controller.session();
          expect(await session.get('/accessories'), 'in its own session').to.be.allowed(ok);
          frame = hap.concat(...session.seal(request));
          if (whose === 'ended-session') await session.link.close();
        }
        const link =
          whose === 'after-verify-m2' ? (await controller.pairVerify()).link : await controller.open();
        link.said(whose === 'random' ? 'random bytes in the form of a frame' : 'a frame of another session');
        link.send(frame);
        expect(await link.outcome(controller.quietWait), 'on a plain connection').to.be.allowed();
      },
    ),
  ),

  ...(['accessories', 'pairings'] as const).flatMap((what) =>
    ['at-once', 'after-traffic'].map((moment) =>
      check(
        `SESS-18/${what}-${moment}`,
        'Plaintext on a verified connection',
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
          const line = `plaintext request for ${what}`;
          expect(await session.sendRaw(plain, line, controller.quietWait)).to.be.allowed();
        },
      ),
    ),
  ),
]);
