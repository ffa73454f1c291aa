/**
 * What has been done once, done again: the admin adds itself, and pairs anew with the key it always had.
 * A phone keeps its identifier and its key for all accessories and all times; the harness elsewhere draws new ones.
 */
import { type CheckContext, type Session, chapter, hap, outcomes } from '../../harness/suite.js';
import * as shared from './shared.js';

/** How often it is removed and paired again. */
const ROUNDS = 2;
const verified = outcomes.success('verify-m4');

/** The list, which has to come: one line for each entry. */
async function listOf({ expect }: CheckContext, session: Session): Promise<string[]> {
  const outcome = await session.sendPairings(hap.listPairings());
  expect(outcome, 'List').to.be.allowed({ allow: [shared.listed] });
  const { entries } = session.pairingsIn(outcome);
  return entries.map(({ id, ltpk, permissions }) => shared.line({ id, ltpk }, permissions)).sort();
}

export default chapter('pairings.again', ({ check }) => [
  ...(['alone', 'beside-another-admin', 'twice'] as const).map((name) =>
    check(
      `PAIRINGS-25/${name}`,
      'The admin adds itself again',
      { ...shared.paired, costs: { verifies: 2 }, allow: [shared.added] },
      async (context) => {
        const { controller, bench, expect, warn } = context;
        const session = await controller.session();
        const others = name === 'beside-another-admin' ? [controller.newGuest()] : [];
        for (const other of others) await session.add(other, hap.Permission.Admin);
        const before = await shared.lines(session);
        for (let i = 0; i < (name === 'twice' ? 2 : 1); i++)
          expect(
            await session.sendAdd(bench.admin!, hap.Permission.Admin),
            'Add of itself, nothing about it changed',
          ).to.be.allowed();
        if (!(await session.link.stillOpen(50))) warn('the session ends, though nothing has changed');
        else expect(await listOf(context, session), 'the list in its session').to.deep.equal(before);
        const verify = await controller.pairVerify();
        expect(await verify.sendM3(), 'Pair Verify anew').to.be.allowed({ allow: [verified] });
        const anew = verify.secure();
        expect(await listOf(context, anew), 'the list behind Pair Verify anew').to.deep.equal(before);
        expect(await anew.get(controller.profile.resource), 'a request behind it').to.be.allowed({
          allow: [outcomes.answered(200)],
        });
        await shared.empty(anew, others);
      },
    ),
  ),
  check(
    'PAIRINGS-26',
    'A controller that was removed pairs again',
    {
      ...shared.paired,
      leaves: 'paired',
      needs: [...shared.paired.needs, 'PS-M5-01', 'PAIRINGS-19/alone'],
      costs: { m2: ROUNDS, m4: ROUNDS, m6: ROUNDS, verifies: ROUNDS + 1 },
      allow: [outcomes.success('setup-m6')],
    },
    async (context) => {
      const { controller, bench, expect } = context;
      const admin = bench.admin!;
      let session = await controller.session();
      for (let round = 1; round <= ROUNDS; round++) {
        expect(await session.sendRemove(admin.id), `Remove of itself, time ${round}`).to.be.allowed({
          allow: [shared.removed],
        });
        bench.state = 'unknown';
        await bench.closeLinks();
        const setup = await controller.pairSetup({ identity: admin });
        await setup.m3();
        const outcome = await setup.sendM5();
        expect(outcome, `M5 of the same controller, time ${round}`).to.be.allowed();
        if (outcome.kind === 'reply') setup.readM6(outcome);
        await bench.closeLinks();
        const verify = await controller.pairVerify();
        const m4 = await verify.sendM3();
        // M6 said it was stored; where it was not, nobody is.
        if (!verified.matches(m4)) bench.state = 'unknown';
        expect(m4, `Pair Verify behind pairing again, time ${round}`).to.be.allowed({ allow: [verified] });
        session = verify.secure();
        expect(await listOf(context, session), 'the list').to.deep.equal([shared.line(admin, 1)]);
      }
    },
  ),
]);
