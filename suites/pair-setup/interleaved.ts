/**
 * Pair Setup on several connections at once: who began first goes on, who comes second is told that it is busy.
 * Messages of one exchange on the connection of another, and two controllers that both come to M5.
 * One pairing comes of it at most, and the accessory is free again when the connections have ended.
 */
import {
  type Controller,
  type Link,
  type PairSetup,
  StepFailed,
  chapter,
  edits,
  hap,
  outcomes,
} from '../../harness/suite.js';
import * as shared from './shared.js';

const busy = outcomes.tlvError(2, 'Busy');

/** Milliseconds an accessory may need to notice that a connection has gone (PS-STATE-10). */
const FREE_AGAIN = 5_000;
/** When an M1 of a run that was Busy has come at the latest: the next one is sent when the five seconds are over. */
const LATEST = 2 * FREE_AGAIN;
/** Milliseconds after which a silent connection may no longer hold Pair Setup (PS-STATE-11). */
const FREE_AFTER_SILENCE = 60_000;

/** M1 on a new connection, again and again, until it is served or `patience` ms are over. */
async function polled(
  controller: Controller,
  patience: number,
  interval: number,
): Promise<{ setup: PairSetup; outcome: outcomes.Outcome; waited: number; refusals: number }> {
  const { clock } = controller.bench;
  const start = clock.now();
  for (let refusals = 0; ; refusals++) {
    const setup = await controller.setup();
    const outcome = await setup.sendM1(undefined, controller.stepWait, false);
    const waited = clock.now() - start;
    if (shared.m2.matches(outcome) || !outcomes.anyRefusal().matches(outcome) || waited >= patience)
      return { setup, outcome, waited, refusals };
    await setup.link.close();
    await clock.sleep(interval);
  }
}

/** Where an exchange stands when another M1 begins anew: each brings it there. */
const moments: Record<string, (setup: PairSetup) => Promise<unknown>> = {
  m4: (setup) => setup.m3(),
  'a-refused-m5': async (setup) => {
    await setup.m3();
    return setup.sendM5({}, edits.flip('EncryptedData', -1));
  },
  m2: () => Promise.resolve(),
  'a-refused-m3': (setup) => setup.sendM3(edits.flip('Proof', 0)),
};
/** Failed attempts, M4s and M6s that it takes to get there. */
const price: Record<string, readonly [attempts: number, m4: number, m6: number]> = {
  m4: [0, 1, 0],
  'a-refused-m5': [0, 1, 1],
  m2: [0, 0, 0],
  'a-refused-m3': [1, 1, 0],
};

/** Ways a controller goes away. */
const departures: Record<string, (link: Link, next: hap.Bytes) => void> = {
  fin: (link) => link.connection.finish(),
  rst: (link) => link.connection.reset(),
  'half-a-request': (link, next) => {
    link.send(next.subarray(0, next.length >> 1));
    link.connection.finish();
  },
};

export default chapter(
  'pair-setup.states',
  ({ check, watch }) => [
    ...(['after-m1', 'after-m4'] as const).map((moment) =>
      check(
        `PS-STATE-08/${moment}`,
        'M1 on a second connection while a setup is in progress',
        {
          from: 'unpaired',
          leaves: 'paired',
          ...(moment === 'after-m1' && { grid: ['setup-m1', 'other-connection'] as const }),
          needs: ['PS-M5-01'],
          costs: { m2: 1, m4: 1, m6: 1 },
          allow: [busy, shared.m2],
          // Seed 002 §2.4 tells the code; HTTP 429 is what the sibling document has for it (erratum E21), and an accessory
          // that serves one connection closes the second. A phone tries again behind each of these.
          tolerate: [outcomes.misplacedError(2, 'Busy'), outcomes.withoutCode()],
          forbid: [outcomes.silence()],
        },
        async ({ controller, expect, observe, violate }) => {
          const first = await controller.pairSetup();
          if (moment === 'after-m4') await first.m3();
          const second = await controller.setup();
          const outcome = await second.sendM1(undefined, controller.judgedWait, false);
          expect(outcome, 'M1 on a second connection').to.be.allowed();
          const served = shared.m2.matches(outcome);
          let went = moment === 'after-m4' || shared.m4.matches(await first.sendM3());
          if (went) went = shared.m6.matches(await shared.sendsM5(first));
          const how = served ? (went ? 'runs beside it' : 'takes over') : 'refused';
          observe('a second M1 while a setup is in progress', how);
          if (went) return;
          if (!served)
            violate('a second M1 was refused, and the setup in progress does not complete after it');
          if (!shared.m4.matches(await shared.takesM3(second)))
            violate('neither the setup in progress nor the one that took over completes');
        },
      ),
    ),
    check(
      'PS-STATE-09',
      'At most one of two concurrent setups succeeds',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01'],
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
        allow: [outcomes.success('pairings-list')],
      },
      async ({ controller, expect, observe, violate }) => {
        const setups = [await controller.pairSetup(), await controller.setup()];
        const ready: PairSetup[] = [];
        if (shared.m2.matches(await setups[1]!.sendM1(undefined, controller.stepWait, false)))
          controller.accept(setups[1]!.m2!);
        for (const setup of setups) {
          if (setup.m2 === undefined) continue;
          setup.machine.answer(setup.m2.salt!, setup.m2.B!);
          if (shared.m4.matches(await setup.sendM3())) ready.push(setup);
        }
        observe('setups that reach M4 side by side', String(ready.length));
        if (ready.length === 0) throw new StepFailed('PS-STATE-08', 'neither of two setups reached M4');
        const outcomes = await Promise.all(ready.map((setup) => setup.sendM5()));
        const winners = ready.filter((_setup, i) => shared.m6.matches(outcomes[i]!));
        if (winners.length > 1)
          violate('two controllers were both told that they are the first and only one');
        expect(winners.length, 'setups that succeed').to.equal(1);
        const outcome = outcomes[ready.indexOf(winners[0]!)]!;
        if (outcome.kind === 'reply') winners[0]!.readM6(outcome);
        const session = await controller.session();
        const list = await session.sendPairings(hap.listPairings());
        expect(list).to.be.allowed();
        const { entries } = session.pairingsIn(list);
        expect(entries.length, 'pairings').to.equal(1);
      },
    ),
    check(
      'PS-STATE-09/same-identifier',
      'At most one of two concurrent setups succeeds',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01'],
        costs: { m2: 2, m4: 2, m6: 2, verifies: 2 },
        allow: [outcomes.tlvError(6), outcomes.tlvError(2), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal()],
        forbid: [shared.m6],
      },
      async ({ controller, bench, expect, notApplicable }) => {
        const first = await controller.pairSetup();
        const identity = controller.newIdentity(first.identity.id);
        const second = await controller.setup({ identity });
        const begun = await second.sendM1(undefined, controller.stepWait, false);
        if (!shared.m2.matches(begun))
          notApplicable('one Pair Setup at a time: M1 on a second connection is refused');
        if (!shared.m4.matches(await shared.takesM3(second)) || !shared.m4.matches(await first.sendM3()))
          notApplicable('one Pair Setup at a time: the second M1 has taken it over');
        await first.m5();
        const late = await second.sendM5();
        // Whatever came of it: the key of the first controller is the one that was told that it is in.
        bench.paired(first.identity, bench.accessory);
        expect(late, 'M5 of the same identifier with another key, behind M6').to.be.allowed();
        expect(await controller.isStored(identity), 'the other key opens the accessory').to.equal(false);
        expect(await controller.isStored(first.identity), 'the first key opens it').to.equal(true);
      },
    ),
    watch(
      'PS-STATE-10/any-moment',
      'Busy ends when the other connection closes',
      'admission',
      ({ what, shut, busy }, { expect, violate }) => {
        if (what !== 'Pair Setup') return;
        if (shut?.requirement === 'PS-STATE-10') violate(shut.what);
        if (shut === undefined)
          expect(
            busy,
            'milliseconds of Busy behind the end of every connection that began a Pair Setup',
          ).to.be.at.most(LATEST);
      },
    ),
    ...(['m2', 'm4'] as const).flatMap((moment) =>
      (['fin', 'rst'] as const).map((way) =>
        check(
          `PS-STATE-10/${way}-after-${moment}`,
          'Busy ends when the other connection closes',
          {
            from: 'unpaired',
            needs: moment === 'm4' ? ['PS-M3-01'] : [],
            costs: { m2: 2, ...(moment === 'm4' && { m4: 1 }) },
            allow: [shared.m2],
          },
          async ({ controller, expect, observe }) => {
            const setup = await controller.pairSetup();
            if (moment === 'm4') await setup.m3();
            departures[way]!(setup.link, shared.nothing);
            const { outcome, waited } = await polled(controller, FREE_AGAIN, 500);
            expect(outcome, `M1 ${FREE_AGAIN / 1000} s after the other connection has gone`).to.be.allowed();
            observe('milliseconds until Pair Setup is free', String(Math.round(waited)));
          },
        ),
      ),
    ),
    check(
      'PS-STATE-11',
      'Busy ends by timeout when the other connection goes silent',
      {
        from: 'unpaired',
        needs: ['PS-M3-01'],
        costs: { m2: 2, m4: 1, attempts: 1, seconds: 30 },
        allow: [shared.m2],
        tolerate: [busy],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect, observe }) => {
        const silent = await controller.pairSetup();
        const { outcome, waited, refusals } = await polled(controller, FREE_AFTER_SILENCE, 2_000);
        expect(outcome, `M1 after ${FREE_AFTER_SILENCE / 1000} s of silence elsewhere`).to.be.allowed();
        observe(
          'seconds until Pair Setup is free',
          shared.m2.matches(outcome) ? String(Math.round(waited / 1000)) : 'more than 60',
        );
        // An accessory that was never busy runs setups side by side, and the first may well go on.
        if (!shared.m2.matches(outcome) || refusals === 0 || !(await silent.link.stillOpen(50))) return;
        expect(await silent.sendM3(), 'M3 of the setup that timed out').to.be.allowed({
          ...outcomes.reject('setup-m4'),
          tolerate: [outcomes.anyRefusal()],
        });
      },
    ),
    check(
      'PS-STATE-12/m3',
      'SRP state is bound to its connection',
      {
        from: 'unpaired',
        grid: ['setup-m3', 'other-connection'],
        needs: ['PS-M3-01'],
        costs: { m2: 1, m4: 1, attempts: 1 },
        allow: [outcomes.tlvError(4), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal(), shared.m4],
      },
      async ({ controller, expect, violate }) => {
        const owner = await controller.pairSetup();
        const other = await controller.open();
        const { A, M1 } = owner.machine.session;
        const outcome = await (await controller.setup({ link: other })).sendItems(hap.setupM3(A, M1));
        expect(outcome).to.be.allowed();
        if (!shared.m4.matches(outcome)) return;
        const stranger = await controller.setup();
        if (shared.m6.matches(await stranger.sendM5({ secret: shared.zeroSecret, key: shared.zeroKey })))
          violate('one SRP state serves every connection, and a third one paired without knowing K');
      },
    ),
    check(
      'PS-STATE-12/m5',
      'SRP state is bound to its connection',
      {
        ...shared.afterM4,
        grid: ['setup-m5', 'other-connection'],
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
        allow: [outcomes.tlvError(6), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal(), shared.m6],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect }) => {
        const owner = await controller.pairSetup();
        await owner.m3();
        const outcome = await owner.on(await controller.open()).sendM5();
        expect(outcome).to.be.allowed();
        if (outcome.kind === 'reply' && shared.m6.matches(outcome)) {
          // Who goes by the exchange and not by the connection answers it; who answers anything, with something else.
          const defect = owner.readM6(outcome).findings.find(({ requirement }) => requirement === 'PS-M5-01');
          expect(defect?.what, 'M6').to.equal(undefined);
        } else expect(await controller.isStored(owner.identity), 'stored').to.equal(false);
      },
    ),
    check(
      'PS-STATE-13',
      'Replay of a recorded M3',
      {
        from: 'unpaired',
        needs: ['PS-M3-01'],
        costs: { m2: 2, m4: 2, attempts: 1 },
        allow: [outcomes.tlvError(4, 'Authentication')],
        // By which code is PS-M3-04's question.
        tolerate: [outcomes.anyRefusal()],
        forbid: [shared.m4],
      },
      async ({ controller, expect }) => {
        const recorded = await controller.pairSetup();
        await recorded.m3();
        await recorded.link.close();
        const { A, M1 } = recorded.machine.session;
        const replay = await controller.setup();
        controller.must('setup-m2', 'PS-M1-01', await replay.sendM1(undefined, controller.stepWait));
        expect(await replay.sendItems(hap.setupM3(A, M1)), 'the recorded M3').to.be.allowed();
      },
    ),
    ...(['m1', 'm3', 'm5'] as const).flatMap((step) =>
      Object.entries(departures).map(([way, leave]) =>
        check(
          `PS-STATE-14/${way}-after-${step}`,
          'Abort at every step leaves the accessory pairable',
          {
            from: 'unpaired',
            leaves: 'paired',
            needs: ['PS-M5-01'],
            costs: {
              m2: 2,
              m4: step === 'm1' ? 1 : 2,
              m6: step === 'm5' ? 2 : 1,
              ...(step === 'm5' && { verifies: 1 }),
            },
            allow: [shared.m6],
          },
          async ({ controller, bench, expect }) => {
            const setup = await controller.setup();
            expect(await setup.sendM1(undefined, controller.stepWait), 'M1 at first').to.be.allowed({
              allow: [shared.m2],
            });
            controller.accept(setup.m2!);
            setup.machine.answer(setup.m2!.salt!, setup.m2!.B!);
            if (step !== 'm1') await setup.m3();
            if (step === 'm5') await setup.m5();
            const next = setup.link.encode({
              method: 'POST',
              path: controller.profile.paths.setup,
              headers: [['Content-Type', controller.profile.mediaType]],
              body: hap.encodeTlv(
                step === 'm1' ? setup.machine.m3() : step === 'm3' ? setup.machine.m5() : hap.setupM1(),
              ),
            });
            leave(setup.link, next);
            if (step === 'm5') await bench.unpair();
            const { setup: fresh, outcome } = await polled(controller, FREE_AGAIN, 500);
            expect(outcome, 'M1 afterwards').to.be.allowed({ allow: [shared.m2] });
            expect(await shared.takesM3(fresh), 'M3 afterwards').to.be.allowed({ allow: [shared.m4] });
            expect(await shared.sendsM5(fresh.asGuest()), 'M5 afterwards').to.be.allowed();
          },
        ),
      ),
    ),
    check(
      'PS-STATE-16',
      'Pair Verify between Pair Setup messages',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01'],
        risky: true,
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
        allow: [outcomes.success('verify-m2'), outcomes.tlvError(2), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      },
      async ({ controller, bench, expect, observe, violate }) => {
        const setup = await controller.pairSetup();
        const verify = await controller.verify({
          as: controller.newIdentity(),
          link: setup.link,
          housekeeping: true,
        });
        expect(await verify.sendM1(undefined, controller.judgedWait), 'Pair Verify M1').to.be.allowed();
        const goesOn = {
          allow: [shared.m4, shared.m6, outcomes.tlvError(4), outcomes.tlvError(6), outcomes.badRequest()],
          tolerate: [outcomes.anyRefusal()],
          forbid: [outcomes.silence()],
        };
        if (await setup.link.stillOpen(50)) {
          const third = await setup.sendM3();
          expect(third, 'M3 behind it').to.be.allowed(goesOn);
          if (shared.m4.matches(third)) {
            const fifth = await shared.sendsM5(setup);
            expect(fifth, 'M5 behind it').to.be.allowed(goesOn);
            observe('Pair Setup around a Pair Verify M1', shared.m6.matches(fifth) ? 'completes' : 'ends');
            if (shared.m6.matches(fifth)) return;
          }
        }
        await setup.link.close();
        if (bench.state === 'unknown') await bench.ensure('unpaired');
        const { setup: fresh } = await polled(controller, FREE_AGAIN, 500);
        if (
          fresh.m2 === undefined ||
          !shared.m4.matches(await shared.takesM3(fresh)) ||
          !shared.m6.matches(await shared.sendsM5(fresh.asGuest()))
        )
          violate('a new Pair Setup does not complete after a Pair Verify M1 came between');
      },
    ),
    // Once M1 was answered by a new M2, nothing of the exchange before is good for anything, wherever it comes.
    ...(['m5', 'm3'] as const).flatMap((old) =>
      Object.entries(moments).flatMap(([moment, bring]) =>
        (['', '-on-another-connection'] as const).flatMap((where) => {
          // No M5 was ever due there.
          if (old === 'm5' && moment === 'm2') return [];
          const [attempts, m4s, m6s] = price[moment]!;
          return check(
            `PS-STATE-17/${old}-of-${moment}${where}`,
            'A new M1 ends the exchange before',
            {
              from: 'unpaired',
              needs: ['PS-M3-01', ...(old === 'm5' ? ['PS-M5-01'] : [])],
              costs: {
                m2: 2,
                m4: m4s + (old === 'm3' ? 1 : 0),
                ...(m6s + (old === 'm5' ? 1 : 0) > 0 && { m6: m6s + 1, verifies: 1 }),
                attempts: attempts + (old === 'm3' ? 1 : 0),
              },
              ...(old === 'm5' ? outcomes.reject('setup-m6') : outcomes.reject('setup-m4')),
              forbid: [old === 'm5' ? shared.m6 : shared.m4, outcomes.silence()],
            },
            async ({ controller, expect, notApplicable }) => {
              const first = await controller.pairSetup();
              await bring(first);
              // Where the first connection is in the way of a second one, it goes.
              let next = await controller.setup(where === '' ? { link: first.link } : {});
              const open = where !== '' || (await first.link.stillOpen(50));
              if (!open) notApplicable('the connection ends behind a refusal: no M1 comes over it again');
              let again = await next.sendM1(undefined, controller.stepWait, false);
              if (!shared.m2.matches(again) && where !== '') {
                await first.link.close();
                ({ setup: next, outcome: again } = await polled(controller, FREE_AGAIN, 500));
              }
              if (!shared.m2.matches(again)) notApplicable('a second M1 is refused here (PS-STATE-07)');
              const older = first.on(next.link);
              const outcome = old === 'm5' ? await older.sendM5() : await older.sendM3();
              expect(outcome, `${old.toUpperCase()} of the exchange before`).to.be.allowed();
              if (old === 'm5' || m6s > 0)
                expect(await controller.isStored(first.identity), 'stored').to.equal(false);
            },
          );
        }),
      ),
    ),
  ],
  'interleaved',
);
