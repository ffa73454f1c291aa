/**
 * Pair Verify out of order: M3 without M1, twice, on another connection, and inside a session.
 * A failure ends the exchange and nothing else: the next one on the same or another connection comes about.
 * Pair Setup and Pair Verify on one connection must not be in each other's way.
 */
import {
  type CheckContext,
  type Controller,
  type Link,
  type PairVerify,
  type Session,
  chapter,
  edits,
  hap,
  outcomes,
} from '../../harness/suite.js';

const request = { method: 'GET', path: '/accessories' };
const m2 = outcomes.success('verify-m2');
const m4 = outcomes.success('verify-m4');
const ok = { allow: [outcomes.answered(200)] };
const needs = ['PV-M3-01'];
/** What must not be served: the connection ends, or at least nothing comes back. */
const unserved = { allow: [outcomes.closed(), outcomes.silence()], forbid: [outcomes.anyReply()] };

const zeros = new Uint8Array(32);
/** What an accessory may seal with that has no exchange: nothing it drew, memory never filled, or what comes of it. */
const guessedKeys: Record<string, hap.Bytes | undefined> = {
  'random-key': undefined,
  'zero-key': zeros,
  'key-of-a-zero-secret': hap.deriveKey('Pair-Verify-Encrypt', zeros),
  'key-of-an-empty-secret': hap.deriveKey('Pair-Verify-Encrypt', new Uint8Array(0)),
};

/** The connection while the accessory keeps it, else another one. */
async function stillOn(link: Link, last: outcomes.Outcome, controller: Controller): Promise<Link> {
  return last.kind === 'reply' && (await link.stillOpen(50)) ? link : controller.open();
}

/** M3 with one bit of the signature flipped, refused. */
async function failedM3(
  { controller, expect, random }: CheckContext,
  verify: PairVerify,
): Promise<outcomes.Outcome> {
  const sub = edits.flip('Signature', random.below(500));
  const outcome = await verify.sendM3({ sub }, undefined, controller.stepWait);
  expect(outcome, 'M3 with a wrong signature').to.be.allowed(outcomes.reject('verify-m4'));
  return outcome;
}

/** Pair Verify, run inside a session: every byte of it sealed, refused, or the end of the connection. */
async function verifyInside(
  { controller, expect }: CheckContext,
  session: Session,
): Promise<'goes on' | 'closed' | PairVerify> {
  const verify = await controller.verify({ link: session.link });
  const asked = await verify.sendM1(undefined, controller.stepWait);
  expect(asked, 'M1 inside the session').to.be.allowed({
    allow: [m2, outcomes.tlvError(2), outcomes.badRequest(), outcomes.closed()],
    tolerate: [outcomes.anyRefusal()],
    forbid: [outcomes.plaintextReply()],
  });
  if (asked.kind !== 'reply') return 'closed';
  if (!m2.matches(asked)) return 'goes on';
  controller.accept(verify.m2!);
  const answer = await verify.sendM3({}, undefined, controller.stepWait);
  expect(answer, 'M3 inside the session').to.be.allowed({
    allow: [m4, outcomes.tlvError(4), outcomes.badRequest(), outcomes.closed()],
    tolerate: [outcomes.anyRefusal()],
    forbid: [outcomes.plaintextReply()],
  });
  if (answer.kind !== 'reply') return 'closed';
  return m4.matches(answer) ? verify : 'goes on';
}

export default chapter('pair-verify.states', ({ check }) => [
  // Signed, too, as it would have to be if nothing but zero bytes had been exchanged: only the state machine is in the way.
  ...Object.entries(guessedKeys).map(([name, key]) =>
    check(
      `PV-STATE-01/${name}`,
      'M3 without M1',
      {
        from: 'paired',
        needs,
        risky: true,
        ...(key === undefined && { grid: ['verify-m3', 'out-of-order'] as const }),
        ...outcomes.reject('verify-m4'),
      },
      async ({ controller, bench, expect, random }) => {
        const { id, ltsk } = bench.admin!;
        const signature = hap.sign(ltsk, hap.signedInfo(zeros, id, zeros));
        const sub = hap.encodeTlv([
          hap.tlv(hap.TlvType.Identifier, id),
          hap.tlv(hap.TlvType.Signature, signature),
        ]);
        const sealed = hap.seal(key ?? random.bytes(32), hap.labelNonce('PV-Msg03'), sub);
        const link = await controller.open();
        const { verify } = controller.profile.paths;
        expect(await controller.post(link, verify, hap.sealedMessage(3, sealed))).to.be.allowed();
      },
    ),
  ),
  check(
    'PV-STATE-01/m1-on-another-connection',
    'M3 without M1',
    {
      from: 'paired',
      needs,
      risky: true,
      grid: ['verify-m3', 'other-connection'],
      costs: { verifies: 1 },
      ...outcomes.reject('verify-m4'),
    },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const body = hap.encodeTlv(verify.machine.m3());
      const link = await controller.open();
      expect(await verify.sendM3Bytes(body, controller.judgedWait, link)).to.be.allowed();
    },
  ),

  ...(['own-m1', 'recorded-m1'] as const).map((what) =>
    check(
      `PV-STATE-02/${what}`,
      'Replay of M3',
      {
        from: 'paired',
        needs,
        grid: [what === 'own-m1' ? 'verify-m3' : 'verify-m1', 'replayed'],
        costs: { verifies: 2 },
        ...outcomes.reject('verify-m4'),
      },
      async ({ controller, expect }) => {
        const recorded = await controller.pairVerify();
        await recorded.m3();
        await recorded.link.close();
        const link = await controller.open();
        if (what === 'own-m1') await controller.pairVerify({ link });
        else {
          const again = await controller.postToVerify(link, hap.encodeTlv(recorded.machine.m1()));
          expect(again, 'the recorded M1').to.be.allowed({
            allow: [m2, outcomes.tlvError(2), outcomes.badRequest()],
            tolerate: [outcomes.anyRefusal()],
          });
          if (!m2.matches(again)) return;
        }
        const outcome = await recorded.sendM3Bytes(recorded.lastM3, controller.judgedWait, link);
        expect(outcome, 'the recorded M3').to.be.allowed();
      },
    ),
  ),
  check(
    'PV-STATE-02/behind-m4',
    'Replay of M3',
    { from: 'paired', needs, risky: true, costs: { verifies: 1 }, ...unserved },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const session = await verify.m3();
      const { profile } = controller;
      const again = session.link.encode({
        method: 'POST',
        path: profile.paths.verify,
        headers: [['Content-Type', profile.mediaType]],
        body: verify.lastM3,
      });
      const line = 'the same M3 in plaintext, behind M4';
      expect(await session.sendRaw(again, line, controller.quietWait)).to.be.allowed();
    },
  ),

  check(
    'PV-STATE-03/second',
    'Second M1 restarts the procedure',
    {
      from: 'paired',
      needs,
      grid: ['verify-m1', 'out-of-order'],
      costs: { verifies: 2 },
      allow: [m4],
    },
    async ({ controller, expect }) => {
      const first = await controller.pairVerify();
      const second = await controller.verify({ link: first.link });
      const again = await second.sendM1();
      expect(again, 'the second M1').to.be.allowed({ allow: [m2], tolerate: [outcomes.anyRefusal()] });
      if (!m2.matches(again)) return;
      controller.accept(second.m2!);
      expect(await second.sendM3(), 'M3 for the second M1').to.be.allowed();
    },
  ),
  check(
    'PV-STATE-03/first',
    'Second M1 restarts the procedure',
    { from: 'paired', needs, costs: { verifies: 2 }, ...outcomes.reject('verify-m4') },
    async ({ controller, expect }) => {
      const first = await controller.pairVerify();
      const again = await (await controller.verify({ link: first.link })).sendM1();
      expect(again, 'the second M1').to.be.allowed({ allow: [m2], tolerate: [outcomes.anyRefusal()] });
      if (m2.matches(again)) expect(await first.sendM3(), 'M3 for the first M1').to.be.allowed();
    },
  ),

  ...(['m2', 'a-refused-m3'] as const).flatMap((moment) =>
    (['', '-on-another-connection'] as const).map((where) =>
      check(
        `PV-STATE-08/m3-of-${moment}${where}`,
        'A new Pair Verify M1 ends the exchange before',
        {
          from: 'paired',
          needs,
          costs: { verifies: 2 },
          ...outcomes.reject('verify-m4'),
          forbid: [m4, outcomes.silence()],
        },
        async (context) => {
          const { controller, expect, notApplicable } = context;
          const first = await controller.pairVerify();
          const refused = moment === 'm2' ? undefined : await failedM3(context, first);
          const link = where === '' ? first.link : await controller.open();
          const open = refused?.kind !== 'close' && (await link.stillOpen(50));
          if (where === '' && !open) notApplicable('the connection ends behind a refused M3');
          const again = await (await controller.verify({ link })).sendM1(undefined, controller.stepWait);
          if (!m2.matches(again)) notApplicable('a second M1 is refused here (PV-STATE-03)');
          const body = hap.encodeTlv(first.machine.m3());
          const outcome = await first.sendM3Bytes(body, controller.judgedWait, link);
          expect(outcome, 'M3 of the exchange before').to.be.allowed();
        },
      ),
    ),
  ),

  check(
    'PV-STATE-04/same-m1',
    'Retry after a failed M3',
    {
      from: 'paired',
      needs,
      costs: { verifies: 1 },
      allow: [m4, outcomes.tlvError(4), outcomes.badRequest()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async (context) => {
      const { controller, expect, observe } = context;
      const verify = await controller.pairVerify();
      const failed = await failedM3(context, verify);
      if (failed.kind !== 'reply' || !(await verify.link.stillOpen(50))) return;
      const outcome = await verify.sendM3();
      expect(outcome, 'a right M3 for the same M1').to.be.allowed();
      observe('a second M3 for the same M1', m4.matches(outcome) ? 'is granted' : 'is refused');
      if (!m4.matches(outcome)) return;
      const granted = await verify.secure().get('/accessories');
      expect(granted, 'the session').to.be.allowed({
        ...ok,
        forbid: [outcomes.closed(), outcomes.silence(), outcomes.plaintextReply()],
      });
    },
  ),
  check(
    'PV-STATE-04/new-m1',
    'Retry after a failed M3',
    {
      from: 'paired',
      needs,
      costs: { verifies: 2 },
      allow: [m4],
      forbid: [outcomes.anyRefusal(), outcomes.silence()],
    },
    async (context) => {
      const { controller, expect, observe } = context;
      const verify = await controller.pairVerify();
      const failed = await failedM3(context, verify);
      const link = await stillOn(verify.link, failed, controller);
      observe('behind a refused M3', link === verify.link ? 'the connection goes on' : 'the connection ends');
      const again = await controller.verify({ link });
      const begun = await again.sendM1();
      expect(begun, 'M1 again').to.be.allowed({
        allow: [m2],
        forbid: [outcomes.anyRefusal(), outcomes.silence()],
      });
      controller.accept(again.m2!);
      expect(await again.sendM3(), 'M3').to.be.allowed();
    },
  ),

  check(
    'PV-STATE-05/different-controllers',
    'Several verifies at the same time do not disturb each other',
    {
      from: 'paired',
      needs: ['PAIRINGS-01', ...needs],
      grid: ['verify-m1', 'other-connection'],
      costs: { verifies: 3 },
      allow: [m4],
    },
    async ({ controller, bench, expect }) => {
      const admin = await controller.session();
      // Not the admin itself: an accessory may keep one session of a controller.
      const users = [await controller.letIn(admin), await controller.letIn(admin)];
      try {
        const [a, b] = [
          await controller.pairVerify({ as: users[0]! }),
          await controller.pairVerify({ as: users[1]! }),
        ];
        expect(await b.sendM3(), 'the second to begin').to.be.allowed();
        expect(await a.sendM3(), 'the first to begin').to.be.allowed();
        for (const verify of [a, b])
          expect(await verify.secure().get('/accessories'), 'its session').to.be.allowed(ok);
      } finally {
        if (bench.learned.keepsAll === undefined) for (const { id } of users) await admin.sendRemove(id);
      }
    },
  ),
  check(
    'PV-STATE-05/same-controller',
    'Several verifies at the same time do not disturb each other',
    { from: 'paired', needs, costs: { verifies: 2 }, allow: [m4] },
    async ({ controller, expect, observe }) => {
      const older = await controller.pairVerify();
      const newer = await controller.pairVerify();
      const first = await older.sendM3();
      expect(first, 'the older one').to.be.allowed({
        allow: [m4, outcomes.tlvError(4), outcomes.badRequest(), outcomes.closed()],
      });
      expect(await newer.sendM3(), 'the newer one').to.be.allowed();
      const kept = m4.matches(first) ? await older.secure().request(request) : undefined;
      // Which of two sessions an accessory keeps is its own affair, and so is how the other one ends.
      observe('an older session of the same controller', kept?.kind === 'reply' ? 'goes on' : 'ends');
      if (kept !== undefined && kept.kind !== 'close' && kept.kind !== 'reset')
        expect(kept, 'the older session').to.be.allowed({ allow: [outcomes.answered(200)] });
      expect(await newer.secure().get('/accessories'), 'the newer session').to.be.allowed(ok);
    },
  ),

  ...(['old-keys', 'new-keys', 'plaintext'] as const).map((what) =>
    check(
      `PV-STATE-06/${what}`,
      'Pair Verify inside a verified session',
      { from: 'paired', needs, risky: true, costs: { verifies: 2 }, ...unserved },
      async (context) => {
        const { controller, expect, observe } = context;
        const session = await controller.session();
        const inside = await verifyInside(context, session);
        observe('Pair Verify inside a session', typeof inside === 'string' ? inside : 'changes the keys');
        if (inside === 'closed') return;
        const frames = what === 'plaintext' ? undefined : hap.concat(...session.seal(request));
        if (frames === undefined) {
          const plain = session.link.encode(request);
          expect(await session.sendRaw(plain, 'GET /accessories in plaintext')).to.be.allowed();
        } else if (inside === 'goes on')
          expect(await session.sendRaw(frames, 'GET /accessories'), 'the session').to.be.allowed(ok);
        else if (what === 'new-keys')
          expect(await inside.secure().get('/accessories'), 'the new keys').to.be.allowed(ok);
        else expect(await session.sendRaw(frames, 'GET /accessories under the old keys')).to.be.allowed();
      },
    ),
  ),

  check(
    'PV-STATE-07/after-refused-setup',
    'Verify survives a preceding refused Pair Setup',
    { from: 'paired', needs, costs: { verifies: 1 }, allow: [m4] },
    async ({ controller, expect, warn }) => {
      const setup = await controller.setup();
      const refusal = await setup.sendM1();
      expect(refusal, 'Pair Setup M1').to.be.allowed({
        allow: [outcomes.tlvError(2, 'Unavailable')],
        tolerate: [outcomes.anyRefusal()],
      });
      const link = await stillOn(setup.link, refusal, controller);
      if (link !== setup.link) warn('the connection ends behind a refused Pair Setup M1');
      const verify = await controller.verify({ link });
      expect(await verify.sendM1(), 'M1').to.be.allowed({ allow: [m2] });
      controller.accept(verify.m2!);
      expect(await verify.sendM3(), 'M3').to.be.allowed();
      expect(await verify.secure().get('/accessories'), 'the session').to.be.allowed(ok);
    },
  ),
  check(
    'PV-STATE-07/request-between',
    'Verify survives a preceding refused Pair Setup',
    { from: 'paired', needs, costs: { verifies: 1 }, allow: [m4] },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const between = await controller.request(verify.link, request);
      expect(between, 'GET between M2 and M3').to.be.allowed({
        allow: [outcomes.unauthorised()],
        tolerate: [outcomes.serverError(), outcomes.closed()],
      });
      if (between.kind !== 'reply') return;
      expect(await verify.sendM3(), 'M3').to.be.allowed();
      expect(await verify.secure().get('/accessories'), 'the session').to.be.allowed(ok);
    },
  ),
]);
