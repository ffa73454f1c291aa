/**
 * Split Pair Setup: a transient one is asked for with both flags, and a later one goes on from the same verifier.
 * M2 echoes the flags where an accessory grants it.
 * Without a transient one before it, a split one has nothing to go on from.
 */
import { type Controller, chapter, hap, outcomes } from '../../harness/suite.js';

const m2 = outcomes.success('setup-m2');
const both = hap.integerValue(hap.PairingFlag.Transient + hap.PairingFlag.Split);
const split = hap.integerValue(hap.PairingFlag.Split);

/** Flags of M2 as hexadecimal digits. */
function echoIn(controller: Controller, outcome: outcomes.Outcome): string | undefined {
  const flags = controller.flagsOf(outcome);
  return flags && hap.hex(flags);
}

export default chapter('transient.split', ({ check }) => [
  check(
    'SPLIT-01',
    'Transient+Split M1 echoes the flags',
    {
      from: 'unpaired',
      risky: true,
      costs: { m2: 1 },
      allow: [m2, outcomes.tlvError(2), outcomes.badRequest()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence(), outcomes.success('setup-m4')],
    },
    async ({ controller, expect, observe, violate }) => {
      const setup = await controller.setup({ flags: both });
      const outcome = await setup.sendM1();
      expect(outcome).to.be.allowed();
      const echo = echoIn(controller, outcome);
      observe('Flags in M2', echo ?? (m2.matches(outcome) ? 'none: no split Pair Setup' : 'M1 is refused'));
      if (echo !== undefined && echo !== hap.hex(both))
        violate(
          `M2 carries Flags ${echo}, and M1 asked for ${hap.hex(both)}${controller.hintAt(hap.fromHex(echo))}`,
        );
    },
  ),

  check(
    'SPLIT-02',
    'Split follow-up uses the same verifier',
    {
      from: 'unpaired',
      leaves: 'paired',
      needs: ['PS-M5-01'],
      costs: { m2: 2, m4: 2, m6: 1 },
      allow: [m2],
      forbid: [outcomes.anyRefusal(), outcomes.silence()],
    },
    async ({ controller, bench, expect, notApplicable, violate }) => {
      const first = await controller.transient({ flags: both });
      const { salt, B } = first.setup.m2!;
      if (!first.setup.grantsSplit) notApplicable('M2 does not grant a split Pair Setup');
      await bench.closeLinks();
      const setup = await controller.setup({ flags: split });
      const outcome = await setup.sendM1();
      expect(outcome, 'the second M1').to.be.allowed();
      if (echoIn(controller, outcome) !== hap.hex(split))
        violate(
          `M2 of the second half carries ${echoIn(controller, outcome) ?? 'no'} Flags, not ${hap.hex(split)}`,
        );
      // The controller has asked the user for the code once, and must be able to go on with it.
      if (hap.hex(setup.m2!.salt!) !== hap.hex(salt!))
        violate('the second half begins with another Salt: the verifier was not kept');
      if (hap.hex(setup.m2!.B!) === hap.hex(B!)) violate('the second half repeats the B of the first one');
      setup.answerM2();
      await setup.m3();
      await setup.m5();
    },
  ),

  check(
    'SPLIT-03',
    'Split without a preceding transient',
    {
      from: 'unpaired',
      needsHook: 'restart',
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [m2, outcomes.tlvError(2, 'Authentication')],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, observe }) => {
      await bench.restart();
      const setup = await controller.setup({ flags: split, code: 'wrong' });
      const outcome = await setup.sendM1();
      expect(outcome).to.be.allowed();
      observe('Split without a transient setup before it', m2.matches(outcome) ? 'served' : 'refused');
      if (!m2.matches(outcome)) return;
      // A verifier that is not there must not be one that opens to any code.
      setup.answerM2();
      expect(await setup.sendM3(), 'a wrong code').to.be.allowed({
        allow: [outcomes.tlvError(4)],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.success('setup-m4')],
      });
    },
  ),
]);
