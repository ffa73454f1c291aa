/**
 * Pair Setup as it is in a house: hubs of former homes that ask again and again, clients that begin and do not go on,
 * and people who type the code while the connection waits.
 * The controller that has the code pairs beside them and after them.
 */
import { type CheckContext, chapter, hap, outcomes } from '../../harness/suite.js';

const m2 = outcomes.success('setup-m2');
const m4 = outcomes.success('setup-m4');
const m6 = outcomes.success('setup-m6');
const verified = outcomes.success('verify-m4');

/** Milliseconds between two tries of a hub nobody knows any more. */
const HUB_ASKS_EACH = 1_000;
/** So often in a row it is refused before somebody else is served. */
const TRIES = 8;
/** Milliseconds in which a code is typed: an iPhone sends M1 before it asks for it. */
const TYPED = 20_000;
const TYPED_SLOWLY = 60_000;

/** Pair Verify of a controller the accessory does not know, on a connection of its own. */
async function staleHub({ controller, expect }: CheckContext, as: hap.Identity): Promise<void> {
  const verify = await controller.verify({ as, housekeeping: true });
  const asked = await verify.sendM1();
  expect(asked, 'Pair Verify M1 of a stale hub').to.be.allowed({
    allow: [outcomes.success('verify-m2'), outcomes.tlvError(2), outcomes.badRequest(), outcomes.closed()],
    tolerate: [outcomes.anyRefusal()],
  });
  if (verify.m2?.items !== undefined)
    expect(await verify.sendM3(), 'Pair Verify M3 of a stale hub').to.be.allowed(
      outcomes.reject('verify-m4'),
    );
  await verify.link.close();
}

/** Pair Setup in three steps, with something in front of each; behind it the controller verifies. */
async function pairsBeside(context: CheckContext, meanwhile: () => Promise<void>): Promise<void> {
  const { controller, expect } = context;
  await meanwhile();
  const setup = await controller.setup({ identity: controller.newGuest() });
  expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [m2] });
  setup.answerM2();
  await meanwhile();
  expect(await setup.sendM3(), 'M3').to.be.allowed({ allow: [m4] });
  await meanwhile();
  const outcome = await setup.sendM5();
  expect(outcome, 'M5').to.be.allowed({ allow: [m6] });
  if (outcome.kind === 'reply') setup.readM6(outcome);
  await setup.link.close();
  const verify = await controller.verify();
  expect(await verify.sendM1(), 'Pair Verify M1').to.be.allowed({ allow: [outcomes.success('verify-m2')] });
  controller.accept(verify.m2!);
  expect(await verify.sendM3(), 'Pair Verify M3').to.be.allowed({ allow: [verified] });
}

const pairing = { from: 'unpaired', leaves: 'paired', allow: [m6] } as const;

export default chapter('pair-setup.household', ({ check }) => [
  check(
    'PS-STATE-18/stale-hub',
    'Pair Setup beside others in the house',
    {
      ...pairing,
      needs: ['PS-M5-01', 'PV-M1-04', 'PV-M3-01'],
      worth: 'spare',
      costs: { m2: 1, m4: 1, m6: 1, verifies: 4 },
    },
    async (context) => {
      const { controller, bench } = context;
      const hub = controller.newIdentity();
      await pairsBeside(context, async () => {
        await staleHub(context, hub);
        await bench.clock.sleep(HUB_ASKS_EACH);
      });
    },
  ),
  check(
    'PS-STATE-18/half-an-m1-elsewhere',
    'Pair Setup beside others in the house',
    {
      ...pairing,
      needs: ['PS-M5-01', 'PV-M3-01'],
      worth: 'spare',
      costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
    },
    async (context) => {
      const { controller } = context;
      const body = hap.encodeTlv(hap.setupM1(hap.Method.PairSetup));
      const headers = [['Content-Type', controller.profile.mediaType]] as const;
      const [half, silent] = [await controller.open(), await controller.open()];
      const bytes = half.encode({ method: 'POST', path: controller.profile.paths.setup, headers, body });
      half.said('Pair Setup M1 without its last three bytes');
      half.send(bytes.subarray(0, -3));
      silent.said('nothing on this connection');
      await pairsBeside(context, () => Promise.resolve());
    },
  ),
  check(
    'PV-STATE-10',
    'Pair Verify behind many that were refused',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'PV-M3-02'],
      costs: { verifies: TRIES + 2 },
      allow: [verified],
    },
    async (context) => {
      const { controller, expect } = context;
      const session = await controller.session();
      const hub = controller.newIdentity();
      // Between any two of them: an accessory may close a session that says nothing for long.
      for (let i = 0; i < TRIES; i++) {
        await staleHub(context, hub);
        expect(await session.get(controller.profile.resource), 'the session beside them').to.be.allowed({
          allow: [outcomes.answered(200)],
        });
      }
      const verify = await controller.verify();
      expect(await verify.sendM1(), 'Pair Verify M1 of the admin').to.be.allowed({
        allow: [outcomes.success('verify-m2')],
      });
      controller.accept(verify.m2!);
      expect(await verify.sendM3(), 'Pair Verify M3 of the admin').to.be.allowed();
    },
  ),

  check(
    'PS-M3-20/20-seconds',
    'The code may be typed in human time',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      worth: 'spare',
      costs: { m2: 2, m4: 1, seconds: TYPED / 1000 },
      allow: [m4],
      forbid: [outcomes.anyRefusal(), outcomes.silence()],
    },
    async ({ controller, bench, expect }) => {
      const early = await controller.setup();
      const setup = await controller.pairSetup();
      await bench.clock.sleep(TYPED);
      const outcome = await setup.sendM3();
      if (!m4.matches(outcome)) bench.tally.spendAttempt();
      expect(outcome, 'M3, 20 s behind M2').to.be.allowed();
      await setup.link.close();
      // It may have been closed: a connection on which nothing was ever asked is nobody's.
      if (await early.link.stillOpen(50))
        expect(await early.sendM1(), 'M1 on a connection that had waited 20 s').to.be.allowed({
          allow: [m2],
          tolerate: [outcomes.closed()],
        });
    },
  ),
  check(
    'PS-M3-20/60-seconds',
    'The code may be typed in human time',
    {
      from: 'unpaired',
      needs: ['PS-M3-01', 'PS-M3-20/20-seconds'],
      worth: 'spare',
      costs: { m2: 1, m4: 1, seconds: TYPED_SLOWLY / 1000 },
      allow: [m4],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect }) => {
      const setup = await controller.pairSetup();
      await bench.clock.sleep(TYPED_SLOWLY);
      const outcome = await setup.sendM3();
      if (!m4.matches(outcome)) bench.tally.spendAttempt();
      expect(outcome, 'M3, 60 s behind M2').to.be.allowed();
    },
  ),
]);
