/**
 * Admins and plain users: what each may ask for, and what becomes of open sessions when rights change or a pairing goes.
 * The last admin takes everybody along, and leaves an accessory that can be paired again.
 * What fails here decides whether a run can leave the accessory as it was found.
 */
import { type Controller, type Session, chapter, hap, outcomes } from '../../harness/suite.js';

const removed = outcomes.success('pairings-remove');
const read = { method: 'GET', path: '/accessories' };
const listed = outcomes.success('pairings-list');
const denied = {
  allow: [outcomes.tlvError(4, 'Authentication')],
  tolerate: [outcomes.misplacedError(4, 'Authentication'), outcomes.anyRefusal()],
  forbid: [outcomes.success('verify-m4')],
};
/** What a controller that is no longer paired gets in a session it still has open. */
const gone = {
  allow: [
    outcomes.closed(),
    outcomes.unauthorised(),
    outcomes.silence(),
    outcomes.tlvError(2, 'Authentication'),
  ],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.served()],
};
const works = { allow: [outcomes.served()] };

const paired = { from: 'paired', needs: ['PV-M3-01', 'PAIRINGS-01'] } as const;

/** Milliseconds after which a session that is to end at once has ended. */
const AT_ONCE = 2_000;

async function ids(session: Session): Promise<string[]> {
  return (await session.list()).entries
    .map(({ id, ltpk, permissions }) => `${hap.text(id)} ${hap.hex(ltpk)} ${permissions}`)
    .sort();
}

/** True when the session has ended, or ends with its next request. */
async function endsSoon(
  session: Session,
  expectGone: (name: string) => (outcome: unknown) => void,
  name: string,
): Promise<boolean> {
  if (!(await session.link.stillOpen(AT_ONCE))) return true;
  expectGone(name)(await session.request(session.controller.profile.guarded));
  return false;
}

async function verifies(controller: Controller, as: hap.Identity): Promise<boolean> {
  const verify = await controller.pairVerify({ as });
  return outcomes.success('verify-m4').matches(await verify.sendM3());
}

/** What a plain user tries. */
const overreach: Record<
  string,
  (own: hap.Identity, other: hap.Identity, fresh: hap.Identity) => ReturnType<typeof hap.listPairings>
> = {
  list: () => hap.listPairings(),
  'add-another': (_own, _other, fresh) => hap.addPairing(fresh.id, fresh.ltpk, hap.Permission.User),
  'add-itself-as-admin': (own) => hap.addPairing(own.id, own.ltpk, hap.Permission.Admin),
  'remove-another': (_own, other) => hap.removePairing(other.id),
  'remove-itself': (own) => hap.removePairing(own.id),
};

export default chapter('pairings.rights', ({ check }) => [
  check(
    'PAIRINGS-11',
    'Pairings survive a restart',
    { ...paired, needsHook: 'restart', costs: { verifies: 5 }, allow: [listed] },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const [admin, user, former] = [controller.newGuest(), controller.newGuest(), controller.newGuest()];
      await session.add(admin, hap.Permission.User);
      await session.add(user, hap.Permission.User);
      await session.add(former, hap.Permission.User);
      await session.add(admin, hap.Permission.Admin);
      await session.sendRemove(former.id);
      const before = await ids(session);
      await bench.restart();
      const again = await controller.session();
      expect(await again.sendPairings(hap.listPairings()), 'List after the restart').to.be.allowed();
      expect(await ids(again), 'the list after the restart').to.deep.equal(before);
      for (const who of [admin, user])
        expect(await verifies(controller, who), 'Pair Verify after the restart').to.equal(true);
      const verify = await controller.pairVerify({ as: former });
      expect(await verify.sendM3(), 'Pair Verify of the one removed').to.be.allowed(denied);
      for (const who of [admin, user]) await again.sendRemove(who.id);
    },
  ),

  check(
    'PAIRINGS-13',
    'Open sessions of a removed controller are ended',
    { ...paired, risky: true, costs: { verifies: 4 }, ...gone },
    async ({ controller, expect, observe }) => {
      const session = await controller.session();
      const [user, bystander] = [controller.newGuest(), controller.newGuest()];
      // An admin: what a plain user is refused tells nothing.
      await session.add(user, hap.Permission.Admin);
      await session.add(bystander, hap.Permission.User);
      const open = [await controller.session({ as: user }), await controller.session({ as: user })];
      const other = await controller.session({ as: bystander });
      expect(
        await session.sendPairings(hap.removePairing(user.id), controller.stepWait),
        'Remove',
      ).to.be.allowed({ allow: [removed] });
      const stays: string[] = [];
      for (const [i, one] of open.entries()) {
        // The second asks to write where the first reads.
        if (!(await one.link.stillOpen(i === 0 ? AT_ONCE : 50))) continue;
        stays.push(String(i + 1));
        const outcome =
          i === 0
            ? await one.request(controller.profile.guarded)
            : await one.request({
                method: 'PUT',
                path: '/characteristics',
                headers: [['Content-Type', 'application/hap+json']],
                body: hap.utf8('{"characteristics":[{"aid":1,"iid":9,"value":true}]}'),
              });
        expect(outcome, `session ${i + 1} of the controller removed`).to.be.allowed();
      }
      observe(
        'sessions of a removed controller',
        stays.length === 0 ? 'closed at once' : 'end with their next request',
      );
      expect(
        await other.request(read, controller.stepWait),
        'the session of another controller',
      ).to.be.allowed(works);
      expect(await session.request(read, controller.stepWait), 'the session of the admin').to.be.allowed(
        works,
      );
      await session.sendRemove(bystander.id);
    },
  ),

  ...Object.entries(overreach).map(([name, items]) =>
    check(
      `PAIRINGS-15/${name}`,
      'A non-admin may not list, add or remove',
      {
        ...paired,
        costs: { verifies: 2 },
        allow: [outcomes.tlvError(2, 'Authentication')],
        // Well formed and in a session: an HTTP status alone is no answer (seed 002 §7).
        tolerate: [outcomes.misplacedError(2)],
        forbid: [listed, outcomes.success('pairings-add'), outcomes.silence()],
      },
      async ({ controller, bench, expect, warn }) => {
        const session = await controller.session();
        const [user, other, fresh] = [controller.newGuest(), controller.newGuest(), controller.newIdentity()];
        await session.add(user, hap.Permission.User);
        await session.add(other, hap.Permission.User);
        bench.remember(fresh, 'add-pairing');
        const before = await ids(session);
        const own = await controller.session({ as: user });
        expect(await own.sendPairings(items(user, other, fresh))).to.be.allowed();
        expect(await ids(session), 'the list').to.deep.equal(before);
        if (await own.link.stillOpen(50))
          expect(await own.get('/accessories'), 'the session of the plain user').to.be.allowed(works);
        else warn('the session of the plain user was closed');
        for (const who of [user, other]) await session.sendRemove(who.id);
      },
    ),
  ),

  check(
    'PAIRINGS-18',
    'Removing the own pairing while other admins exist',
    { ...paired, risky: true, costs: { verifies: 5 }, allow: [removed] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const leaving = controller.newGuest();
      await session.add(leaving, hap.Permission.Admin);
      // The one that asks comes last: an accessory may keep only the newest session of a controller.
      const second = await controller.session({ as: leaving });
      const asking = await controller.session({ as: leaving });
      expect(await asking.sendRemove(leaving.id), 'the reply').to.be.allowed();
      const expectGone = (name: string) => (outcome: unknown) => expect(outcome, name).to.be.allowed(gone);
      await endsSoon(asking, expectGone, 'the session that asked');
      await endsSoon(second, expectGone, 'the other session of the same controller');
      expect(await session.get('/accessories'), 'the session of the other admin').to.be.allowed(works);
      const verify = await controller.pairVerify({ as: leaving });
      expect(await verify.sendM3(), 'Pair Verify of the one that left').to.be.allowed(denied);
    },
  ),

  check(
    'PAIRINGS-18/identifier-free-again',
    'Removing the own pairing while other admins exist',
    { ...paired, costs: { verifies: 5 }, allow: [removed] },
    async ({ controller, expect }) => {
      controller.needsRemoval();
      const session = await controller.session();
      const leaving = controller.newGuest();
      await session.add(leaving, hap.Permission.Admin);
      const asking = await controller.session({ as: leaving });
      expect(await asking.sendRemove(leaving.id), 'the reply').to.be.allowed();
      const next = controller.newIdentity(leaving.id);
      expect(
        await session.sendAdd(next, hap.Permission.Admin),
        'Add of its identifier with another key',
      ).to.be.allowed({ allow: [outcomes.success('pairings-add')] });
      const verify = await controller.pairVerify({ as: leaving });
      expect(await verify.sendM3(), 'Pair Verify with the key that has left').to.be.allowed(denied);
      expect(await verifies(controller, next), 'Pair Verify with the key that has come').to.equal(true);
      await session.sendRemove(next.id);
    },
  ),

  check(
    'PAIRINGS-19/alone',
    'Removing the last admin unpairs the accessory',
    {
      ...paired,
      leaves: 'paired',
      costs: { m2: 2, m4: 1, m6: 1, verifies: 4 },
      allow: [removed],
    },
    async ({ controller, bench, expect }) => {
      const former = bench.admin!;
      const other = await controller.session();
      const session = await controller.session();
      expect(await session.sendRemove(former.id)).to.be.allowed();
      const expectGone = (name: string) => (outcome: unknown) => expect(outcome, name).to.be.allowed(gone);
      await endsSoon(session, expectGone, 'the session that asked');
      await endsSoon(other, expectGone, 'the other session');
      bench.state = 'unknown';
      expect(await controller.isUnpaired(), 'M1 is served').to.equal(true);
      expect(await controller.isStored(former), 'the former admin may verify').to.equal(false);
      await controller.pair();
      expect(
        (await (await controller.session()).list()).entries.length,
        'pairings of the next owner',
      ).to.equal(1);
    },
  ),
  check(
    'PAIRINGS-19/with-users',
    'Removing the last admin unpairs the accessory',
    {
      ...paired,
      leaves: 'unpaired',
      // Users without an admin can be removed by nobody.
      ifAccepted: 'reset',
      costs: { m2: 1, verifies: 5 },
      allow: [removed],
    },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const users = [controller.newGuest(), controller.newGuest()];
      for (const user of users) await session.add(user, hap.Permission.User);
      const open = await controller.session({ as: users[0]! });
      expect(await session.sendRemove(bench.admin!.id)).to.be.allowed();
      const expectGone = (name: string) => (outcome: unknown) => expect(outcome, name).to.be.allowed(gone);
      await endsSoon(open, expectGone, 'the session of a user');
      bench.state = 'unknown';
      expect(await controller.isUnpaired(), 'M1 is served').to.equal(true);
      for (const user of users) expect(await controller.isStored(user), 'a user may verify').to.equal(false);
    },
  ),

  check(
    'PAIRINGS-20',
    'Removing one admin of several keeps the rest',
    { ...paired, costs: { verifies: 3 }, allow: [removed] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const [admin, user] = [controller.newGuest(), controller.newGuest()];
      await session.add(admin, hap.Permission.Admin);
      await session.add(user, hap.Permission.User);
      const open = await controller.session({ as: user });
      expect(await session.sendRemove(admin.id)).to.be.allowed();
      expect(await open.get('/accessories'), 'the session of the user').to.be.allowed(works);
      expect(await session.get('/accessories'), 'the session of the admin').to.be.allowed(works);
      expect(await verifies(controller, user), 'Pair Verify of the user').to.equal(true);
      await session.sendRemove(user.id);
    },
  ),

  check(
    'PAIRINGS-21',
    'Demoting the last admin',
    {
      ...paired,
      leaves: 'unpaired',
      ifAccepted: 'reset',
      once: true,
      risky: true,
      costs: { m2: 1, verifies: 2 },
      allow: [outcomes.success('pairings-add'), outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, observe, warn }) => {
      const session = await controller.session();
      const user = controller.newGuest();
      await session.add(user, hap.Permission.User);
      const admin = bench.admin!;
      expect(await session.sendAdd(admin, hap.Permission.User)).to.be.allowed();
      const probe = await bench.probe();
      if (outcomes.success('setup-m2').matches(probe))
        return observe('the last admin demoted', 'unpairs the accessory');
      // Whatever it is now, only a reset makes sure that it is as before.
      bench.learned.tainted = true;
      const again = await controller.session();
      if (listed.matches(await again.sendPairings(hap.listPairings())))
        return observe('the last admin demoted', 'refused');
      observe('the last admin demoted', 'accepted');
      warn('an accessory nobody can manage: the last admin was made a plain user');
    },
  ),

  check(
    'PAIRINGS-22',
    'A demoted admin loses its rights in open sessions',
    {
      ...paired,
      costs: { verifies: 2 },
      allow: [outcomes.tlvError(2, 'Authentication'), outcomes.closed()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [listed, outcomes.success('pairings-add')],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const [admin, fresh] = [controller.newGuest(), controller.newIdentity()];
      await session.add(admin, hap.Permission.Admin);
      const open = await controller.session({ as: admin });
      await session.add(admin, hap.Permission.User);
      expect(await open.sendPairings(hap.listPairings()), 'List of the former admin').to.be.allowed();
      if (await open.link.stillOpen(50))
        expect(await open.sendAdd(fresh, hap.Permission.User), 'Add of the former admin').to.be.allowed();
      await session.sendRemove(admin.id);
    },
  ),
]);
