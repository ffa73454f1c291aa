/**
 * Properties of refusals: messages that are broken at random are refused, and grant nothing.
 * Each draws a defect of its kind: bits of a proof or a signature, TLV8 that cannot be read, requests that are none.
 * Behind it an honest controller is served as before.
 */
import {
  type Link,
  type PairVerify,
  type Trial,
  arbitraries,
  chapter,
  edits,
  fc,
  hap,
  outcomes,
  property,
} from '../../harness/suite.js';

const verifyM2 = outcomes.success('verify-m2');
const verifyM4 = outcomes.success('verify-m4');
const setupM2 = outcomes.success('setup-m2');

/** What Pair Verify M1 says here; nobody needs the secret to it. */
const curveKey = hap.utf8('thirty-two bytes of a public key');
const m1 = hap.verifyM1(curveKey);
/** EncryptedData of M3 of a controller with a UUID: its sub-TLV and a tag. */
const SEALED = 2 + 36 + 2 + 64 + 16;
/** A message of the size and items of Pair Verify M3. */
const m3Shape = hap.sealedMessage(3, new Uint8Array(SEALED));
/** Where the sealed bytes stand in it. */
const SEALED_AT = hap.encodeTlv(m3Shape).length - SEALED;
/** Bytes of the sub-TLV of M5 with its tag. */
const SEALED_M5 = 2 + 36 + 2 + 32 + 2 + 64 + 16;
/** Frames with a request in them are longer. */
const FRAME = 60;

/** What may be wrong with a frame that is one. */
const wrongFrames = [
  'of the counter before',
  'of the first counter',
  'of a later counter',
  'of another high word',
  'without AAD',
  'under the key of the other direction',
  'under the key of another session',
  'that is none: plaintext',
] as const;

/** Ways to say no to what is no message, and the reading of a parser that drops a broken end (TLV-09). */
const refusal = {
  allow: [
    outcomes.tlvError(2),
    outcomes.tlvError(4),
    outcomes.badRequest(),
    outcomes.clientError(),
    outcomes.anyRefusal(),
  ],
  forbid: [outcomes.silence()],
};

/** As a parser reads it that shortens a last item to what is there (TLV-09 judges that). */
function shortened(bytes: hap.Bytes): hap.Bytes {
  const { fragments, defect } = hap.decodeTlv(bytes);
  const last = fragments.at(-1);
  const end = last === undefined ? 0 : last.offset + 2 + last.value.length;
  const rest = bytes.subarray(end);
  if (defect === undefined || rest.length < 2) return bytes.subarray(0, end);
  return hap.concat(
    bytes.subarray(0, end),
    rest.subarray(0, 1),
    Uint8Array.of(rest.length - 2),
    rest.subarray(2),
  );
}

/** True when an item of these bytes says this State; how wide one may be is for TLV-11 to ask. */
function says(bytes: hap.Bytes, state: number): boolean {
  return hap
    .decodeTlv(bytes)
    .fragments.some(({ type, value }) => type === hap.TlvType.State && value[0] === state);
}

function holds(bytes: hap.Bytes, type: number, value: hap.Bytes): boolean {
  const message = hap.decodeTlv(bytes);
  const first = message.joined(type);
  return (
    message.all(type).some((one) => hap.equal(one, value)) || (first !== undefined && hap.equal(first, value))
  );
}

/** Another connection in the middle of Pair Verify, which nothing on the first one may disturb. */
async function bystander({ controller }: Trial): Promise<PairVerify> {
  return controller.pairVerify();
}

/** It goes on, and comes to a session that works. */
async function undisturbed({ bench, expect }: Trial, verify: PairVerify): Promise<void> {
  expect(await verify.sendM3(), 'M3 on another connection').to.be.allowed({ allow: [verifyM4] });
  const session = verify.secure();
  expect(await session.get(bench.profile.resource), 'a request on another connection').to.be.allowed({
    allow: [outcomes.answered(200)],
  });
}

/** A message whose success would be wrong unless `mayPass`. */
function judged(
  { expect }: Trial,
  outcome: outcomes.Outcome,
  right: typeof verifyM2,
  mayPass: boolean,
): void {
  expect(outcome).to.be.allowed(
    mayPass
      ? { ...refusal, allow: [right, ...refusal.allow] }
      : { ...refusal, forbid: [right, ...refusal.forbid] },
  );
}

/** The connection after a refusal, or a new one when it has ended. */
async function stillUsable({ controller }: Trial, link: Link): Promise<Link> {
  return (await link.stillOpen(20)) ? link : controller.open();
}

/** M1 is answered as ever. */
async function alive(trial: Trial, link: Link): Promise<void> {
  const verify = await trial.controller.verify({ link: await stillUsable(trial, link) });
  trial.expect(await verify.sendM1(), 'Pair Verify M1 afterwards').to.be.allowed({ allow: [verifyM2] });
}

function sealedOf(items: readonly hap.TlvItem[]): hap.Bytes {
  return items.find(({ type }) => type === hap.TlvType.EncryptedData)!.value;
}

export default chapter('properties.refusals', () => [
  property(
    'PS-M3-07/any-bit',
    'A prefix or an extension of the right proof is refused',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      each: { m2: 1, m4: 1, attempts: 1 },
      runs: 4,
      ...outcomes.reject('setup-m4'),
    },
    () => arbitraries.bitOf(512),
    async ({ controller, expect, step }, bit) => {
      const setup = await controller.pairSetup();
      step(setup.link.number, `bit ${bit} of the Proof flipped`);
      expect(await setup.sendM3(edits.replace('Proof', (proof) => hap.flipBit(proof, bit)))).to.be.allowed();
    },
    (bit) => `bit ${bit} of the Proof flipped`,
  ),

  property(
    'PS-M5-06/any-bit',
    'Any flipped bit in EncryptedData is detected',
    {
      from: 'unpaired',
      needs: ['PS-M5-01'],
      each: { m2: 1, m4: 1, m6: 1, verifies: 1 },
      runs: 4,
      ...outcomes.reject('setup-m6'),
    },
    () => arbitraries.bitOf(8 * SEALED_M5),
    async ({ controller, expect, step }, bit) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      step(setup.link.number, `bit ${bit} of EncryptedData flipped`);
      const edit = edits.replace('EncryptedData', (sealed) => hap.flipBit(sealed, bit));
      expect(await setup.sendM5({}, edit)).to.be.allowed();
      expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
    },
    (bit) => `bit ${bit} of EncryptedData flipped`,
  ),

  property(
    'PV-M3-04/any-bit',
    'EncryptedData that does not open',
    { from: 'paired', each: { verifies: 1 }, ...outcomes.reject('verify-m4') },
    () => arbitraries.bitOf(8 * SEALED),
    async ({ controller, expect, step }, bit) => {
      const verify = await controller.pairVerify();
      step(verify.link.number, `bit ${bit} of EncryptedData flipped`);
      const edit = edits.replace('EncryptedData', (sealed) => hap.flipBit(sealed, bit));
      expect(await verify.sendM3({}, edit)).to.be.allowed();
    },
    (bit) => `bit ${bit} of EncryptedData flipped`,
  ),

  property(
    'SESS-11/any-bit',
    'Wrong tag',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      runs: 6,
      each: { verifies: 2 },
      forbid: [outcomes.anyReply()],
    },
    () => arbitraries.bitOf(8 * FRAME),
    async (trial, bit) => {
      const { controller, bench, expect } = trial;
      const session = await controller.session();
      const other = await bystander(trial);
      const frame = hap.concat(...session.seal({ method: 'GET', path: bench.profile.resource }));
      const line = `GET ${bench.profile.resource} in a frame with bit ${bit} flipped`;
      // A longer length lets the accessory wait for the rest; a shorter one or another byte shows at once.
      const waits = bit < 16;
      const { close } = bench.options.patience;
      expect(
        await session.sendRaw(hap.flipBit(frame, bit), line, waits ? controller.quietWait : close),
      ).to.be.allowed({
        allow: waits ? [outcomes.closed(), outcomes.silence()] : [outcomes.closed()],
        forbid: [outcomes.anyReply()],
      });
      await undisturbed(trial, other);
    },
    (bit) => `bit ${bit} of the frame flipped`,
  ),

  property(
    'SESS-12/any-wrong-frame',
    'Replayed frame',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      each: { verifies: 2 },
      runs: 10,
      forbid: [outcomes.anyReply()],
    },
    () =>
      fc.record({
        wrong: fc.constantFrom(...wrongFrames),
        requests: fc.integer({ min: 1, max: 3 }),
        by: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 70_000 })),
      }),
    async (trial, { wrong, requests, by }) => {
      const { controller, bench, expect } = trial;
      const other = await controller.session();
      const session = await controller.session();
      // An accessory may keep one session of a controller, the newest (PV-STATE-05).
      const both = await other.link.stillOpen(20);
      const request = { method: 'GET', path: bench.profile.resource };
      for (let i = 0; i < requests; i++)
        expect(await session.request(request), 'a request before').to.be.allowed({
          allow: [outcomes.answered(200)],
        });
      const { keys, encoder } = session.link.session;
      const plain = session.link.encode(request);
      const counter = {
        'of the counter before': encoder.counter - 1n,
        'of the first counter': 0n,
        'of a later counter': encoder.counter + BigInt(by),
        'of another high word': encoder.counter + 2n ** 32n,
      }[wrong as string];
      const key = {
        'under the key of the other direction': keys.toController,
        'under the key of another session': other.link.session.keys.toAccessory,
      }[wrong as string];
      const aad = wrong === 'without AAD' ? { aad: new Uint8Array(0) } : {};
      const sealed = hap.sealFrame(key ?? keys.toAccessory, counter ?? encoder.counter, plain, aad);
      const bare = wrong === 'that is none: plaintext';
      const line = `GET ${request.path} in a frame ${wrong}`;
      const { close } = bench.options.patience;
      const wait = bare ? controller.quietWait : close;
      expect(await session.sendRaw(bare ? plain : sealed, line, wait)).to.be.allowed({
        // What looks like the length of a long frame may be waited for.
        allow: bare ? [outcomes.closed(), outcomes.silence()] : [outcomes.closed()],
        forbid: [outcomes.anyReply()],
      });
      if (both)
        expect(await other.request(request), 'another session').to.be.allowed({
          allow: [outcomes.answered(200)],
        });
    },
  ),

  property(
    'TLV-14/any-malformed-verify-m1',
    'Arbitrary bytes never crash, hang or advance the accessory',
    { from: 'paired', keyless: true, risky: true, each: { verifies: 2 } },
    () => arbitraries.malformedTlv(m1),
    async (trial, { bytes, words }) => {
      const { controller, step } = trial;
      const link = await controller.open();
      step(link.number, words);
      const outcome = await controller.postToVerify(link, bytes);
      const read = shortened(bytes);
      judged(trial, outcome, verifyM2, says(read, 1) && holds(read, hap.TlvType.PublicKey, curveKey));
      await alive(trial, link);
    },
  ),
  property(
    'TLV-14/any-edited-verify-m1',
    'Arbitrary bytes never crash, hang or advance the accessory',
    { from: 'paired', keyless: true, risky: true, each: { verifies: 2 } },
    () => arbitraries.editedTlv(m1),
    async (trial, { bytes, words }) => {
      const { controller, step } = trial;
      const link = await controller.open();
      step(link.number, words);
      const outcome = await controller.postToVerify(link, bytes);
      // Any 32 bytes are a key.
      const keyed = hap
        .decodeTlv(bytes)
        .all(hap.TlvType.PublicKey)
        .some((key) => key.length === 32);
      judged(trial, outcome, verifyM2, says(bytes, 1) && keyed);
      await alive(trial, link);
    },
  ),
  property(
    'TLV-14/any-malformed-verify-m3',
    'Arbitrary bytes never crash, hang or advance the accessory',
    { from: 'paired', risky: true, each: { verifies: 2 } },
    () => arbitraries.malformedTlv(m3Shape),
    async (trial, { bytes, words }) => {
      const { controller, step } = trial;
      const verify = await controller.pairVerify();
      const sealed = sealedOf(verify.machine.m3());
      // Whatever is broken keeps its place: the bytes that are sealed go where they would stand.
      const body = bytes.map((byte, i) => sealed[i - SEALED_AT] ?? byte);
      step(verify.link.number, words);
      const outcome = await verify.sendM3Bytes(body);
      const read = shortened(body);
      judged(trial, outcome, verifyM4, says(read, 3) && holds(read, hap.TlvType.EncryptedData, sealed));
      if (!verifyM4.matches(outcome)) await alive(trial, verify.link);
    },
  ),
  property(
    'TLV-14/any-edited-verify-m3',
    'Arbitrary bytes never crash, hang or advance the accessory',
    { from: 'paired', risky: true, each: { verifies: 2 } },
    () => arbitraries.editedTlv(m3Shape),
    async (trial, { bytes }) => {
      const { controller, step } = trial;
      const verify = await controller.pairVerify();
      const sealed = sealedOf(verify.machine.m3());
      const items = hap.decodeTlv(bytes).items.map(({ type, value }) => ({
        type,
        value: type === hap.TlvType.EncryptedData && value.length === SEALED ? sealed : value,
      }));
      const body = hap.encodeTlv(items);
      step(verify.link.number, hap.decodeTlv(body).toString());
      const outcome = await verify.sendM3Bytes(body);
      judged(trial, outcome, verifyM4, says(body, 3) && holds(body, hap.TlvType.EncryptedData, sealed));
      if (!verifyM4.matches(outcome)) await alive(trial, verify.link);
    },
  ),
  property(
    'TLV-14/any-edited-setup-m1',
    'Arbitrary bytes never crash, hang or advance the accessory',
    { from: 'unpaired', risky: true, each: { m2: 2 }, runs: 5 },
    () => arbitraries.editedTlv(hap.setupM1()),
    async (trial, { bytes, words }) => {
      const { controller, expect, step } = trial;
      const setup = await controller.setup();
      step(setup.link.number, words);
      const outcome = await setup.sendM1Bytes(bytes);
      judged(trial, outcome, setupM2, says(bytes, 1));
      if (setupM2.matches(outcome)) return;
      const link = await stillUsable(trial, setup.link);
      const again = await controller.setup({ link });
      expect(await again.sendM1(), 'M1 afterwards').to.be.allowed({ allow: [setupM2] });
    },
  ),

  property(
    'TLV-14/any-edited-list',
    'Arbitrary bytes never crash, hang or advance the accessory',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'PAIRINGS-01'],
      risky: true,
      // So many that what is wrong shows every time: one edit in three is of Method or State.
      runs: 20,
      each: { verifies: 1 },
    },
    () => arbitraries.editedTlv(hap.listPairings()),
    async ({ controller, bench, expect, step }, { bytes, words }) => {
      const session = await controller.session();
      step(session.link.number, words);
      const outcome = await session.sendPairingsBytes(bytes, controller.judgedWait);
      // Whatever it still means: it is answered, and adds or removes nobody.
      expect(outcome).to.be.allowed({
        allow: [
          outcomes.success('pairings-list'),
          outcomes.success('pairings-remove'),
          outcomes.anyRefusal(),
        ],
      });
      if (!(await session.link.stillOpen(20))) return;
      const list = await session.list();
      expect(list.entries.length, 'pairings afterwards').to.equal(1);
      expect(list.entries[0]!.id, 'who is paired').to.deep.equal(bench.admin!.id);
    },
  ),

  property(
    'HTTP-09/any-malformed',
    'Length anomalies',
    { from: 'paired', needs: ['PV-M3-01'], risky: true, each: { verifies: 2 } },
    () =>
      arbitraries.malformedRequests({
        startLine: 'POST /pair-verify HTTP/1.1',
        headers: [
          ['Host', 'accessory.local'],
          ['Content-Type', 'application/pairing+tlv8'],
        ],
        body: hap.encodeTlv(m1),
      }),
    async (trial, { bytes, words }) => {
      const { controller, bench, expect, step } = trial;
      const other = await bystander(trial);
      const link = await controller.open();
      step(link.number, words);
      link.send(link.dress(bytes));
      bench.spent.verifies++;
      const outcome = await link.outcome(controller.quietWait);
      // Lengths that contradict each other are how one request is smuggled inside another (RFC 9112 §11.2).
      const contradiction = words.startsWith('Content-Length');
      expect(outcome).to.be.allowed({
        allow: [
          outcomes.tlvError(2),
          outcomes.otherError(2),
          outcomes.clientError(),
          outcomes.anyRefusal(),
          outcomes.closed(),
          outcomes.silence(),
        ],
        ...(contradiction ? { forbid: [verifyM2] } : { tolerate: [verifyM2] }),
      });
      await undisturbed(trial, other);
    },
  ),
]);
