import {
  type CheckContext,
  type Controller,
  type Session,
  chapter,
  hap,
  outcomes,
} from '../../harness/suite.js';
import { cloneOf, enter, notLetIn, openOld, own, sessionOf, verifyAs } from './shared.js';

const letIn = { allow: [outcomes.success('verify-m4')] };
const refusesFrame = {
  allow: [outcomes.closed(), outcomes.silence(), outcomes.clientError()],
  tolerate: [outcomes.anyRefusal()],
};

/** Exchanges of each device whose keys are compared. */
const EXCHANGES = 2;

/** The ephemeral keys a device shows in its M2s. */
async function ephemeralKeys(context: CheckContext, where: 'clone' | 'old'): Promise<string[]> {
  const { controller, expect } = context;
  const keys: string[] = [];
  for (let i = 0; i < EXCHANGES; i++) {
    const link = where === 'old' ? await openOld(context) : await controller.open();
    const verify = await verifyAs(controller, controller.newIdentity(), link);
    expect(await verify.sendM1(), `M2 of the ${where} device`).to.be.allowed({
      allow: [outcomes.success('verify-m2')],
    });
    keys.push(hap.hex(verify.m2?.publicKey ?? new Uint8Array(0)));
    await link.close();
  }
  return keys;
}

/** Controllers that draw the same: where the devices do as well, their sessions have the same keys. */
function alike(context: CheckContext): readonly [Controller, Controller] {
  const { bench, controller } = context;
  return [
    bench.controller('two of one mind', controller.waits),
    bench.controller('two of one mind', controller.waits),
  ];
}

/** Everybody who was taken over is out; the last admin last. */
async function clear(session: Session, admin: hap.Identity): Promise<void> {
  const { entries } = session.pairingsIn(await session.sendPairings(hap.listPairings()));
  for (const { id, permissions } of entries)
    if (permissions === hap.Permission.Admin && !hap.equal(id, admin.id)) await session.sendRemove(id);
}

export default chapter('clone.independence', ({ check }) => [
  check(
    'CLONE-10',
    'Old and new device draw keys of their own',
    {
      from: 'any',
      clone: { old: true },
      needs: ['CLONE-01'],
      costs: { verifies: 2 * EXCHANGES },
      allow: [outcomes.success('verify-m2')],
    },
    async (context) => {
      const [mine, others] = [await ephemeralKeys(context, 'clone'), await ephemeralKeys(context, 'old')];
      const same = mine.find((key) => others.includes(key));
      if (same !== undefined) context.violate(`both devices showed the ephemeral key ${same}`);
    },
  ),

  check(
    'CLONE-11',
    'A frame of one device is refused by the other',
    {
      from: 'any',
      clone: { key: 'anybody', old: true },
      needs: ['CLONE-03'],
      costs: { verifies: 2 },
      ...refusesFrame,
    },
    async (context) => {
      const { expect, violate } = context;
      const [first, second] = alike(context);
      const who = own(context);
      const onClone = await sessionOf({ ...context, controller: first }, who);
      const onOld = await sessionOf(
        { ...context, controller: second },
        who,
        'the old device',
        await openOld(context),
      );
      const [frame] = onClone.seal({ method: 'GET', path: first.profile.resource });
      const outcome = await onOld.sendRaw(frame!, 'a frame of the session with the clone', first.judgedWait);
      if (outcome.kind === 'reply' && outcome.sealed)
        violate('the old device serves a frame of the session with its clone');
      expect(outcome, 'a frame of the clone to the old device').to.be.allowed();
    },
  ),

  check(
    'CLONE-12',
    'A removal on the clone is one there, and there alone',
    {
      from: 'any',
      clone: { key: 'admin', old: true },
      needs: ['CLONE-04'],
      costs: { verifies: 4 },
      ...letIn,
    },
    async (context) => {
      const { bench, controller, expect } = context;
      const admin = own(context, 'admin');
      const guest = controller.newIdentity();
      const onClone = await sessionOf(context, admin);
      const onOld = await sessionOf(context, admin, 'the old device', await openOld(context));
      const added = { allow: [outcomes.success('pairings-add')] };
      const removed = { allow: [outcomes.success('pairings-remove')] };
      try {
        for (const session of [onOld, onClone])
          expect(await session.sendAdd(guest, hap.Permission.User), 'Add of a guest').to.be.allowed(added);
        expect(await onClone.sendRemove(guest.id), 'Remove on the clone').to.be.allowed(removed);
        const there = await enter(context, guest);
        expect(there.outcome, 'the clone, which was asked to remove the guest').to.be.allowed(notLetIn);
        await sessionOf(
          context,
          guest,
          'the old device, which was not asked to remove the guest',
          await openOld(context),
        );
      } finally {
        // A device that refuses its admin by now has lost the guest as well.
        await onClone.sendRemove(guest.id);
        const left = await onOld.sendRemove(guest.id);
        if (outcomes.success('pairings-remove').matches(left)) bench.keyring.forget(guest);
      }
    },
  ),

  check(
    'CLONE-13',
    'The removal of the last admin clears the clone, and not the old device',
    {
      from: 'any',
      clone: { key: 'admin', old: true },
      destructive: true,
      needs: ['CLONE-05'],
      costs: { verifies: 3 },
      ...notLetIn,
    },
    async (context) => {
      const { expect } = context;
      const admin = own(context, 'admin');
      const others = cloneOf(context).controllers.filter(({ id }) => !hap.equal(id, admin.id));
      const session = await sessionOf(context, admin);
      await clear(session, admin);
      await session.sendRemove(admin.id);
      await session.link.close();
      for (const { id, ltpk, ltsk } of others) {
        if (ltsk === undefined) continue;
        const { outcome } = await enter(context, { id, ltpk, ltsk });
        expect(outcome, `${hap.text(id)} behind the removal of the last admin`).to.be.allowed();
      }
      const { outcome } = await enter(context, admin);
      expect(outcome, 'the last admin behind its removal').to.be.allowed();
      await sessionOf(
        context,
        admin,
        'the old device behind the removal of the last admin of the clone',
        await openOld(context),
      );
    },
  ),
]);
