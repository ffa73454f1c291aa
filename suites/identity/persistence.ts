/**
 * What has to survive a restart, and what has to be gone behind a factory reset: identity, pairings, counters.
 * An accessory that comes back as another one loses every controller it had.
 * The checks need the hooks that restart and reset it.
 */
import {
  type CheckContext,
  type Controller,
  type Link,
  chapter,
  hap,
  outcomes,
} from '../../harness/suite.js';

/** Sessions by which an identity is seen to stay what it is. */
const SESSIONS = 20;
const verified = { allow: [outcomes.success('verify-m4')] };
/** How often hubs come while it starts, how long they wait for each other (ms), and for the first connection (ms). */
const EARLY_ROUNDS = 4;
const EARLY_PAUSE = 250;
const EARLY_DEADLINE = 30_000;
const withCode = {
  needs: ['PS-M3-01'],
  costs: { m2: 1, m4: 1 },
  allow: [outcomes.success('setup-m4')],
};
/** Somebody the accessory must not know any more: refused in M2 or M4, best by a TLV error as everywhere in Pair Verify. */
const stranger = {
  allow: [outcomes.tlvError(4), outcomes.tlvError(2)],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.success('verify-m4')],
};

/** A Pair Verify with a record from before: M2 must prove the identity M6 gave, and M4 must let it in. */
async function verifyAgain({ controller, expect, violate }: CheckContext, as: hap.Identity, when: string) {
  const verify = await controller.verify({ as });
  expect(await verify.sendM1(), `M2 ${when}`).to.be.allowed({ allow: [outcomes.success('verify-m2')] });
  const wrong = verify.m2?.findings.find(({ fatal }) => fatal);
  if (wrong !== undefined) violate(`${when}: ${wrong.what}`);
  const m4 = await verify.sendM3();
  // A pairing that is gone has to be seen before anything else relies on it.
  if (!outcomes.success('verify-m4').matches(m4)) violate(`${when}: the controller that paired is refused`);
  expect(m4, `M4 ${when}`).to.be.allowed(verified);
  return verify.secure();
}

/**
 * What hubs do behind a power cut: they come as soon as a connection comes about, all at once, and give up and come
 * again. Nothing of it is judged: a device that is starting may refuse, close and be silent.
 */
async function comeEarly({ controller, bench }: CheckContext): Promise<void> {
  const { clock } = bench;
  const giveUp = clock.now() + EARLY_DEADLINE;
  for (let rounds = 0; rounds < EARLY_ROUNDS && clock.now() < giveUp;) {
    const links: Link[] = [];
    for (let i = 0; i < 4; i++) {
      const link = await controller.openAt(bench.options.dialer);
      if (link !== undefined) links.push(link);
    }
    const [verifying, reading, half, gone] = links;
    if (verifying !== undefined) {
      rounds++;
      const verify = await controller.verify({ link: verifying, housekeeping: true });
      const { paths, mediaType } = controller.profile;
      const body = hap.encodeTlv(verify.machine.m1());
      const headers = [['Content-Type', mediaType]] as const;
      verifying.send(verifying.encode({ method: 'POST', path: paths.verify, headers, body }));
    }
    const read = { method: 'GET', path: controller.profile.resource };
    reading?.send(reading.encode(read));
    half?.send(half.encode(read).subarray(0, 9));
    await clock.sleep(EARLY_PAUSE);
    gone?.connection.reset();
    for (const link of links) if (link !== gone) await link.close();
  }
}

/** The code from before is still the one: M1 to M4, and no further. */
async function takesTheCode({ controller, bench, expect, notApplicable }: CheckContext, when: string) {
  if (bench.options.codeSource !== undefined)
    notApplicable('the code is read anew for each Pair Setup: it is not printed');
  const setup = await controller.pairSetup();
  expect(await setup.sendM3(), `M4 for the code from before, ${when}`).to.be.allowed();
}

/** What a controller that was paired once is answered now. */
async function formerOutcome(controller: Controller, as: hap.Identity) {
  const verify = await controller.verify({ as, housekeeping: true });
  const m2 = await verify.sendM1();
  return outcomes.success('verify-m2').matches(m2) ? verify.sendM3() : m2;
}

export default chapter('identity.persistence', ({ check }) => [
  check(
    'IDENT-01',
    'Accessory id and LTPK are stable',
    { from: 'paired', costs: { verifies: SESSIONS + 1 }, ...verified },
    async (context) => {
      const { controller, bench } = context;
      const admin = await controller.session();
      const user = await controller.letIn(admin);
      const controllers = [bench.admin!, user];
      for (let i = 1; i <= SESSIONS; i++) {
        const { link } = await verifyAgain(context, controllers[i % 2]!, `in session ${i}`);
        await link.close();
      }
    },
  ),

  ...(['at-once', 'after-5-seconds'] as const).map((moment) =>
    check(
      `IDENT-02/${moment}`,
      'Identity and pairings survive a restart',
      {
        from: 'unpaired',
        leaves: 'paired',
        needsHook: 'restart',
        needs: ['PS-M5-01', 'PV-M3-01'],
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
        allow: [outcomes.success('verify-m4')],
      },
      async (context) => {
        const { controller, bench, violate } = context;
        const { identity } = await controller.pair();
        if (moment === 'after-5-seconds') await bench.clock.sleep(5_000);
        await bench.restart();
        await verifyAgain(context, identity, 'after the restart').then(async (session) => {
          const { entries } = await session.list();
          const [own] = entries;
          const kept =
            entries.length === 1 &&
            hap.equal(own!.id, identity.id) &&
            hap.equal(own!.ltpk ?? own!.id, identity.ltpk);
          if (!kept) violate(`the list after the restart is not what was paired: ${entries.length} entries`);
        });
      },
    ),
  ),

  check(
    'IDENT-08',
    'Connections while it starts cost no pairing',
    {
      from: 'paired',
      needsHook: 'restart',
      needs: ['IDENT-02/at-once', 'PV-M3-01'],
      costs: { verifies: 1 + EARLY_ROUNDS },
      allow: [outcomes.success('verify-m4')],
    },
    async (context) => {
      const { bench, violate } = context;
      const identity = bench.admin!;
      await bench.restart(() => comeEarly(context));
      const session = await verifyAgain(context, identity, 'behind connections while it started');
      const { entries } = await session.list();
      if (!entries.some(({ id }) => hap.equal(id, identity.id)))
        violate('the list behind connections while it started is without the controller that paired');
    },
  ),

  check(
    'IDENT-03/setup',
    'Nothing volatile is carried over a restart',
    {
      from: 'unpaired',
      needsHook: 'restart',
      needs: ['PS-M3-01'],
      costs: { m2: 2, m4: 1, m6: 1 },
      allow: [outcomes.tlvError(6), outcomes.clientError()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.success('setup-m6')],
    },
    async ({ controller, bench, expect }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      await bench.restart();
      const outcome = await setup.on(await controller.open()).sendM5();
      setup.accepted(outcome);
      expect(outcome, 'M5 of the exchange from before the restart').to.be.allowed();
      expect(await controller.isUnpaired(), 'M1 is answered by M2').to.equal(true);
    },
  ),
  check(
    'IDENT-03/session',
    'Nothing volatile is carried over a restart',
    {
      from: 'paired',
      needsHook: 'restart',
      costs: { verifies: 1 },
      allow: [outcomes.closed(), outcomes.silence(), outcomes.clientError()],
      tolerate: [outcomes.anyRefusal()],
    },
    async ({ controller, bench, expect, violate }) => {
      const session = await controller.session();
      const request = { method: 'GET', path: '/accessories' };
      const [first, second] = [session.seal(request), session.seal(request)];
      await bench.restart();
      // Keys may have been kept with the counters or without.
      for (const frames of [first, second]) {
        const link = await controller.open();
        link.said('a frame of the session from before the restart');
        for (const frame of frames) link.send(frame);
        const outcome = await link.outcome(controller.judgedWait);
        if (outcome.kind === 'garbage') violate(`the old session goes on: ${outcome.what}`);
        expect(outcome).to.be.allowed();
      }
    },
  ),

  check(
    'IDENT-04',
    'Identity after removal of the last admin',
    {
      from: 'paired',
      leaves: 'paired',
      needs: ['PS-M5-01'],
      costs: { m2: 1, m4: 1, m6: 1, verifies: 2 },
      ...stranger,
    },
    async ({ controller, bench, expect, observe, violate }) => {
      const [former, before] = [bench.admin!, bench.accessory!];
      await bench.unpair();
      const stays = bench.keyring.stays(former);
      await controller.pair();
      const after = bench.accessory!;
      const [id, key] = [hap.equal(before.id, after.id), hap.equal(before.ltpk, after.ltpk)];
      if (id !== key)
        violate(
          id
            ? `id ${hap.text(before.id)} was kept and its LTPK was not: ${hap.hex(before.ltpk)} is ${hap.hex(after.ltpk)} now`
            : `LTPK ${hap.hex(before.ltpk)} was kept and the id was not: ${hap.text(before.id)} is ${hap.text(after.id)} now`,
        );
      expect(id, 'id and LTPK are kept or renewed together').to.equal(key);
      if (stays !== undefined) return observe('identity after the last removal', `none: ${stays}`);
      observe('identity after the last removal', id ? 'kept' : 'renewed');
      expect(await formerOutcome(controller, former), 'the controller that was removed').to.be.allowed();
    },
  ),

  check(
    'IDENT-05',
    'Factory reset renews the identity',
    {
      from: 'paired',
      leaves: 'paired',
      needsHook: 'reset',
      needs: ['PS-M5-01'],
      costs: { m2: 2, m4: 1, m6: 1, verifies: 1 },
      ...stranger,
    },
    async ({ controller, bench, expect, warn }) => {
      const [former, before] = [bench.admin!, bench.accessory!];
      await bench.factoryReset();
      // The setup code is still the one in the manual.
      await controller.pair();
      expect(await formerOutcome(controller, former), 'a controller from before the reset').to.be.allowed();
      expect(hap.hex(bench.accessory!.ltpk), 'the LTPK behind a factory reset').to.not.equal(
        hap.hex(before.ltpk),
      );
      if (hap.equal(bench.accessory!.id, before.id))
        warn(
          `the id ${hap.text(before.id)} outlives a factory reset, and its LTPK does not: former controllers find it and cannot verify it`,
        );
    },
  ),

  check(
    'IDENT-09/restarted',
    'The printed code outlives restart and reset',
    { ...withCode, from: 'unpaired', needsHook: 'restart' },
    async (context) => {
      await context.bench.restart();
      await takesTheCode(context, 'behind a restart');
    },
  ),
  check(
    'IDENT-09/reset',
    'The printed code outlives restart and reset',
    { ...withCode, from: 'any', needsHook: 'reset', leaves: 'unpaired' },
    async (context) => {
      await context.bench.factoryReset();
      await takesTheCode(context, 'behind a factory reset');
    },
  ),
]);
