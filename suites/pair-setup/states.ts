/**
 * Pair Setup out of order on one connection: M3 or M5 too early, once more, or behind a failure; a second M1.
 * Whatever comes has to be refused without granting anything.
 * The next exchange begins as if nothing had been.
 */
import { chapter, edits, hap, outcomes } from '../../harness/suite.js';
import * as shared from './shared.js';

const hashOfNothing = hap.sha512(shared.nothing);

/** What an accessory that skipped M3 may hold in the place of K, and in the place of the derived cipher key. */
const assumptions: Record<string, { secret: hap.Bytes; key?: hap.Bytes }> = {
  'empty-secret': { secret: shared.nothing },
  'zero-secret': { secret: shared.zeroSecret },
  'hash-of-nothing': { secret: hashOfNothing },
  'zero-key': { secret: shared.zeroKey, key: shared.zeroKey },
  'zero-key-empty-secret': { secret: shared.nothing, key: shared.zeroKey },
  'zero-key-zero-secret': { secret: shared.zeroSecret, key: shared.zeroKey },
  'zero-key-hash-of-nothing': { secret: hashOfNothing, key: shared.zeroKey },
};

export default chapter('pair-setup.states', ({ check }) => [
  check(
    'PS-STATE-01',
    'M3 as first message',
    {
      from: 'unpaired',
      grid: ['setup-m3', 'out-of-order'],
      needs: ['PS-M3-01'],
      risky: true,
      costs: { m2: 1, m4: 2, attempts: 1 },
      allow: [outcomes.tlvError(4), outcomes.tlvError(3), outcomes.tlvError(2), outcomes.badRequest()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.success('setup-m4')],
    },
    async ({ controller, expect, random }) => {
      const setup = await controller.setup();
      const A = random.bytes(384);
      A[0]! &= 0x7f;
      const outcome = await setup.sendItems(hap.setupM3(A, random.bytes(64)));
      expect(outcome).to.be.allowed();
      const open = outcome.kind === 'reply' && (await setup.link.stillOpen(50));
      const next = await controller.setup(open ? { link: setup.link } : {});
      expect(await next.sendM1(), 'M1 behind it').to.be.allowed({ allow: [shared.m2] });
      next.answerM2();
      await next.m3();
    },
  ),
  ...Object.entries({ ...assumptions, 'random-key': undefined }).map(([name, assumption]) =>
    check(
      `PS-STATE-02/${name}`,
      'M5 as first message',
      {
        from: 'unpaired',
        grid: ['setup-m5', 'out-of-order'],
        needs: ['PS-M5-01'],
        risky: true,
        costs: { m6: 1, verifies: 1 },
        ...outcomes.reject('setup-m6'),
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.setup();
        expect(
          await setup.sendM5(assumption ?? { secret: random.bytes(64), key: random.bytes(32) }),
        ).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  ...['key-of-the-wrong-code', 'zero-key'].map((name) =>
    check(
      `PS-STATE-05/${name}`,
      'M5 after a failed M3',
      {
        from: 'unpaired',
        needs: ['PS-M3-01', 'PS-M5-01'],
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1, attempts: 1 },
        ...outcomes.reject('setup-m6'),
      },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup({ code: 'wrong' });
        await setup.sendM3();
        expect(
          await setup.sendM5(name === 'zero-key' ? { secret: shared.zeroSecret, key: shared.zeroKey } : {}),
        ).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  ...Object.entries({ ...assumptions, 'random-key': undefined }).map(([name, assumption]) =>
    check(
      `PS-STATE-03/${name}`,
      'M5 straight after M1 (M3 skipped)',
      {
        from: 'unpaired',
        needs: ['PS-M5-01'],
        risky: true,
        costs: { m2: 1, m6: 1, verifies: 1 },
        ...outcomes.reject('setup-m6'),
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup();
        expect(
          await setup.sendM5(assumption ?? { secret: random.bytes(64), key: random.bytes(32) }),
        ).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  check(
    'PS-STATE-04',
    'M3 after a failed M3 on the same exchange',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 2, attempts: 2 },
      allow: [shared.m4, outcomes.tlvError(4), outcomes.badRequest()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect, observe }) => {
      const setup = await controller.pairSetup();
      await setup.sendM3(edits.flip('Proof', 0));
      const outcome = await setup.sendM3();
      expect(outcome).to.be.allowed();
      observe('the right proof behind a wrong one', shared.m4.matches(outcome) ? 'accepted' : 'refused');
    },
  ),
  check(
    'PS-STATE-06',
    'M3 again after M4',
    {
      ...shared.afterM4,
      grid: ['setup-m3', 'replayed'],
      risky: true,
      costs: { m2: 1, m4: 2, m6: 1, verifies: 1, attempts: 1 },
      allow: [shared.m4, outcomes.tlvError(4), outcomes.badRequest()],
      tolerate: [outcomes.anyRefusal()],
    },
    async ({ controller, expect, observe, violate }) => {
      const setup = await controller.pairSetup();
      const first = await setup.m3();
      const outcome = await setup.sendM3();
      expect(outcome, 'the same M3 again').to.be.allowed();
      observe('M3 again behind M4', shared.m4.matches(outcome) ? 'answered' : 'refused');
      if (outcome.kind === 'reply' && shared.m4.matches(outcome)) {
        const { proof } = setup.machine.readM4(outcome.tlv!);
        if (proof === undefined || !hap.equal(proof, first.proof!))
          violate(
            `the same M3 was answered by another Proof (${hap.hex(proof ?? shared.nothing).slice(0, 16)}…)`,
          );
      }
      if (!(await setup.link.stillOpen(50))) return;
      const last = await shared.sendsM5(setup);
      expect(last, 'M5 afterwards').to.be.allowed({
        allow: [shared.m6, outcomes.tlvError(6), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal()],
      });
      if (!shared.m6.matches(last))
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
    },
  ),
  check(
    'PS-STATE-07/second-b',
    'Second M1 on the same connection',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 2, m4: 1 },
      allow: [shared.m4],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect, violate }) => {
      const setup = await controller.pairSetup();
      const again = await setup.sendM1(undefined, controller.stepWait, false);
      if (shared.m2.matches(again)) {
        expect(await shared.takesM3(setup)).to.be.allowed({
          allow: [shared.m4],
          forbid: [outcomes.silence()],
        });
        return;
      }
      expect(again, 'a second M1').to.be.allowed();
      const open = again.kind === 'reply' && (await setup.link.stillOpen(50));
      const third = await controller.setup(open ? { link: setup.link } : {});
      if (!shared.m2.matches(await third.sendM1()))
        violate('a second M1 was refused, and a third one is too');
    },
  ),
  check(
    'PS-STATE-07/first-b',
    'Second M1 on the same connection',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 2, m4: 1, attempts: 1 },
      allow: [outcomes.tlvError(4), outcomes.badRequest()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [shared.m4, outcomes.silence()],
    },
    async ({ controller, expect, notApplicable }) => {
      const setup = await controller.pairSetup();
      const again = await setup.sendM1(undefined, controller.stepWait, false);
      if (!shared.m2.matches(again))
        notApplicable('a second M1 on the connection is refused (PS-STATE-07/second-b)');
      expect(await setup.sendM3(), 'M3 for the first B').to.be.allowed();
    },
  ),
  check(
    'PS-STATE-07/after-m4',
    'Second M1 on the same connection',
    {
      from: 'unpaired',
      grid: ['setup-m1', 'out-of-order'],
      needs: ['PS-M3-01'],
      costs: { m2: 2, m4: 2 },
      allow: [shared.m4],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      const again = await setup.sendM1(undefined, controller.stepWait, false);
      expect(shared.m2.matches(again) ? await shared.takesM3(setup) : again).to.be.allowed();
    },
  ),
]);
