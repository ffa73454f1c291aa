/**
 * Keys, signatures and proofs that hold a zero byte, each found by search before it is sent. Text functions stop at a
 * zero byte, and numbers lose those in front: one pairing in 256 does not come about, or one in eight.
 * Elsewhere the keys the harness draws have none, so that such a mistake is named here and not by chance.
 */
import { type CheckContext, chapter, hap, outcomes } from '../../harness/suite.js';

const added = outcomes.success('pairings-add');
const listed = outcomes.success('pairings-list');
const m2 = outcomes.success('verify-m2');
const m4 = outcomes.success('verify-m4');

/** The signature of M5 over what Pair Setup has come to (seed 002 §2.7). */
function signatureOf({ id, ltpk, ltsk }: hap.Identity, K: hap.Bytes): hap.Bytes {
  return hap.sign(ltsk, hap.signedInfo(hap.deriveKey('Pair-Setup-Controller-Sign', K), id, ltpk));
}

/** Where LTPK and signature of an M5 have their zero byte. */
const introductions: Readonly<Record<string, readonly [ltpk: hap.ZeroByte, signature: hap.ZeroByte]>> = {
  'ltpk-first': ['first', 'nowhere'],
  'ltpk-inside': ['inside', 'nowhere'],
  'signature-first': ['nowhere', 'first'],
};

/** Pair Verify of somebody whose key is known, and a request in the session. */
async function verifies({ controller, expect }: CheckContext, as: hap.Identity): Promise<void> {
  const verify = await controller.verify({ as });
  expect(await verify.sendM1(), 'Pair Verify M1').to.be.allowed({ allow: [m2] });
  controller.accept(verify.m2!);
  expect(await verify.sendM3(), 'Pair Verify M3').to.be.allowed({ allow: [m4] });
  expect(await verify.secure().get(controller.profile.resource), 'its session').to.be.allowed({
    allow: [outcomes.answered(200)],
  });
}

export default chapter('values.zero-bytes', ({ check }) => [
  check(
    'PS-M3-19',
    'Proof with a leading zero byte',
    {
      from: 'unpaired',
      needs: ['PS-M3-01', 'PS-M3-03', 'PS-M3-16'],
      costs: { m2: 1, m4: 1 },
      allow: [outcomes.success('setup-m4')],
      forbid: [outcomes.anyRefusal(), outcomes.silence()],
    },
    async ({ controller, bench, expect }) => {
      const setup = await controller.pairSetup({ leadingZero: 'M1' });
      const outcome = await setup.sendM3();
      if (!outcomes.success('setup-m4').matches(outcome)) bench.tally.spendAttempt();
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply')
        expect(setup.readM4(outcome).findings, 'the proof in M4').to.deep.equal([]);
    },
  ),

  ...Object.entries(introductions).map(([name, [ltpk, signature]]) =>
    check(
      `PS-M5-18/${name}`,
      'Zero bytes in the key and the signature of M5',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01', 'PV-M3-01'],
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
        allow: [outcomes.success('setup-m6')],
        forbid: [outcomes.anyRefusal(), outcomes.silence()],
      },
      async (context) => {
        const { controller, bench, expect } = context;
        controller.needsRemoval();
        const setup = await controller.pairSetup();
        await setup.m3();
        const { K } = setup.machine.session;
        setup.machine.identity = controller.newIdentity(
          undefined,
          (identity) =>
            hap.hasZeroByte(identity.ltpk, ltpk) && hap.hasZeroByte(signatureOf(identity, K), signature),
        );
        const outcome = await setup.sendM5();
        expect(outcome).to.be.allowed();
        if (outcome.kind === 'reply') setup.readM6(outcome);
        await bench.closeLinks();
        await verifies(context, setup.identity);
      },
    ),
  ),

  ...(['first', 'inside'] as const).map((where) =>
    check(
      `PV-M1-07/${where}`,
      'Zero bytes in the ephemeral key of M1',
      {
        from: 'paired',
        needs: ['PV-M3-01'],
        costs: { verifies: 1 },
        allow: [m4],
        forbid: [outcomes.anyRefusal(), outcomes.silence()],
      },
      async ({ controller, expect }) => {
        const verify = await controller.verify({ zeroByte: where });
        expect(await verify.sendM1(), 'M1').to.be.allowed({ allow: [m2] });
        controller.accept(verify.m2!);
        expect(await verify.sendM3(), 'M3').to.be.allowed();
        expect(await verify.secure().get(controller.profile.resource), 'the session').to.be.allowed({
          allow: [outcomes.answered(200)],
        });
      },
    ),
  ),

  check(
    'PAIRINGS-27',
    'Zero bytes in the key of an Add',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'PAIRINGS-01', 'PAIRINGS-04'],
      costs: { verifies: 4 },
      allow: [added],
      forbid: [outcomes.anyRefusal(), outcomes.silence()],
    },
    async (context) => {
      const { controller, expect } = context;
      controller.needsRemoval();
      const session = await controller.session();
      for (const where of ['first', 'inside', 'last'] as const) {
        const guest = controller.newIdentity(undefined, ({ ltpk }) => hap.hasZeroByte(ltpk, where));
        expect(await session.sendAdd(guest, hap.Permission.Admin), `Add, ${where}`).to.be.allowed();
        const list = await session.sendPairings(hap.listPairings());
        expect(list, 'List').to.be.allowed({ allow: [listed] });
        const keys = session
          .pairingsIn(list)
          .entries.filter(({ id }) => hap.equal(id, guest.id))
          .map(({ ltpk }) => hap.hex(ltpk));
        expect(keys, `the key in the list, ${where}`).to.deep.equal([hap.hex(guest.ltpk)]);
        await verifies(context, guest);
        await session.sendRemove(guest.id);
      }
    },
  ),
]);
