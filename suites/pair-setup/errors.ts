/**
 * How Pair Setup says no: the error codes, State beside each error, and in what order refusals come.
 * Wrong codes are counted, and a hundred of them lock the accessory, for everybody: the checks spend as few as they can.
 * The watches look at the error replies of the whole run.
 */
import {
  type CheckSpec,
  type Controller,
  chapter,
  edits,
  guess,
  hap,
  outcomes,
} from '../../harness/suite.js';

const m2 = outcomes.success('setup-m2');
const maxTries = outcomes.tlvError(2, 'MaxTries');

/** An error the protocol names: HTTP 200 and TLV8; with another status it reaches fewer controllers. */
function named(state: number, orWithoutBody: boolean): Required<outcomes.Alternatives> {
  return {
    allow: [outcomes.tlvError(state)],
    tolerate: [outcomes.misplacedError(state), ...(orWithoutBody ? [outcomes.anyRefusal()] : [])],
    forbid: [outcomes.silence(), ...(orWithoutBody ? [] : [outcomes.badRequest(), outcomes.serverError()])],
  };
}

/** Checks that lock the accessory: only with `--destructive` and `--reset`. */
const locked: CheckSpec = {
  from: 'locked',
  destructive: true,
  once: true,
  allow: [maxTries],
  tolerate: [outcomes.anyRefusal()],
  forbid: [m2],
};

/** Guesses that come close to the limit and stay below it. */
const NEARLY = 95;
/** Enough to pass the limit behind that many, where each counts. */
const SOME = 10;

/** Failures of other kinds than a wrong proof: what is sent behind M2, if anything. */
const otherFailures: Record<string, ((controller: Controller) => readonly hap.TlvItem[]) | undefined> = {
  'an aborted M1': undefined,
  'an M3 without Proof': ({ random }) => hap.setupM3(publicValue(random.bytes(384)), nothing).slice(0, 2),
  'an A of 0': ({ random }) => hap.setupM3(new Uint8Array(384), random.bytes(64)),
};

const nothing = new Uint8Array(0);

/** Below N, whatever was drawn. */
function publicValue(bytes: hap.Bytes): hap.Bytes {
  bytes[0]! &= 0x7f;
  return bytes;
}

function unlocked(guesses: number, outcome: outcomes.Outcome | undefined): string {
  return outcome === undefined
    ? `${guesses} wrong proofs were answered, and M1 still is`
    : `after ${guesses} wrong proofs M1 was not answered by MaxTries (${outcome.kind})`;
}

/** True when M1 is answered by MaxTries. */
async function isLocked(controller: Controller): Promise<boolean> {
  const setup = await controller.setup();
  const outcome = await setup.sendM1(undefined, controller.stepWait);
  await setup.link.close();
  return outcome.kind === 'reply' && outcome.tlv?.error === hap.TlvError.MaxTries;
}

export default chapter('pair-setup.errors', ({ check, watch }) => [
  watch(
    'PS-ERR-01',
    'Error replies carry State and Error and nothing else',
    'pairing-reply',
    ({ tlv: message, http }, { expect, violate, warn }) => {
      const refused = message!.has(hap.TlvType.Error) || http.status >= 400;
      if (!refused) return;
      if (!message!.has(hap.TlvType.State)) violate('a refusal has no State');
      expect(message!.has(hap.TlvType.State)).to.equal(true);
      for (const { type } of message!.items) {
        if (type === hap.TlvType.State || type === hap.TlvType.Error) continue;
        const name = hap.tlvTypeName(type);
        // Backoff is the one error that comes with a delay.
        if (type === hap.TlvType.RetryDelay && message!.error === hap.TlvError.Backoff) continue;
        const key: number[] = [
          hap.TlvType.Salt,
          hap.TlvType.PublicKey,
          hap.TlvType.Proof,
          hap.TlvType.Identifier,
          hap.TlvType.EncryptedData,
        ];
        if (key.includes(type)) violate(`an error reply carries ${name} beside its Error`);
        warn(`an error reply carries ${name} too`);
      }
    },
  ),

  watch(
    'PS-ERR-02',
    'State of an error reply matches the step',
    'error-reply',
    ({ reply, asked }, { expect }) => {
      expect(reply.tlv!.state, `State of the error behind State=${asked}`).to.equal(asked + 1);
    },
  ),

  // Where iOS gives up on an accessory that says it any other way, an empty refusal is a violation.
  check(
    'PS-ERR-03/wrong-proof',
    'Protocol errors use HTTP 200 and the pairing content type',
    { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 1, m4: 1, attempts: 1 }, ...named(4, false) },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      expect(await setup.sendM3(edits.flip('Proof', 7))).to.be.allowed();
    },
  ),
  check(
    'PS-ERR-03/unavailable',
    'Protocol errors use HTTP 200 and the pairing content type',
    { from: 'paired', keyless: true, ...named(2, false) },
    async ({ controller, expect }) => {
      expect(await (await controller.setup()).sendM1()).to.be.allowed();
    },
  ),
  check(
    'PS-ERR-03/verify',
    'Protocol errors use HTTP 200 and the pairing content type',
    { from: 'paired', keyless: true, needs: ['PV-M1-01'], costs: { verifies: 1 }, ...named(4, false) },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify({ as: controller.newIdentity() });
      expect(await verify.sendM3()).to.be.allowed();
    },
  ),
  check(
    'PS-ERR-03/wrong-tag',
    'Protocol errors use HTTP 200 and the pairing content type',
    {
      from: 'unpaired',
      needs: ['PS-M5-01'],
      costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
      // No seed names an error for it. HAP-NodeJS says State=4, brutella/hap HTTP 500: the controller begins anew either way.
      ...named(6, true),
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      expect(await setup.sendM5({}, edits.flip('EncryptedData', -1))).to.be.allowed();
      expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
    },
  ),
  check(
    'PS-ERR-03/non-admin',
    'Protocol errors use HTTP 200 and the pairing content type',
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 2 }, ...named(2, false) },
    async ({ controller, expect }) => {
      const admin = await controller.session();
      const user = controller.newIdentity();
      await admin.add(user, hap.Permission.User);
      const session = await controller.session({ as: user });
      expect(await session.sendPairings(hap.listPairings())).to.be.allowed();
      await admin.sendPairings(hap.removePairing(user.id));
    },
  ),

  ...Object.entries({ 'not-tlv': 'ffff00', 'state-9': '060109', 'state-only': '060105' }).map(
    ([name, body]) =>
      check(
        `PS-ERR-04/setup-${name}`,
        'Malformed input gets HTTP 400 or a TLV error, not silence',
        {
          from: 'unpaired',
          ...outcomes.reject('setup-m6'),
          forbid: [outcomes.silence(), outcomes.success('setup-m6')],
        },
        async ({ controller, expect }) => {
          const setup = await controller.setup();
          expect(await setup.sendM1Bytes(hap.fromHex(body))).to.be.allowed();
        },
      ),
  ),
  ...Object.entries({ 'not-tlv': 'ffff00', 'state-9': '060109', 'state-only': '060101' }).map(
    ([name, body]) =>
      check(
        `PS-ERR-04/verify-${name}`,
        'Malformed input gets HTTP 400 or a TLV error, not silence',
        {
          from: 'paired',
          keyless: true,
          costs: { verifies: 1 },
          allow: [outcomes.tlvError(2), outcomes.badRequest()],
          tolerate: [outcomes.anyRefusal()],
          forbid: [outcomes.silence(), outcomes.success('verify-m2')],
        },
        async ({ controller, expect }) => {
          expect(await controller.postToVerify(await controller.open(), hap.fromHex(body))).to.be.allowed();
        },
      ),
  ),
  ...Object.entries({
    'state-3': '060103000105',
    'method-9': '060101000109',
    'without-method': '060101',
  }).map(([name, body]) =>
    check(
      `PS-ERR-04/pairings-${name}`,
      'Malformed input gets HTTP 400 or a TLV error, not silence',
      {
        from: 'paired',
        needs: ['PV-M3-01'],
        costs: { verifies: 1 },
        allow: [outcomes.tlvError(2), outcomes.badRequest()],
        // A List whose State is not looked at is PAIRINGS-17's question.
        tolerate: [outcomes.anyRefusal(), outcomes.success('pairings-list')],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect }) => {
        const { link } = await controller.session();
        expect(
          await link.postBytes(controller.profile.paths.pairings, hap.fromHex(body), controller.judgedWait),
        ).to.be.allowed();
      },
    ),
  ),

  watch(
    'PS-ERR-05',
    'Error codes come from the defined set',
    'pairing-reply',
    ({ tlv: message }, { expect, warn }) => {
      const { error } = message!;
      if (error === undefined) return;
      expect(error, 'Error').to.be.within(1, 7);
      if (error === hap.TlvError.Backoff) warn('Error=3(Backoff) is obsolete');
    },
  ),

  check(
    'PS-ERR-06',
    'More than 100 failed attempts lead to MaxTries',
    { ...locked, tolerate: [outcomes.misplacedError(2, 'MaxTries')] },
    async ({ controller, bench, expect, violate }) => {
      const { guesses, locked: done, outcome } = bench.learned.lockout!;
      if (!done) violate(unlocked(guesses, outcome));
      expect(guesses, 'wrong proofs before MaxTries').to.be.within(99, 101);
      const setup = await controller.setup();
      expect(await setup.sendM1(), 'M1 of a controller that knows the code').to.be.allowed();
    },
  ),

  check(
    'PS-ERR-10',
    'Lock-out is global, not per connection or address',
    locked,
    async ({ controller, bench, expect, violate }) => {
      const { guesses, connections, locked: done, outcome } = bench.learned.lockout!;
      if (!done) violate(`over ${connections} connections: ${unlocked(guesses, outcome)}`);
      expect(await (await controller.setup()).sendM1(), 'M1 on one more connection').to.be.allowed();
    },
  ),

  check('PS-ERR-09', 'Order of the refusals', locked, async ({ controller, expect, observe }) => {
    const setups = [await controller.setup(), await controller.setup()];
    for (const [i, setup] of setups.entries()) {
      const outcome = await setup.sendM1(undefined, controller.judgedWait, false);
      expect(outcome, `M1 on connection ${i + 1} of 2`).to.be.allowed();
      const error = outcome.kind === 'reply' ? outcome.tlv?.error : undefined;
      observe(`refusal on connection ${i + 1}`, error === undefined ? 'no TLV error' : `Error=${error}`);
    }
  }),

  check(
    'PS-ERR-08/nothing-else',
    'When the counter is reset',
    locked,
    async ({ controller, bench, expect }) => {
      for (let i = 0; i < 3; i++) await (await controller.open()).close();
      const verify = await controller.verify({ as: controller.newIdentity(), housekeeping: true });
      await verify.sendM1(undefined, controller.stepWait);
      await (await controller.setup()).sendM1(undefined, controller.stepWait);
      await bench.closeLinks();
      expect(await (await controller.setup()).sendM1(), 'M1 after that').to.be.allowed();
    },
  ),
  check(
    'PS-ERR-08/restart',
    'When the counter is reset',
    { ...locked, needsHook: 'restart', allow: [maxTries, m2], forbid: [outcomes.silence()] },
    async ({ controller, bench, expect, observe }) => {
      await bench.restart();
      bench.learned.lockout = undefined;
      const outcome = await (await controller.setup()).sendM1();
      expect(outcome).to.be.allowed();
      observe('a restart', m2.matches(outcome) ? 'empties the counter' : 'leaves the accessory locked');
    },
  ),
  check(
    'PS-ERR-08/success',
    'When the counter is reset',
    {
      from: 'unpaired',
      destructive: true,
      needsHook: 'reset',
      once: true,
      needs: ['PS-M5-01', 'PS-M3-04'],
      costs: { m2: NEARLY + SOME + 3, m4: NEARLY + SOME + 1, m6: 1, verifies: 1, attempts: NEARLY + SOME },
      allow: [m2, maxTries],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, observe, violate, notApplicable }) => {
      const progress = (done: number): void => bench.onProgress?.(done, NEARLY + SOME, 'guesses');
      const before = await guess(controller, { most: NEARLY, each: SOME, progress });
      if (before.locked) notApplicable(`it locks after ${before.guesses} wrong proofs already`);
      const setup = await controller.pairSetup();
      if (!outcomes.success('setup-m4').matches(await setup.sendM3()))
        violate(`after ${before.guesses} wrong proofs the right one is refused, and no answer says MaxTries`);
      await setup.m5();
      await bench.unpair();
      const after = await guess(controller, { most: SOME, each: SOME });
      observe('a right proof', !after.locked ? 'empties the counter' : 'leaves the counter as it is');
      expect(await (await controller.setup()).sendM1()).to.be.allowed();
    },
  ),

  check(
    'PS-ERR-07',
    'What counts as a failed attempt',
    {
      from: 'unpaired',
      destructive: true,
      needsHook: 'reset',
      once: true,
      needs: ['PS-M3-04'],
      costs: { m2: NEARLY + 5 * SOME, m4: NEARLY + 3 * SOME, attempts: NEARLY + 3 * SOME },
      allow: [maxTries],
      tolerate: [outcomes.anyRefusal()],
      forbid: [m2],
    },
    async ({ controller, bench, expect, observe, notApplicable }) => {
      const progress = (done: number): void => bench.onProgress?.(done, NEARLY + 4 * SOME, 'failures');
      const before = await guess(controller, { most: NEARLY, each: SOME, progress });
      if (before.locked) notApplicable(`it locks after ${before.guesses} wrong proofs already`);
      for (const [what, items] of Object.entries(otherFailures)) {
        for (let i = 0; i < SOME; i++) {
          const setup = await controller.setup();
          if (!m2.matches(await setup.sendM1(undefined, controller.stepWait))) break;
          if (items !== undefined) await setup.sendItems(items(controller));
          await bench.closeLinks();
        }
        const counts = await isLocked(controller);
        observe(what, counts ? 'counts as a failed attempt' : 'does not count');
        if (counts) break;
      }
      // Ten more wrong proofs pass the limit: unless one of the others has emptied the counter on the way.
      await guess(controller, { most: SOME, each: SOME });
      expect(
        await (await controller.setup()).sendM1(),
        `M1 after ${NEARLY + SOME} wrong proofs`,
      ).to.be.allowed();
    },
  ),
]);
