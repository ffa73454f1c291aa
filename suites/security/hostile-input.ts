import {
  type Bytes,
  type CheckSpec,
  type Controller,
  type Identity,
  type Outcome,
  Permission,
  type Random,
  type Session,
  anyRefusal,
  badRequest,
  chapter,
  closed,
  concat,
  encodeTlv,
  hex,
  resize,
  sealedMessage,
  setupM3,
  silence,
  success,
  text,
  tlvError,
  utf8,
  verifyM1,
} from '../../harness/suite.js';
import { ok, refusedAdd } from './shared.js';

const request = { method: 'GET', path: '/accessories' };

/** Identifiers that a lookup by strcmp, a file of lines, a path or a quoted text takes for something else. */
const oddIdentifiers: Record<string, (user: Bytes, random: Random) => Bytes> = {
  nul: (user, random) => concat(user, Uint8Array.of(0), random.bytes(8)),
  newline: (user, random) => concat(utf8('line\n'), user.subarray(0, 8), utf8(hex(random.bytes(4)))),
  colon: (_user, random) => utf8(`a:${hex(random.bytes(12))}:1`),
  quote: (_user, random) => utf8(`"},{"id":"${hex(random.bytes(8))}`),
  path: (_user, random) => utf8(`../../${hex(random.bytes(8))}/key`),
};

/** What a session lists, as comparable text in a fixed order. */
async function listed(session: Session): Promise<string[]> {
  const { entries } = await session.list();
  return entries.map(({ id, ltpk, permissions }) => line({ id, ltpk }, permissions)).sort();
}

function line({ id, ltpk }: Pick<Identity, 'id' | 'ltpk'>, permissions: number): string {
  return `${hex(id)} ${hex(ltpk)} ${permissions}`;
}

/** Identifiers and keys of the list, whatever it says of permissions. */
async function names(session: Session): Promise<string[]> {
  return (await session.list()).entries.map(nameOf).sort();
}

function nameOf({ id, ltpk }: Pick<Identity, 'id' | 'ltpk'>): string {
  return `${hex(id)} ${hex(ltpk)}`;
}

/** What comes without credentials may be turned down in any way. */
const turnedDown = {
  allow: [tlvError(6), tlvError(4), tlvError(2), badRequest(), closed()],
  tolerate: [anyRefusal()],
};

/** Inputs that need no credentials; another session stays up, and the accessory answers afterwards. */
const uninvited: CheckSpec = { from: 'paired', needs: ['PV-M3-01'], risky: true, ...turnedDown };

/** True when Add took the identity, else how it was refused. */
async function takes(session: Session, identity: Identity): Promise<true | Outcome> {
  const outcome = await session.sendAdd(identity, Permission.User);
  return success('pairings-add').matches(outcome) ? true : outcome;
}

/** A user whose identifier is short enough to be the beginning of another of 36 bytes, where such a one is taken. */
async function addUser(session: Session): Promise<Identity> {
  const { controller } = session;
  const short = controller.newIdentity(controller.newIdentity().id.subarray(0, 27));
  if ((await takes(session, short)) === true) return short;
  const user = controller.newIdentity();
  await session.add(user, Permission.User);
  return user;
}

async function verifies(controller: Controller, as: Identity): Promise<boolean> {
  const verify = await controller.pairVerify({ as });
  return success('verify-m4').matches(await verify.sendM3());
}

export default chapter(
  'security.attacks',
  ({ check }) => [
    ...Object.entries(oddIdentifiers).map(([name, identifier]) =>
      check(
        `SEC-08/${name}`,
        {
          from: 'paired',
          needs: ['PAIRINGS-01', 'PV-M3-01'],
          costs: { verifies: 3 },
          ...refusedAdd,
        },
        async ({ controller, bench, expect, random, observe }) => {
          const session = await controller.session();
          controller.needsRemoval();
          const user = await addUser(session);
          const odd = controller.newIdentity(identifier(user.id, random));
          try {
            const taken = await takes(session, odd);
            if (taken !== true) expect(taken).to.be.allowed();
            observe('such an identifier', taken === true ? 'is accepted' : 'is refused');
            const users = taken === true ? [user, odd] : [user];
            const due = [bench.admin!, ...users].map(nameOf).sort();
            expect(await names(session), 'the pairings after the Add').to.deep.equal(due);
            for (const as of users)
              expect(await verifies(controller, as), `Pair Verify of ${text(as.id)}`).to.equal(true);
          } finally {
            for (const { id } of [odd, user]) await session.sendRemove(id);
          }
          expect(await names(session), 'the pairings at the end').to.deep.equal([nameOf(bench.admin!)]);
        },
      ),
    ),
    check(
      'SEC-08/restart',
      {
        from: 'paired',
        needs: ['PAIRINGS-01', 'PV-M3-01'],
        needsHook: 'restart',
        costs: { verifies: 3 },
        ...refusedAdd,
      },
      async ({ controller, bench, expect, random }) => {
        const session = await controller.session();
        const user = await addUser(session);
        const added = [user];
        for (const identifier of Object.values(oddIdentifiers)) {
          const odd = controller.newIdentity(identifier(user.id, random));
          if ((await takes(session, odd)) === true) added.push(odd);
        }
        const before = await listed(session);
        await bench.restart();
        const again = await controller.session();
        try {
          expect(await listed(again), 'the pairings after the restart').to.deep.equal(before);
          expect(await verifies(controller, user), `Pair Verify of ${text(user.id)}`).to.equal(true);
        } finally {
          for (const { id } of added) await again.sendRemove(id);
        }
      },
    ),
    check(
      'SEC-09/setup-encrypted-data',
      {
        from: 'unpaired',
        needs: ['PS-M1-01'],
        risky: true,
        // The last one is the sign of life.
        costs: { m2: 2, verifies: 1 },
        ...turnedDown,
        forbid: [success('setup-m6')],
      },
      async ({ controller, expect, random }) => {
        // What is short by a whole tag and what by one byte come behind an M1 each, the others out of sequence.
        for (const lengths of [[0, ...range(1, 14), 16], [15]]) {
          const setup = await controller.setup();
          expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [success('setup-m2')] });
          for (const length of lengths) {
            if (!(await setup.link.stillOpen(50))) break;
            const items = sealedMessage(5, random.bytes(length));
            const outcome = await controller.post(setup.link, controller.profile.paths.setup, items);
            expect(outcome, `M5 with ${length} bytes of EncryptedData`).to.be.allowed();
          }
          await setup.link.close();
        }
      },
    ),
    check(
      'SEC-09/srp-public-key',
      {
        from: 'unpaired',
        needs: ['PS-M1-01'],
        risky: true,
        costs: { m2: 2, m4: 2, verifies: 1, attempts: 2 },
        ...turnedDown,
        forbid: [success('setup-m4')],
      },
      async ({ controller, expect, random }) => {
        for (const length of [385, 2000]) {
          const setup = await controller.setup();
          expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [success('setup-m2')] });
          const items = setupM3(random.bytes(length), random.bytes(64));
          expect(await setup.sendItems(items), `M3 with ${length} bytes of PublicKey`).to.be.allowed();
          await setup.link.close();
        }
      },
    ),
    check(
      'SEC-09/verify-encrypted-data',
      { ...uninvited, costs: { verifies: 6 }, forbid: [success('verify-m4')] },
      async ({ controller, expect }) => {
        const bystander = await controller.session();
        for (const length of [0, 1, 8, 15, 16]) {
          const verify = await controller.pairVerify({ as: controller.newIdentity() });
          const outcome = await verify.sendM3({}, resize('EncryptedData', length));
          expect(outcome, `M3 with ${length} bytes of EncryptedData`).to.be.allowed();
        }
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/messages-without-m1',
      { ...uninvited, costs: { m4: 1, attempts: 1, verifies: 1 } },
      async ({ controller, expect, random }) => {
        const bystander = await controller.session();
        const { setup, verify } = controller.profile.paths;
        const m3 = await (await controller.setup()).sendItems(setupM3(random.bytes(384), random.bytes(64)));
        expect(m3, 'Pair Setup M3').to.be.allowed({ ...turnedDown, forbid: [success('setup-m4')] });
        const m5 = await controller.post(await controller.open(), setup, sealedMessage(5, random.bytes(154)));
        expect(m5, 'Pair Setup M5').to.be.allowed({ ...turnedDown, forbid: [success('setup-m6')] });
        const m3OfVerify = await controller.post(
          await controller.open(),
          verify,
          sealedMessage(3, random.bytes(120)),
        );
        expect(m3OfVerify, 'Pair Verify M3').to.be.allowed({ ...turnedDown, forbid: [success('verify-m4')] });
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/verify-public-key',
      { ...uninvited, costs: { verifies: 9 }, forbid: [success('verify-m2')] },
      async ({ controller, expect, random }) => {
        const bystander = await controller.session();
        for (const length of [0, 1, 16, 31, 33, 48, 63, 64]) {
          const body = encodeTlv(verifyM1(random.bytes(length)));
          const outcome = await controller.postToVerify(await controller.open(), body);
          expect(outcome, `M1 with ${length} bytes of PublicKey`).to.be.allowed();
        }
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/frame-header',
      { ...uninvited, costs: { verifies: 1 }, allow: [badRequest(), closed(), silence()] },
      async ({ controller, expect, random }) => {
        const bystander = await controller.session();
        const link = await controller.open();
        link.said('FF FF and 64 bytes, on a connection without a session');
        link.send(concat(Uint8Array.of(0xff, 0xff), random.bytes(64)));
        expect(await link.outcome(controller.judgedWait)).to.be.allowed();
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/long-method',
      { ...uninvited, costs: { verifies: 1 }, allow: [badRequest(), closed(), silence()] },
      async ({ controller, expect }) => {
        const bystander = await controller.session();
        const outcome = await controller.request(await controller.open(), {
          ...request,
          method: 'A'.repeat(4096),
        });
        expect(outcome).to.be.allowed();
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/connection-cycles',
      { ...uninvited, costs: { verifies: 1 } },
      async ({ controller, bench, expect, observe }) => {
        const bystander = await controller.session();
        // A device gets what fits into some seconds; in memory they cost nothing.
        const cycles = bench.clock.virtual ? 1000 : 200;
        for (let i = 0; i < cycles; i++) await (await controller.open()).close();
        observe('connections opened and closed', String(cycles));
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
  ],
  'hostile-input',
);

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
