/**
 * Add and List: who is added is listed and gets in, with the rights that were given.
 * New rights for a known identifier, another key for it, no room, the order of the list.
 * Whoever is added here is removed again behind the check.
 */
import {
  type Controller,
  type Session,
  StepFailed,
  chapter,
  edits,
  hap,
  outcomes,
} from '../../harness/suite.js';
import * as shared from './shared.js';

const denied = {
  allow: [outcomes.tlvError(4, 'Authentication')],
  tolerate: [outcomes.misplacedError(4, 'Authentication'), outcomes.anyRefusal()],
  forbid: [outcomes.success('verify-m4')],
};

/** A controller that was added, and its permissions. */
type Added = hap.Identity & { readonly permissions: number };

/**
 * Adds controllers until `count` are there or one is refused; returns those added and the refusal. Every other one is an
 * admin: an accessory that forgets its first controller for them must leave somebody who can clear the table.
 */
async function fill(
  controller: Controller,
  session: Session,
  count: number,
): Promise<{ users: readonly Added[]; refusal: outcomes.Outcome | undefined }> {
  // Nobody could take them out again.
  if (count > FEW) controller.needsRemoval();
  const users: Added[] = [];
  while (users.length < count) {
    const user = controller.newGuest();
    const permissions = users.length % 2 === 0 ? hap.Permission.Admin : hap.Permission.User;
    const outcome = await session.sendAdd(user, permissions);
    if (!shared.added.matches(outcome)) return { users, refusal: outcome };
    users.push({ ...user, permissions });
  }
  return { users, refusal: undefined };
}

/** The smallest table the sources allow, the first controller included. */
const LEAST = 16;
/** As many as may stay where nobody is taken out again. */
const FEW = 3;
/** Where looking for an end of the table stops. */
const MOST = 40;

/** A key nobody holds: what a text comparison takes for equal to the next one. */
const notText = (byte: number): hap.Bytes => new Uint8Array(32).fill(byte);

const otherKeys: Record<
  string,
  (own: hap.Bytes, random: hap.Bytes) => { first: hap.Bytes; second: hap.Bytes }
> = {
  random: (own, random) => ({ first: own, second: random }),
  // A byte that is a character by itself: how others compare as text is the question of the next one.
  'one-bit': (own) => {
    const at = own.findLastIndex((byte) => byte < 0x80);
    return { first: own, second: own.with(at, own.at(at)! ^ 1) };
  },
  // Bytes that are no UTF-8 all become the same replacement character.
  'equal-as-text': () => ({ first: notText(0xfe), second: notText(0xff) }),
};

/** What may be wrong with an Add. */
const malformedAdds: Record<
  string,
  { edit: (items: readonly hap.TlvItem[]) => readonly hap.TlvItem[]; either?: boolean }
> = {
  'without-identifier': { edit: edits.drop('Identifier') },
  'without-public-key': { edit: edits.drop('PublicKey') },
  'without-permissions': { edit: edits.drop('Permissions') },
  'ltpk-31-bytes': { edit: edits.resize('PublicKey', 31) },
  'ltpk-33-bytes': { edit: edits.resize('PublicKey', 33) },
  'permissions-0-bytes': { edit: edits.resize('Permissions', 0), either: true },
  'permissions-2-bytes': { edit: edits.resize('Permissions', 2), either: true },
  'identifier-0-bytes': { edit: edits.resize('Identifier', 0), either: true },
  'identifier-1-byte': { edit: edits.resize('Identifier', 1), either: true },
  'identifier-37-bytes': {
    edit: edits.replace('Identifier', (id) => hap.utf8(hap.text(id).padEnd(37, 'x'))),
    either: true,
  },
  'identifier-64-bytes': {
    edit: edits.replace('Identifier', (id) => hap.utf8(hap.text(id).padEnd(64, 'x'))),
    either: true,
  },
  'identifier-65-bytes': {
    edit: edits.replace('Identifier', (id) => hap.utf8(hap.text(id).padEnd(65, 'x'))),
    either: true,
  },
  'identifier-255-bytes': {
    edit: edits.replace('Identifier', (id) => hap.utf8(hap.text(id).padEnd(255, 'x'))),
    either: true,
  },
};

export default chapter('pairings.changes', ({ check, watch }) => [
  watch('PAIRINGS-02', 'List format with several pairings', 'pairings', ({ reply }, { expect, warn }) => {
    if (!shared.listed.matches(reply)) return;
    const { fragments } = reply.tlv!;
    const types = fragments.map(({ type }) => type);
    expect(types.filter((type) => type === hap.TlvType.State).length, 'State items of a list').to.equal(1);
    const ids = hap.readPairings(reply.tlv).entries.map(({ id }) => hap.hex(id));
    expect(new Set(ids).size, 'different Identifiers in a list').to.equal(ids.length);
    if (types.at(-1) === hap.TlvType.Separator) warn('a separator stands behind the last entry');
    const first = types.findIndex((type) => type !== hap.TlvType.State);
    if (types[first] === hap.TlvType.Separator) warn('a separator stands before the first entry');
  }),
  ...[2, LEAST - 1].map((more) =>
    check(
      `PAIRINGS-02/${more + 1}-pairings`,
      'List format with several pairings',
      { ...shared.paired, costs: { verifies: 2 }, allow: [shared.listed] },
      async ({ controller, expect, bench, random }) => {
        const session = await controller.session();
        const { users, refusal } = await fill(controller, session, more);
        const outcome = await session.sendPairings(hap.listPairings());
        expect(outcome).to.be.allowed();
        const { entries, findings } = session.pairingsIn(outcome);
        expect(findings.map(({ what }) => what)).to.deep.equal([]);
        expect(
          entries.map(({ id, ltpk, permissions }) => shared.line({ id, ltpk }, permissions)).sort(),
        ).to.deep.equal(
          [
            shared.line(bench.admin!, hap.Permission.Admin),
            ...users.map((user) => shared.line(user, user.permissions)),
          ].sort(),
        );
        // A table that ends before sixteen is PAIRINGS-09's question.
        if (refusal === undefined && users.length > 0) {
          const one = users[random.below(users.length)]!;
          await (await controller.pairVerify({ as: one })).m3();
        }
        await shared.empty(session, users);
      },
    ),
  ),
  ...Object.entries({
    'with-identifier': edits.insert(hap.tlv(hap.TlvType.Identifier, 'nobody'), -1),
    'with-unknown': edits.insert(hap.tlv(0x7f, Uint8Array.of(1)), -1),
  }).map(([name, edit]) =>
    check(
      `PAIRINGS-03/${name}`,
      'List carries harmless extra items',
      {
        ...shared.paired,
        ...(name === 'with-unknown' && { grid: ['list', 'unknown'] as const }),
        allow: [shared.listed],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect }) => {
        const session = await controller.session();
        expect(await session.sendPairings(edit(hap.listPairings()))).to.be.allowed();
      },
    ),
  ),
  check(
    'PAIRINGS-04',
    'Add a new admin and a new user',
    { ...shared.paired, costs: { verifies: 3 }, allow: [shared.added] },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const [admin, user] = [controller.newGuest(), controller.newGuest()];
      for (const [who, permissions] of [
        [admin, hap.Permission.Admin],
        [user, hap.Permission.User],
      ] as const) {
        const outcome = await session.sendAdd(who, permissions);
        expect(outcome).to.be.allowed();
        if (outcome.kind === 'reply')
          expect(outcome.tlv!.typeNames(), 'items of the reply').to.deep.equal(['State']);
      }
      expect(await shared.lines(session), 'the list').to.deep.equal(
        [shared.line(bench.admin!, 1), shared.line(admin, 1), shared.line(user, 0)].sort(),
      );
      const second = await controller.session({ as: admin });
      expect(await second.sendPairings(hap.listPairings()), 'List of the second admin').to.be.allowed({
        allow: [shared.listed],
      });
      const plain = await controller.session({ as: user });
      expect(await plain.sendPairings(hap.listPairings()), 'List of the plain user').to.be.allowed({
        allow: [outcomes.tlvError(2, 'Authentication')],
        tolerate: [outcomes.anyRefusal()],
        forbid: [shared.listed],
      });
      await shared.empty(session, [admin, user]);
    },
  ),
  check(
    'PAIRINGS-05',
    'Add for an existing id with the same LTPK updates the permissions',
    { ...shared.paired, costs: { verifies: 2 }, allow: [shared.added] },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const user = controller.newGuest();
      await session.add(user, hap.Permission.User);
      let open = await controller.session({ as: user });
      for (const permissions of [hap.Permission.Admin, hap.Permission.User]) {
        expect(await session.sendAdd(user, permissions), `Add again with ${permissions}`).to.be.allowed();
        expect(await shared.lines(session), 'the list').to.deep.equal(
          [shared.line(bench.admin!, 1), shared.line(user, permissions)].sort(),
        );
        // A session of somebody whose rights change may be ended.
        if (!(await open.link.stillOpen(50))) continue;
        const list = await open.sendPairings(hap.listPairings());
        if (permissions === hap.Permission.Admin) {
          // Who has to come again for what he was given loses nothing; who keeps what was taken from him does harm.
          expect(list, 'List in the open session of the new admin').to.be.allowed({
            allow: [shared.listed, outcomes.anyRefusal()],
          });
          if (shared.listed.matches(list)) continue;
          // The one that has the rights which go next.
          open = await controller.session({ as: user });
          expect(await open.sendPairings(hap.listPairings()), 'List in a new session of it').to.be.allowed({
            allow: [shared.listed],
          });
        } else
          expect(list, 'List in the open session of the former admin').to.be.allowed({
            allow: [outcomes.tlvError(2, 'Authentication')],
            tolerate: [outcomes.anyRefusal()],
            forbid: [shared.listed],
          });
      }
      await shared.empty(session, [user]);
    },
  ),
  ...Object.entries(otherKeys).map(([name, keys]) =>
    check(
      `PAIRINGS-06/${name}`,
      'Add for an existing id with a different LTPK is refused',
      {
        ...shared.paired,
        costs: { verifies: name === 'random' ? 3 : 1 },
        allow: [outcomes.tlvError(2, 'Unknown')],
        tolerate: [outcomes.otherError(2)],
        forbid: [shared.added],
      },
      async ({ controller, expect }) => {
        const session = await controller.session();
        const [user, other] = [controller.newGuest(), controller.newIdentity()];
        const { first, second } = keys(user.ltpk, other.ltpk);
        const outcome = await session.sendAdd(user, hap.Permission.User, first);
        // A key nobody can hold may be refused by itself: then there is nothing to take over.
        if (!shared.added.matches(outcome)) {
          expect(outcome, 'the first Add').to.be.allowed(
            name === 'equal-as-text' ? outcomes.reject('pairings-add') : { allow: [shared.added] },
          );
          return;
        }
        expect(
          await session.sendAdd(user, hap.Permission.Admin, second),
          'Add with another key',
        ).to.be.allowed();
        const entries = (await session.list()).entries.filter(({ id }) => hap.text(id) === hap.text(user.id));
        expect(
          entries.map(({ ltpk }) => hap.hex(ltpk)),
          'the key in the list',
        ).to.deep.equal([hap.hex(first)]);
        if (name === 'random') {
          await (await controller.pairVerify({ as: user })).m3();
          const thief = { ...other, id: user.id };
          const verify = await controller.pairVerify({ as: thief });
          expect(await verify.sendM3(), 'Pair Verify with the other key').to.be.allowed(denied);
        }
        await shared.empty(session, [user]);
      },
    ),
  ),
  check(
    'PAIRINGS-06/key-of-another-controller',
    'Add for an existing id with a different LTPK is refused',
    {
      ...shared.paired,
      costs: { verifies: 3 },
      allow: [outcomes.tlvError(2, 'Unknown')],
      tolerate: [outcomes.otherError(2)],
      forbid: [shared.added],
    },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const [user, other] = [controller.newGuest(), controller.newGuest()];
      for (const who of [user, other]) await session.add(who, hap.Permission.Admin);
      const before = await shared.lines(session);
      const outcome = await session.sendAdd(user, hap.Permission.Admin, other.ltpk);
      expect(outcome, 'Add with the key of another controller').to.be.allowed();
      expect(await shared.lines(session), 'the list').to.deep.equal(before);
      await (await controller.pairVerify({ as: user })).m3();
      const verify = await controller.pairVerify({ as: { ...other, id: user.id } });
      expect(await verify.sendM3(), 'Pair Verify of the other controller in its name').to.be.allowed(denied);
      await shared.empty(session, [user, other]);
    },
  ),
  check(
    'PAIRINGS-06/own-identifier',
    'Add for an existing id with a different LTPK is refused',
    {
      ...shared.paired,
      costs: { verifies: 3 },
      allow: [outcomes.tlvError(2, 'Unknown')],
      tolerate: [outcomes.otherError(2)],
      forbid: [shared.added],
    },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const own = bench.admin!;
      const before = await shared.lines(session);
      // Its key is kept before it leaves: were it taken, no other would open the accessory.
      const other = controller.newIdentity(own.id);
      expect(
        await session.sendAdd(other, hap.Permission.Admin),
        'Add of itself with another key',
      ).to.be.allowed();
      const again = await controller.session();
      expect(await shared.lines(again), 'the list').to.deep.equal(before);
      const verify = await controller.pairVerify({ as: other });
      expect(await verify.sendM3(), 'Pair Verify with the other key').to.be.allowed(denied);
    },
  ),
  ...Object.entries(malformedAdds).map(([name, { edit, either }]) =>
    check(
      `PAIRINGS-07/${name}`,
      'Add with missing or malformed items',
      {
        ...shared.paired,
        ...(name === 'without-public-key' && { grid: ['add', 'item-missing'] as const }),
        risky: true,
        allow: [outcomes.tlvError(2), outcomes.badRequest(), ...(either ? [shared.added] : [])],
        tolerate: [outcomes.anyRefusal()],
        forbid: either ? [outcomes.silence()] : [shared.added, outcomes.silence()],
      },
      async ({ controller, expect, observe, violate }) => {
        const session = await controller.session();
        const before = await shared.lines(session);
        const user = controller.newIdentity();
        controller.bench.remember(user, 'add-pairing');
        const items = edit(hap.addPairing(user.id, user.ltpk, hap.Permission.User));
        const outcome = await session.sendPairings(items);
        expect(outcome).to.be.allowed();
        const id = items.find(({ type }) => type === hap.TlvType.Identifier)?.value ?? new Uint8Array(0);
        const taken = shared.added.matches(outcome);
        if (either) observe(name, taken ? 'taken' : 'refused');
        const open = await session.link.stillOpen(50);
        const other = open ? session : await controller.session();
        const list = await other.sendPairings(hap.listPairings(), controller.stepWait);
        if (!shared.listed.matches(list)) violate(`List behind it gets ${outcomes.describeOutcome(list)}`);
        const after = await shared.lines(other);
        // What is taken has to be there as it came, and nothing beside it.
        const fresh = after.filter((entry) => !before.includes(entry));
        expect(
          fresh.map((entry) => entry.slice(0, -2)),
          'new entries',
        ).to.deep.equal(taken ? [`${hap.text(id)} ${hap.hex(user.ltpk)}`] : []);
        expect(after.length, 'entries').to.equal(before.length + fresh.length);
        if (taken && open) await session.sendRemove(id);
      },
    ),
  ),
  ...[0x02, 0x03, 0x07, 0x80, 0xff].map((permissions) =>
    check(
      `PAIRINGS-08/${hap.hex(Uint8Array.of(permissions))}`,
      'Permission values other than 0 and 1',
      {
        ...shared.paired,
        costs: { verifies: 2 },
        allow: [outcomes.tlvError(2), outcomes.badRequest(), shared.added],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect, observe, violate }) => {
        const session = await controller.session();
        const user = controller.newIdentity();
        const outcome = await session.sendAdd(user, permissions);
        expect(outcome).to.be.allowed();
        observe('such permissions', shared.added.matches(outcome) ? 'taken' : 'refused');
        if (!shared.added.matches(outcome)) return;
        // Said to be stored, and dropped where the list is read again.
        const verify = await controller.pairVerify({ as: user });
        expect(await verify.sendM3(), 'Pair Verify of the controller added').to.be.allowed({
          allow: [outcomes.success('verify-m4')],
          forbid: [outcomes.anyRefusal(), outcomes.silence()],
        });
        const open = verify.secure();
        const list = await open.sendPairings(hap.listPairings());
        if (shared.listed.matches(list) && (permissions & 1) === 0)
          violate('the admin bit is not set, and the controller may list the pairings');
        observe('its controller', shared.listed.matches(list) ? 'is an admin' : 'is a plain user');
        await shared.empty(session, [user]);
      },
    ),
  ),
  check(
    'PAIRINGS-09',
    'At least 16 pairings, then MaxPeers',
    {
      ...shared.paired,
      allow: [outcomes.tlvError(2, 'MaxPeers')],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, observe, violate }) => {
      const session = await controller.session();
      const { users, refusal } = await fill(controller, session, MOST - 1);
      const held = users.length + 1 + (bench.household.residents?.size ?? 0);
      observe('pairings at most', refusal === undefined ? `more than ${MOST}` : String(held));
      if (held < LEAST) violate(`only ${held} pairings fit, ${LEAST} have to`);
      if (refusal !== undefined) expect(refusal, 'Add to a full table').to.be.allowed();
      const list = await session.sendPairings(hap.listPairings());
      if (!shared.listed.matches(list))
        violate(`with ${held} pairings List of the first one gets ${outcomes.describeOutcome(list)}`);
      expect((await shared.lines(session)).length, 'entries').to.equal(users.length + 1);
      await shared.empty(session, users);
    },
  ),
  check(
    'PAIRINGS-10',
    'A full table still allows update, remove and re-add',
    { ...shared.paired, costs: { verifies: 2 }, allow: [shared.added] },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      const { users } = await fill(controller, session, LEAST - 1);
      const [first, second] = users;
      if (first === undefined || second === undefined)
        throw new StepFailed('PAIRINGS-09', 'the table takes no further controllers');
      expect(
        await session.sendAdd(first, hap.Permission.User),
        'update of an entry of a full table',
      ).to.be.allowed();
      expect(await session.sendRemove(second.id), 'Remove').to.be.allowed({ allow: [shared.removed] });
      const fresh = controller.newIdentity();
      expect(
        await session.sendAdd(fresh, hap.Permission.User),
        'Add in the place of the one removed',
      ).to.be.allowed();
      const rest = users.slice(2);
      expect(await shared.lines(session), 'the list').to.deep.equal(
        [
          shared.line(bench.admin!, 1),
          shared.line(first, 0),
          shared.line(fresh, 0),
          ...rest.map((user) => shared.line(user, user.permissions)),
        ].sort(),
      );
      await (await controller.pairVerify({ as: fresh })).m3();
      await shared.empty(session, [first, fresh, ...rest]);
    },
  ),
]);
