import {
  type Controller,
  type Identity,
  Permission,
  type Session,
  addPairing,
  anyRefusal,
  chapter,
  closed,
  hex,
  listPairings,
  misplacedError,
  removePairing,
  served,
  silence,
  success,
  text,
  tlvError,
  unauthorised,
  utf8,
} from '../../harness/suite.js';

const removed = success('pairings-remove');
const read = { method: 'GET', path: '/accessories' };
const listed = success('pairings-list');
const denied = {
  allow: [tlvError(4, 'Authentication')],
  tolerate: [misplacedError(4, 'Authentication'), anyRefusal()],
  forbid: [success('verify-m4')],
};
/** What a controller that is no longer paired gets in a session it still has open. */
const gone = {
  allow: [closed(), unauthorised(), silence(), tlvError(2, 'Authentication')],
  tolerate: [anyRefusal()],
  forbid: [served()],
};
const works = { allow: [served()] };

const paired = { from: 'paired', needs: ['PV-M3-01', 'PAIRINGS-01'] } as const;

/** Milliseconds after which a session that is to end at once has ended. */
const AT_ONCE = 2_000;

async function ids(session: Session): Promise<string[]> {
  return (await session.list()).entries
    .map(({ id, ltpk, permissions }) => `${text(id)} ${hex(ltpk)} ${permissions}`)
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

async function verifies(controller: Controller, as: Identity): Promise<boolean> {
  const verify = await controller.pairVerify({ as });
  return success('verify-m4').matches(await verify.sendM3());
}

/** What a plain user tries. */
const overreach: Record<
  string,
  (own: Identity, other: Identity, fresh: Identity) => ReturnType<typeof listPairings>
> = {
  list: () => listPairings(),
  'add-another': (_own, _other, fresh) => addPairing(fresh.id, fresh.ltpk, Permission.User),
  'add-itself-as-admin': (own) => addPairing(own.id, own.ltpk, Permission.Admin),
  'remove-another': (_own, other) => removePairing(other.id),
  'remove-itself': (own) => removePairing(own.id),
};

export default chapter('pairings.rights', ({ check }) => [
  check(
    'PAIRINGS-11',
    { ...paired, needsHook: 'restart', costs: { verifies: 5 }, allow: [listed] },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const [admin, user, former] = [controller.newGuest(), controller.newGuest(), controller.newGuest()];
      await session.add(admin, Permission.User);
      await session.add(user, Permission.User);
      await session.add(former, Permission.User);
      await session.add(admin, Permission.Admin);
      await session.sendRemove(former.id);
      const before = await ids(session);
      await bench.restart();
      const again = await controller.session();
      expect(await again.sendPairings(listPairings()), 'List after the restart').to.be.allowed();
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
    { ...paired, risky: true, costs: { verifies: 4 }, ...gone },
    async ({ controller, expect, observe }) => {
      const session = await controller.session();
      const [user, bystander] = [controller.newGuest(), controller.newGuest()];
      // An admin: what a plain user is refused tells nothing.
      await session.add(user, Permission.Admin);
      await session.add(bystander, Permission.User);
      const open = [await controller.session({ as: user }), await controller.session({ as: user })];
      const other = await controller.session({ as: bystander });
      expect(await session.sendPairings(removePairing(user.id), controller.stepWait), 'Remove').to.be.allowed(
        { allow: [removed] },
      );
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
                body: utf8('{"characteristics":[{"aid":1,"iid":9,"value":true}]}'),
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
      {
        ...paired,
        costs: { verifies: 2 },
        allow: [tlvError(2, 'Authentication')],
        // Well formed and in a session: an HTTP status alone is no answer (seed 002 §7).
        tolerate: [misplacedError(2)],
        forbid: [listed, success('pairings-add'), silence()],
      },
      async ({ controller, bench, expect, warn }) => {
        const session = await controller.session();
        const [user, other, fresh] = [controller.newGuest(), controller.newGuest(), controller.newIdentity()];
        await session.add(user, Permission.User);
        await session.add(other, Permission.User);
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
    { ...paired, risky: true, costs: { verifies: 5 }, allow: [removed] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const leaving = controller.newGuest();
      await session.add(leaving, Permission.Admin);
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
    { ...paired, costs: { verifies: 5 }, allow: [removed] },
    async ({ controller, expect }) => {
      controller.needsRemoval();
      const session = await controller.session();
      const leaving = controller.newGuest();
      await session.add(leaving, Permission.Admin);
      const asking = await controller.session({ as: leaving });
      expect(await asking.sendRemove(leaving.id), 'the reply').to.be.allowed();
      const next = controller.newIdentity(leaving.id);
      expect(
        await session.sendAdd(next, Permission.Admin),
        'Add of its identifier with another key',
      ).to.be.allowed({ allow: [success('pairings-add')] });
      const verify = await controller.pairVerify({ as: leaving });
      expect(await verify.sendM3(), 'Pair Verify with the key that has left').to.be.allowed(denied);
      expect(await verifies(controller, next), 'Pair Verify with the key that has come').to.equal(true);
      await session.sendRemove(next.id);
    },
  ),

  check(
    'PAIRINGS-19/alone',
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
      for (const user of users) await session.add(user, Permission.User);
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
    { ...paired, costs: { verifies: 3 }, allow: [removed] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const [admin, user] = [controller.newGuest(), controller.newGuest()];
      await session.add(admin, Permission.Admin);
      await session.add(user, Permission.User);
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
    {
      ...paired,
      leaves: 'unpaired',
      ifAccepted: 'reset',
      once: true,
      risky: true,
      costs: { m2: 1, verifies: 2 },
      allow: [success('pairings-add'), anyRefusal()],
      forbid: [silence()],
    },
    async ({ controller, bench, expect, observe, warn }) => {
      const session = await controller.session();
      const user = controller.newGuest();
      await session.add(user, Permission.User);
      const admin = bench.admin!;
      expect(await session.sendAdd(admin, Permission.User)).to.be.allowed();
      const probe = await bench.probe();
      if (success('setup-m2').matches(probe))
        return observe('the last admin demoted', 'unpairs the accessory');
      // Whatever it is now, only a reset makes sure that it is as before.
      bench.learned.tainted = true;
      const again = await controller.session();
      if (listed.matches(await again.sendPairings(listPairings())))
        return observe('the last admin demoted', 'refused');
      observe('the last admin demoted', 'accepted');
      warn('an accessory nobody can manage: the last admin was made a plain user');
    },
  ),

  check(
    'PAIRINGS-22',
    {
      ...paired,
      costs: { verifies: 2 },
      allow: [tlvError(2, 'Authentication'), closed()],
      tolerate: [anyRefusal()],
      forbid: [listed, success('pairings-add')],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const [admin, fresh] = [controller.newGuest(), controller.newIdentity()];
      await session.add(admin, Permission.Admin);
      const open = await controller.session({ as: admin });
      await session.add(admin, Permission.User);
      expect(await open.sendPairings(listPairings()), 'List of the former admin').to.be.allowed();
      if (await open.link.stillOpen(50))
        expect(await open.sendAdd(fresh, Permission.User), 'Add of the former admin').to.be.allowed();
      await session.sendRemove(admin.id);
    },
  ),
]);
