/**
 * Several procedures on one connection, as real controllers chain them: they ask whether they are known, and pair when
 * they are not; they try the key of another home, and then their own.
 * A connection may end behind a refusal; then the next procedure comes on another one.
 */
import { type CheckContext, type Link, chapter, outcomes } from '../../harness/suite.js';

const m2 = outcomes.success('verify-m2');
const m4 = outcomes.success('verify-m4');

/** The connection while it is there, or another one. */
async function onward({ controller }: CheckContext, link: Link): Promise<Link> {
  return (await link.stillOpen(50)) ? link : controller.open();
}

/** Pair Verify by somebody the accessory does not know, as far as asked for. */
async function asStranger(context: CheckContext, link: Link, upTo: 'm1' | 'm3'): Promise<void> {
  const { controller, expect } = context;
  const verify = await controller.verify({ as: controller.newIdentity(), link, housekeeping: true });
  const asked = await verify.sendM1();
  expect(asked, 'Pair Verify M1 of a stranger').to.be.allowed({
    allow: [m2, outcomes.tlvError(2), outcomes.badRequest(), outcomes.closed()],
    tolerate: [outcomes.anyRefusal()],
  });
  if (upTo === 'm3' && verify.m2?.items !== undefined && m2.matches(asked))
    expect(await verify.sendM3(), 'Pair Verify M3 of a stranger').to.be.allowed(outcomes.reject('verify-m4'));
}

/** Pair Verify of the admin, and a request in its session. */
async function asAdmin({ controller, expect }: CheckContext, link: Link): Promise<void> {
  const verify = await controller.verify({ link });
  expect(await verify.sendM1(), 'Pair Verify M1').to.be.allowed({ allow: [m2] });
  controller.accept(verify.m2!);
  expect(await verify.sendM3(), 'Pair Verify M3').to.be.allowed({ allow: [m4] });
  expect(await verify.secure().get(controller.profile.resource), 'its session').to.be.allowed({
    allow: [outcomes.answered(200)],
  });
}

export default chapter('pair-verify.chains', ({ check }) => [
  ...(['m1', 'm3'] as const).map((upTo) =>
    check(
      `PV-STATE-09/setup-behind-a-verify-${upTo}`,
      'Procedures follow one another on one connection',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01', 'PV-M1-04'],
        risky: true,
        costs: { m2: 1, m4: 1, m6: 1, verifies: 2 },
        allow: [outcomes.success('setup-m6')],
      },
      async (context) => {
        const { controller, expect } = context;
        const first = await controller.open();
        await asStranger(context, first, upTo);
        const link = await onward(context, first);
        const setup = await controller.setup({ link, identity: controller.newGuest() });
        expect(await setup.sendM1(), 'Pair Setup M1').to.be.allowed({
          allow: [outcomes.success('setup-m2')],
        });
        setup.answerM2();
        expect(await setup.sendM3(), 'Pair Setup M3').to.be.allowed({
          allow: [outcomes.success('setup-m4')],
        });
        const outcome = await setup.sendM5();
        expect(outcome, 'Pair Setup M5').to.be.allowed();
        if (outcome.kind === 'reply') setup.readM6(outcome);
        // Pair Verify on the connection of Pair Setup is the question of PS-M5-03.
        await link.close();
        await asAdmin(context, await controller.open());
      },
    ),
  ),
  check(
    'PV-STATE-09/verify-behind-a-stranger',
    'Procedures follow one another on one connection',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'PV-M3-02', 'PV-STATE-04/new-m1'],
      costs: { verifies: 2 },
      allow: [m4],
    },
    async (context) => {
      const link = await context.controller.open();
      await asStranger(context, link, 'm3');
      await asAdmin(context, await onward(context, link));
    },
  ),
]);
