/**
 * Transient Pair Setup: it ends with M4, and frames follow under keys from K; nothing is stored.
 * The checks come to the first answer in a frame, and look that no pairing is left, no rights are given, and M5 does not
 * go on in plaintext. Where it was never declared and does not come about, nothing is asked.
 */
import { type CheckContext, type Session, chapter, hap, outcomes } from '../../harness/suite.js';

const m2 = outcomes.success('setup-m2');
const transient = Uint8Array.of(hap.PairingFlag.Transient);

/** An M1 with Flags may be granted, served as if they were not there, or refused. */
const eitherWay = {
  allow: [m2, outcomes.tlvError(2), outcomes.badRequest()],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.silence(), outcomes.success('setup-m4')],
};

/** What plaintext on a connection that has gone over to frames may meet. */
const notHeard = {
  allow: [outcomes.anyRefusal(), outcomes.closed(), outcomes.silence()],
  forbid: [outcomes.success('setup-m6'), outcomes.served()],
};

/** The value 0x10 in one to four bytes, little-endian. */
const widths: readonly hap.Bytes[] = ['10', '1000', '100000', '10000000'].map(hap.fromHex);

/** A little-endian integer of any length. */
function littleEndian(bytes: hap.Bytes): bigint {
  return hap.toInteger(bytes.toReversed());
}

/** M2 may say which flags it grants, and never other ones than were asked for. */
function judgeEcho(
  { controller, violate, observe }: CheckContext,
  outcome: outcomes.Outcome,
  asked: hap.Bytes,
): void {
  const tlv = outcome.kind === 'reply' ? outcome.tlv : undefined;
  if (!tlv?.has(hap.TlvType.PublicKey)) return observe('Flags', 'M1 is refused');
  const echoed = controller.flagsOf(outcome);
  observe('Flags in M2', echoed === undefined ? 'none' : hap.hex(echoed));
  if (echoed !== undefined && littleEndian(echoed) !== littleEndian(asked))
    violate(
      `M2 carries Flags ${hap.hex(echoed)}, and M1 asked for ${hap.hex(asked)}${controller.hintAt(echoed)}`,
    );
}

/** Requests inside a transient session that must not succeed; another session takes over where one was ended. */
async function refusedInside(
  { controller, expect }: CheckContext,
  requests: readonly (readonly [what: string, ask: (session: Session) => Promise<outcomes.Outcome>])[],
): Promise<void> {
  let { session } = await controller.transient();
  for (const [what, ask] of requests) {
    if (!(await session.link.stillOpen(50))) ({ session } = await controller.transient());
    expect(await ask(session), what).to.be.allowed();
  }
}

const inside = {
  from: 'unpaired',
  needs: ['PS-M3-01'],
  risky: true,
  allow: [outcomes.clientError(), outcomes.tlvError(2), outcomes.closed()],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.served(), outcomes.plaintextReply(), outcomes.silence()],
} as const;

export default chapter('transient.setup', ({ check }) => [
  ...widths.map((flags) =>
    check(
      `TRANSIENT-01/${flags.length}-bytes`,
      'Transient M1 is answered',
      { from: 'unpaired', risky: true, costs: { m2: 1 }, ...eitherWay },
      async (context) => {
        const setup = await context.controller.setup({ flags });
        const outcome = await setup.sendM1();
        context.expect(outcome).to.be.allowed();
        judgeEcho(context, outcome, flags);
      },
    ),
  ),

  check(
    'TRANSIENT-02',
    'Transient M4 ends the procedure and switches to encryption',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1 },
      allow: [outcomes.anyReply()],
      forbid: [outcomes.plaintextReply(), outcomes.closed(), outcomes.silence()],
    },
    async ({ controller, bench, expect, observe, violate, notApplicable }) => {
      // This is where it is found out: what an earlier look said is not an answer to this one.
      bench.learned.noTransient = undefined;
      const found = await controller.tryTransient();
      if ('why' in found) {
        observe('transient Pair Setup', 'not supported');
        // Seen on an accessory that never claimed it: Flags are passed over, and the connection waits for M5.
        if (!(await bench.learned.declares('transient')))
          notApplicable(`it was never declared: ${found.why}`);
        return violate(`transient Pair Setup is declared, and ${found.why}`);
      }
      const { session, hello } = found;
      observe('keys behind a transient M4', bench.learned.transientNames?.name ?? 'unknown');
      expect(hello, 'the first request in a frame').to.be.allowed();
      expect(await session.request(controller.profile.hello), 'the second one').to.be.allowed();
    },
  ),
  check(
    'TRANSIENT-02/4-bytes',
    'Transient M4 ends the procedure and switches to encryption',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1 },
      allow: [outcomes.anyReply()],
      forbid: [outcomes.plaintextReply()],
    },
    async ({ controller, bench, expect, violate, notApplicable }) => {
      const found = await controller.tryTransient({ flags: hap.fromHex('10000000') });
      if ('why' in found) {
        if (!(await bench.learned.declares('transient')))
          notApplicable(`it was never declared: ${found.why}`);
        return violate(`Flags of 4 bytes, little-endian, do not begin a transient setup: ${found.why}`);
      }
      expect(found.hello, 'a request in a frame').to.be.allowed();
    },
  ),

  check(
    'TRANSIENT-03/resources',
    'A transient session has no pairing rights',
    { ...inside, costs: { m2: 1, m4: 1 } },
    (context) =>
      refusedInside(context, [
        ['GET of the attribute database', (session) => session.get(context.controller.profile.resource)],
        ['GET of a characteristic', (session) => session.get('/characteristics?id=1.2')],
        [
          'PUT of a characteristic',
          (session) => session.put({ aid: 1, iid: 10, perms: [], format: '', value: 0 }, { value: true }),
        ],
      ]),
  ),
  check(
    'TRANSIENT-03/administration',
    'A transient session has no pairing rights',
    { ...inside, costs: { m2: 1, m4: 1, verifies: 1 } },
    async (context) => {
      const { controller, random, expect } = context;
      const guest = controller.newIdentity();
      await refusedInside(context, [
        ['Add', (session) => session.sendAdd(guest, hap.Permission.Admin)],
        ['List', (session) => session.sendPairings(hap.listPairings())],
        ['Remove', (session) => session.sendPairings(hap.removePairing(guest.id))],
        ['a Pair Setup M1', ({ link }) => controller.post(link, link.profile.paths.setup, hap.setupM1())],
        [
          'a Pair Verify M1',
          ({ link }) => controller.post(link, link.profile.paths.verify, hap.verifyM1(random.bytes(32))),
        ],
      ]);
      expect(await controller.isStored(guest), 'the controller it was to add is known').to.equal(false);
    },
  ),

  check(
    'TRANSIENT-04',
    'Transient with a wrong code',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [outcomes.tlvError(4, 'Authentication')],
      // By which code is PS-M3-04's question.
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.success('setup-m4')],
    },
    async ({ controller, expect, violate }) => {
      const setup = await controller.transientM2({ code: 'wrong' });
      expect(await setup.sendM3()).to.be.allowed();
      if (!(await setup.link.stillOpen(50))) return;
      // Whoever guesses wrong must not even learn that there would be a session.
      const session = setup.secureTransient(controller.profile.transientKeys[0]!, false);
      const outcome = await session.request(controller.profile.hello);
      if (outcome.kind === 'reply' && outcome.sealed)
        violate('a wrong code begins a session all the same: a request in a frame is answered in one');
    },
  ),

  check(
    'TRANSIENT-05/message-5',
    'Exactly one mode after M4',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
      ...notHeard,
    },
    async (context) => {
      const { controller, bench, expect, observe, violate } = context;
      const setup = await controller.setup({ flags: transient });
      const refusal = await setup.sendToM4();
      if (refusal !== undefined) context.notApplicable(refusal);
      // Where it is not known that frames follow, M6 may be due, and that takes its time.
      const wait = bench.learned.transientNames === undefined ? controller.stepWait : controller.judgedWait;
      const outcome = await setup.sendM5({}, undefined, wait);
      if (setup.accepted(outcome)) {
        // A regular setup after all; then no frame may be answered where M5 would be.
        await bench.unpair();
        const found = await controller.tryTransient();
        if (!('why' in found))
          violate('behind a transient M4 frames are answered, and M5 in plaintext is as well');
        observe('mode behind M4', 'regular: Flags are passed over');
        expect(outcome.kind, 'what comes of M5').to.equal('reply');
        return;
      }
      if (bench.learned.noTransient !== undefined)
        violate(`behind a transient M4 neither frames nor M5 are taken: ${bench.learned.noTransient}`);
      observe('mode behind M4', 'transient');
      expect(outcome).to.be.allowed();
      expect(await controller.isStored(setup.identity), 'the controller of M5 is known').to.equal(false);
    },
  ),
  check(
    'TRANSIENT-05/plaintext',
    'Exactly one mode after M4',
    { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 1, m4: 1 }, ...notHeard },
    async ({ controller, bench, expect, notApplicable }) => {
      const setup = await controller.setup({ flags: transient });
      const refusal = await setup.sendToM4();
      if (refusal !== undefined) notApplicable(refusal);
      if (bench.learned.noTransient !== undefined) notApplicable(bench.learned.noTransient);
      const request = { method: 'GET', path: controller.profile.resource };
      expect(await controller.request(setup.link, request)).to.be.allowed();
    },
  ),

  check(
    'TRANSIENT-06',
    'Transient setup persists nothing',
    { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 2, m4: 1, verifies: 1 } },
    async ({ controller, bench, expect }) => {
      const heard = await bench.options.announcements?.current();
      const { setup } = await controller.transient();
      await bench.closeLinks();
      expect(await controller.isUnpaired(), 'M1 is served behind it').to.equal(true);
      expect(await controller.isStored(setup.identity), 'Pair Verify knows the controller').to.equal(false);
      const now = await bench.options.announcements?.current();
      expect(now?.txt.get('sf'), 'sf as it is announced').to.equal(heard?.txt.get('sf'));
    },
  ),
  check(
    'TRANSIENT-06/restarted',
    'Transient setup persists nothing',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      needsHook: 'restart',
      costs: { m2: 2, m4: 1, verifies: 1 },
    },
    async ({ controller, bench, expect }) => {
      const { setup } = await controller.transient();
      await bench.restart();
      expect(await controller.isUnpaired(), 'M1 is served behind a restart').to.equal(true);
      expect(await controller.isStored(setup.identity), 'Pair Verify knows the controller').to.equal(false);
    },
  ),

  check(
    'TRANSIENT-07',
    'Transient on a paired accessory',
    {
      from: 'paired',
      keyless: true,
      allow: [outcomes.tlvError(2, 'Unavailable'), outcomes.servedWhilePaired()],
      // By which code is PS-M1-13's question.
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.takeOver(), outcomes.silence()],
    },
    async ({ controller, expect }) => {
      const setup = await controller.setup({ flags: transient });
      expect(await setup.sendM1()).to.be.allowed();
    },
  ),

  ...Object.entries({
    transient: hap.PairingFlag.Transient,
    split: hap.PairingFlag.Split,
    both: hap.PairingFlag.Transient + hap.PairingFlag.Split,
  }).map(([name, flags]) =>
    check(
      `TRANSIENT-08/${name}`,
      'PairSetupWithAuth combined with Transient or Split',
      { from: 'unpaired', risky: true, ...eitherWay },
      async (context) => {
        const { controller, expect, observe, violate, warn } = context;
        const setup = await controller.setup({ method: hap.Method.PairSetupWithAuth, flags });
        const outcome = await setup.sendM1();
        if (await controller.passesOverAuth(outcome)) {
          expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
          return warn('PairSetupWithAuth is not answered; no coprocessor is announced');
        }
        expect(outcome).to.be.allowed();
        observe('PairSetupWithAuth with Flags', m2.matches(outcome) ? 'served' : 'refused');
        if (!m2.matches(outcome)) return;
        const granted = controller.profile.flagsWithAuth === 'granted';
        if (granted) return judgeEcho(context, outcome, hap.integerValue(flags));
        if (setup.m2 !== undefined && controller.flagsOf(outcome) !== undefined)
          violate(`M2 of PairSetupWithAuth carries ${hap.tlvTypeName(hap.TlvType.Flags)}`);
      },
    ),
  ),
]);
