/**
 * The first step of Pair Setup: M1 asks for a method and flags, M2 brings the salt and B of SRP-6a (seed 002 §2).
 * The watches judge every M2 of the run: length, freshness, range.
 * The checks send M1 with a wrong State, another method or flags, once more, or where it is not due.
 */
import { chapter, edits, hap, outcomes } from '../../harness/suite.js';
import { eitherWay, m2, risky, takeM2 } from './shared.js';

const flags = {
  plain: undefined,
  transient: Uint8Array.of(hap.PairingFlag.Transient),
  split: hap.integerValue(hap.PairingFlag.Split),
  'transient-split': hap.integerValue(hap.PairingFlag.Transient + hap.PairingFlag.Split),
};

/** What M2 is made of; Flags where some were asked for (erratum E09). */
const defined: readonly number[] = [
  hap.TlvType.State,
  hap.TlvType.PublicKey,
  hap.TlvType.Salt,
  hap.TlvType.Flags,
];

const contradicting: readonly number[] = [
  hap.TlvType.Error,
  hap.TlvType.Proof,
  hap.TlvType.Identifier,
  hap.TlvType.EncryptedData,
];

export default chapter('pair-setup.m1-m2', ({ check, watch }) => [
  check(
    'PS-M1-01',
    'Valid M1 gets a valid M2',
    { sanity: true, from: 'unpaired', costs: { m2: 1 }, allow: [outcomes.success('setup-m2')] },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      expect(await setup.sendM1()).to.be.allowed();
    },
  ),

  watch(
    'PS-M1-02',
    'Salt is exactly 16 bytes',
    'setup-m2',
    ({ m2: { salt } }, { bench, expect, warn, observe, memory }) => {
      if (salt === undefined) return;
      const short = salt.length < hap.Length.salt && salt.length >= bench.profile.leastSalt;
      if (short) warn(`the Salt is of ${salt.length} bytes`);
      else expect(salt.length, 'bytes of Salt').to.equal(hap.Length.salt);
      if (hap.isZero(salt)) warn('the Salt is all zero');
      const last = memory.get('salt');
      if (last !== undefined)
        observe('salt', last === hap.hex(salt) ? 'the same in every M2' : 'fresh in every M2');
      memory.set('salt', hap.hex(salt));
    },
  ),

  watch(
    'PS-M1-03',
    'B is a usable SRP public value',
    'setup-m2',
    ({ m2: { B, findings } }, { expect, observe }) => {
      if (B === undefined) return;
      const defect = findings.find(({ requirement }) => requirement === 'PS-M1-03');
      expect(defect?.what, 'B as an SRP public value').to.equal(undefined);
      if (B.length < hap.Length.srpPublicKey) observe('B', 'sent without leading zero bytes');
      else if (B[0] === 0) observe('B', 'sent with its leading zero bytes');
    },
  ),

  watch(
    'PS-M1-05',
    'M2 carries only the defined items',
    'setup-m2',
    ({ reply }, { bench, expect, observe, violate, warn }) => {
      const types = [...new Set(reply.tlv!.items.map(({ type }) => type))];
      expect(types).to.include(hap.TlvType.State);
      const { isRouter } = bench.learned;
      const unknown: string[] = [];
      for (const type of types) {
        const name = hap.tlvTypeName(type);
        if (contradicting.includes(type)) violate(`M2 carries ${name} beside its Salt and PublicKey`);
        if (!defined.includes(type)) unknown.push(name);
      }
      if (isRouter && unknown.length > 0) observe('items of its own', unknown.join(', '));
      else for (const name of unknown) warn(`M2 carries ${name} too`);
    },
  ),

  watch(
    'PS-M1-05/flags',
    'M2 carries only the defined items',
    'setup-m2',
    ({ reply, asked }, { bench, expect, observe, violate }) => {
      // Flags that were asked for are TRANSIENT-01's question.
      if (asked.has(hap.TlvType.Flags) || asked.defect !== undefined) return;
      const flags = reply.tlv!.get(hap.TlvType.Flags);
      const { isRouter } = bench.learned;
      if (flags !== undefined) observe('flags of its own', hap.hex(flags) || 'no byte');
      if (flags !== undefined && !isRouter)
        violate(
          `M2 carries Flags ${hap.hex(flags)}, and M1 asked for none; if it is a router with flags of its own, --declares router says so`,
        );
      expect(flags === undefined || isRouter, 'M2 is without Flags').to.equal(true);
    },
  ),

  check(
    'PS-M1-06',
    'Missing State',
    {
      from: 'unpaired',
      grid: ['setup-m1', 'state-missing'],
      risky: true,
      costs: { m2: 1 },
      ...outcomes.reject('setup-m2'),
    },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      expect(await setup.sendM1(edits.drop('State'))).to.be.allowed();
      expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
    },
  ),

  ...[0x00, 0x02, 0x04, 0x06, 0x07, 0x7f, 0xff].map((state) =>
    check(
      `PS-M1-12/state-${state}`,
      'First message with a State other than 1',
      {
        from: 'unpaired',
        grid: ['setup-m1', 'state-wrong'],
        risky: true,
        costs: { m2: 1 },
        allow: [outcomes.anyRefusal()],
        forbid: [outcomes.success('setup-m2')],
      },
      async ({ controller, expect }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edits.replace('State', state));
        expect(outcome).to.be.allowed();
        if (outcome.kind !== 'reply' || !(await setup.link.stillOpen(50))) return;
        expect(await setup.sendM1()).to.be.allowed({ allow: [outcomes.success('setup-m2')] });
      },
    ),
  ),

  ...Object.entries(flags).map(([name, value]) =>
    check(
      `PS-M1-13/${name}`,
      'Paired accessory answers Unavailable to Pair Setup',
      {
        from: 'paired',
        keyless: true,
        costs: { verifies: 1 },
        allow: [outcomes.tlvError(2, 'Unavailable')],
        // Seed 002 §2.4 tells the code; with another HTTP status (erratum E21) it is still told.
        tolerate: [outcomes.misplacedError(2, 'Unavailable')],
        forbid: [outcomes.success('setup-m2')],
      },
      async ({ controller, bench, expect }) => {
        const setup = await controller.setup();
        const edit = value && edits.insert(hap.tlv(hap.TlvType.Flags, value), -1);
        expect(await setup.sendM1(edit)).to.be.allowed();
        if (bench.admin === undefined) return;
        // On the same connection when the accessory kept it: a refused setup must not be in the way of a session.
        const open = await setup.link.stillOpen(50);
        await controller.session(open ? { link: setup.link } : {});
      },
    ),
  ),

  watch('PS-M1-04', 'B is fresh for every M1', 'setup-m2', ({ m2: { B } }, { expect, memory }) => {
    if (B === undefined) return;
    expect(memory.get(hap.hex(B)), 'B was sent before in this run, in M2 number').to.equal(undefined);
    memory.set(hap.hex(B), String(memory.size + 1));
  }),
  check(
    'PS-M1-04/one-connection',
    'B is fresh for every M1',
    {
      from: 'unpaired',
      grid: ['setup-m1', 'replayed'],
      costs: { m2: 2 },
      allow: [m2],
      tolerate: [outcomes.anyRefusal()],
    },
    async ({ controller, expect, observe }) => {
      const setup = await controller.setup();
      expect(await setup.sendM1()).to.be.allowed({ allow: [m2] });
      const first = setup.m2?.B;
      const outcome = await setup.sendM1();
      const served = m2.matches(outcome);
      observe('a second M1 on one connection', served ? 'starts anew' : 'refused');
      // Whether M1 may come twice is PS-STATE-07's question.
      if (served) expect(hap.hex(setup.m2!.B!), 'the second B').to.not.equal(hap.hex(first!));
      else expect(outcome).to.be.allowed({ allow: [outcomes.anyRefusal()] });
    },
  ),
  // Whoever sees two proofs for one b has as many guesses as he likes at what they share.
  ...(['a-refused-m3', 'm4', 'a-refused-m5'] as const).map((moment) =>
    check(
      `PS-M1-04/behind-${moment}`,
      'B is fresh for every M1',
      {
        from: 'unpaired',
        needs: moment === 'a-refused-m5' ? ['PS-M5-01'] : ['PS-M3-01'],
        costs: {
          m2: 2,
          m4: 1,
          ...(moment === 'a-refused-m5' && { m6: 1 }),
          ...(moment === 'a-refused-m3' && { attempts: 1 }),
        },
        allow: [m2],
        tolerate: [outcomes.anyRefusal()],
      },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        const first = setup.m2!.B!;
        if (moment === 'a-refused-m3') await setup.sendM3(edits.flip('Proof', 0));
        else await setup.m3();
        if (moment === 'a-refused-m5') await setup.sendM5({}, edits.flip('EncryptedData', -1));
        const open = await setup.link.stillOpen(50);
        const next = await controller.setup(open ? { link: setup.link } : {});
        const outcome = await next.sendM1();
        expect(outcome, 'M1 again').to.be.allowed();
        if (next.m2?.B !== undefined) expect(hap.hex(next.m2.B), 'the second B').to.not.equal(hap.hex(first));
      },
    ),
  ),

  check(
    'PS-M1-07',
    'Missing Method',
    { ...risky, grid: ['setup-m1', 'item-missing'], costs: { m2: 1 }, ...eitherWay },
    async ({ controller, expect, observe }) => {
      const setup = await controller.setup();
      const outcome = await setup.sendM1(edits.drop('Method'));
      expect(outcome).to.be.allowed();
      observe('M1 without Method', m2.matches(outcome) ? 'served' : 'refused');
    },
  ),

  ...[2, 3, 4, 5, 6, 7, 99, 255].map((method) =>
    check(
      `PS-M1-08/method-${method}`,
      'Method value that is not a Pair Setup method',
      {
        ...risky,

        allow: [outcomes.tlvError(2), outcomes.badRequest()],
        tolerate: [m2, outcomes.anyRefusal()],
        forbid: [outcomes.silence(), outcomes.success('setup-m4')],
      },
      async ({ controller, expect, violate }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edits.replace('Method', method));
        if (
          outcome.kind === 'reply' &&
          outcomes.success('pairings-add').matches(outcome) &&
          !m2.matches(outcome)
        )
          violate(`Method=${method} was served as an operation of /pairings`);
        expect(outcome).to.be.allowed();
      },
    ),
  ),

  ...[0, 2, 4].map((length) =>
    check(
      `PS-M1-09/${length}-bytes`,
      'Method TLV with wrong length',
      { ...risky, costs: { m2: 1 }, ...eitherWay },
      async ({ controller, expect, observe }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edits.replace('Method', new Uint8Array(length)));
        expect(outcome).to.be.allowed();
        observe(`Method of ${length} bytes`, m2.matches(outcome) ? 'served' : 'refused');
      },
    ),
  ),

  check(
    'PS-M1-10',
    'PairSetupWithAuth on an accessory without MFi hardware',
    {
      ...risky,
      costs: { m2: 1 },
      allow: [m2, outcomes.tlvError(2), outcomes.badRequest(), outcomes.otherError(2)],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, notApplicable, observe, warn }) => {
      const setup = await controller.setup();
      const outcome = await setup.sendM1(edits.replace('Method', hap.Method.PairSetupWithAuth));
      if (await controller.passesOverAuth(outcome)) {
        observe('PairSetupWithAuth', 'not answered');
        expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
        return warn('PairSetupWithAuth is not answered; no coprocessor is announced');
      }
      expect(outcome).to.be.allowed();
      if (!m2.matches(outcome)) {
        observe('PairSetupWithAuth', 'refused in M2');
        expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
        return;
      }
      if (!bench.hasCode) notApplicable('what M4 says needs the setup code');
      takeM2(setup);
      const m4 = await setup.sendM3();
      if (m4.kind === 'reply' && m4.tlv?.has(hap.TlvType.EncryptedData))
        notApplicable('M4 carries EncryptedData: the accessory has MFi hardware');
      expect(m4, 'M4').to.be.allowed({
        allow: [outcomes.tlvError(4), outcomes.otherError(4), outcomes.badRequest(), outcomes.serverError()],
        tolerate: [outcomes.success('setup-m4'), outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      });
      observe('PairSetupWithAuth', outcomes.success('setup-m4').matches(m4) ? 'downgraded' : 'refused in M4');
      expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
    },
  ),

  ...[1, 2, 3, 4, 5, 6].map((method) =>
    check(
      `PS-M1-14/method-${method}`,
      'Paired accessory answers Unavailable to PairSetupWithAuth too',
      {
        from: 'paired',
        keyless: true,

        allow: [outcomes.tlvError(2), outcomes.badRequest()],
        // Erratum E01: one document exempts PairSetupWithAuth. It still opens a paired accessory to who has its code.
        tolerate: [outcomes.anyRefusal(), ...(method === 1 ? [m2] : [])],
        forbid: [outcomes.silence(), ...(method === 1 ? [] : [m2])],
      },
      async ({ controller, expect, observe }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edits.replace('Method', method));
        expect(outcome).to.be.allowed();
        if (m2.matches(outcome))
          observe('exemption E01', 'PairSetupWithAuth is served on a paired accessory');
      },
    ),
  ),

  check(
    'PS-M1-15',
    'Pair Setup inside a verified session',
    {
      from: 'paired',
      costs: { verifies: 1 },
      allow: [outcomes.badRequest(), outcomes.tlvError(2)],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.plaintextReply(), m2, outcomes.silence()],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(
        await controller.post(session.link, controller.profile.paths.setup, hap.setupM1()),
      ).to.be.allowed();
      // The session keeps working, unless the accessory closed it.
      if (await session.link.stillOpen(100))
        expect(await session.get('/accessories'), 'the session afterwards').to.be.allowed({
          allow: [outcomes.answered()],
        });
    },
  ),
]);
