/**
 * Input made to break something: identifiers with NUL and separators, messages far too short or too long.
 * The accessory may refuse or close, and must be there for the next controller.
 * What real accessories are known to go down of runs last.
 */
import {
  type CheckSpec,
  type Controller,
  type Session,
  chapter,
  edits,
  hap,
  outcomes,
} from '../../harness/suite.js';
import { ok, refusedAdd } from './shared.js';

const request = { method: 'GET', path: '/accessories' };

/** Identifiers that a lookup by strcmp, a file of lines, a path or a quoted text takes for something else. */
const oddIdentifiers: Record<string, (user: hap.Bytes, random: hap.Random) => hap.Bytes> = {
  nul: (user, random) => hap.concat(user, Uint8Array.of(0), random.bytes(8)),
  newline: (user, random) =>
    hap.concat(hap.utf8('line\n'), user.subarray(0, 8), hap.utf8(hap.hex(random.bytes(4)))),
  colon: (_user, random) => hap.utf8(`a:${hap.hex(random.bytes(12))}:1`),
  quote: (_user, random) => hap.utf8(`"},{"id":"${hap.hex(random.bytes(8))}`),
  path: (_user, random) => hap.utf8(`../../${hap.hex(random.bytes(8))}/key`),
};

/** What a session lists, as comparable text in a fixed order. */
async function listed(session: Session): Promise<string[]> {
  const { entries } = await session.list();
  return entries.map(({ id, ltpk, permissions }) => line({ id, ltpk }, permissions)).sort();
}

function line({ id, ltpk }: Pick<hap.Identity, 'id' | 'ltpk'>, permissions: number): string {
  return `${hap.hex(id)} ${hap.hex(ltpk)} ${permissions}`;
}

/** Identifiers and keys of the list, whatever it says of permissions. */
async function names(session: Session): Promise<string[]> {
  return (await session.list()).entries.map(nameOf).sort();
}

function nameOf({ id, ltpk }: Pick<hap.Identity, 'id' | 'ltpk'>): string {
  return `${hap.hex(id)} ${hap.hex(ltpk)}`;
}

/** What comes without credentials may be turned down in any way. */
const turnedDown = {
  allow: [
    outcomes.tlvError(6),
    outcomes.tlvError(4),
    outcomes.tlvError(2),
    outcomes.badRequest(),
    outcomes.closed(),
  ],
  tolerate: [outcomes.anyRefusal()],
};

/** Inputs that need no credentials; another session stays up, and the accessory answers afterwards. */
const uninvited: CheckSpec = { from: 'paired', needs: ['PV-M3-01'], risky: true, ...turnedDown };

/** True when Add took the identity, else how it was refused. */
async function takes(session: Session, identity: hap.Identity): Promise<true | outcomes.Outcome> {
  const outcome = await session.sendAdd(identity, hap.Permission.User);
  return outcomes.success('pairings-add').matches(outcome) ? true : outcome;
}

/** A user whose identifier is short enough to be the beginning of another of 36 bytes, where such a one is taken. */
async function addUser(session: Session): Promise<hap.Identity> {
  const { controller } = session;
  const short = controller.newIdentity(controller.newIdentity().id.subarray(0, 27));
  if ((await takes(session, short)) === true) return short;
  const user = controller.newIdentity();
  await session.add(user, hap.Permission.User);
  return user;
}

async function verifies(controller: Controller, as: hap.Identity): Promise<boolean> {
  const verify = await controller.pairVerify({ as });
  return outcomes.success('verify-m4').matches(await verify.sendM3());
}

export default chapter(
  'security.attacks',
  ({ check }) => [
    ...Object.entries(oddIdentifiers).map(([name, identifier]) =>
      check(
        `SEC-08/${name}`,
        'Embedded NUL and separators in identifiers',
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
              expect(await verifies(controller, as), `Pair Verify of ${hap.text(as.id)}`).to.equal(true);
          } finally {
            for (const { id } of [odd, user]) await session.sendRemove(id);
          }
          expect(await names(session), 'the pairings at the end').to.deep.equal([nameOf(bench.admin!)]);
        },
      ),
    ),
    check(
      'SEC-08/restart',
      'Embedded NUL and separators in identifiers',
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
          expect(await verifies(controller, user), `Pair Verify of ${hap.text(user.id)}`).to.equal(true);
        } finally {
          for (const { id } of added) await again.sendRemove(id);
        }
      },
    ),
    check(
      'SEC-09/setup-encrypted-data',
      'Short and oversize inputs do not stop the accessory',
      {
        from: 'unpaired',
        needs: ['PS-M1-01'],
        risky: true,
        // The last one is the sign of life.
        costs: { m2: 2, verifies: 1 },
        ...turnedDown,
        forbid: [outcomes.success('setup-m6')],
      },
      async ({ controller, expect, random }) => {
        // What is short by a whole tag and what by one byte come behind an M1 each, the others out of sequence.
        for (const lengths of [[0, ...range(1, 14), 16], [15]]) {
          const setup = await controller.setup();
          expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [outcomes.success('setup-m2')] });
          for (const length of lengths) {
            if (!(await setup.link.stillOpen(50))) break;
            const items = hap.sealedMessage(5, random.bytes(length));
            const outcome = await controller.post(setup.link, controller.profile.paths.setup, items);
            expect(outcome, `M5 with ${length} bytes of EncryptedData`).to.be.allowed();
          }
          await setup.link.close();
        }
      },
    ),
    check(
      'SEC-09/srp-public-key',
      'Short and oversize inputs do not stop the accessory',
      {
        from: 'unpaired',
        needs: ['PS-M1-01'],
        risky: true,
        costs: { m2: 2, m4: 2, verifies: 1, attempts: 2 },
        ...turnedDown,
        forbid: [outcomes.success('setup-m4')],
      },
      async ({ controller, expect, random }) => {
        for (const length of [385, 2000]) {
          const setup = await controller.setup();
          expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [outcomes.success('setup-m2')] });
          const items = hap.setupM3(random.bytes(length), random.bytes(64));
          expect(await setup.sendItems(items), `M3 with ${length} bytes of PublicKey`).to.be.allowed();
          await setup.link.close();
        }
      },
    ),
    check(
      'SEC-09/verify-encrypted-data',
      'Short and oversize inputs do not stop the accessory',
      { ...uninvited, alone: true, costs: { verifies: 6 }, forbid: [outcomes.success('verify-m4')] },
      async ({ controller, expect }) => {
        const bystander = await controller.session();
        for (const length of [0, 1, 8, 15, 16]) {
          const verify = await controller.pairVerify({ as: controller.newIdentity() });
          const outcome = await verify.sendM3({}, edits.resize('EncryptedData', length));
          expect(outcome, `M3 with ${length} bytes of EncryptedData`).to.be.allowed();
        }
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/messages-without-m1',
      'Short and oversize inputs do not stop the accessory',
      { ...uninvited, costs: { m4: 1, attempts: 1, verifies: 1 } },
      async ({ controller, expect, random }) => {
        const bystander = await controller.session();
        const { setup, verify } = controller.profile.paths;
        const m3 = await (
          await controller.setup()
        ).sendItems(hap.setupM3(random.bytes(384), random.bytes(64)));
        expect(m3, 'Pair Setup M3').to.be.allowed({ ...turnedDown, forbid: [outcomes.success('setup-m4')] });
        const m5 = await controller.post(
          await controller.open(),
          setup,
          hap.sealedMessage(5, random.bytes(154)),
        );
        expect(m5, 'Pair Setup M5').to.be.allowed({ ...turnedDown, forbid: [outcomes.success('setup-m6')] });
        const m3OfVerify = await controller.post(
          await controller.open(),
          verify,
          hap.sealedMessage(3, random.bytes(120)),
        );
        expect(m3OfVerify, 'Pair Verify M3').to.be.allowed({
          ...turnedDown,
          forbid: [outcomes.success('verify-m4')],
        });
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/verify-public-key',
      'Short and oversize inputs do not stop the accessory',
      { ...uninvited, alone: true, costs: { verifies: 9 }, forbid: [outcomes.success('verify-m2')] },
      async ({ controller, expect, random }) => {
        const bystander = await controller.session();
        for (const length of [0, 1, 16, 31, 33, 48, 63, 64]) {
          const body = hap.encodeTlv(hap.verifyM1(random.bytes(length)));
          const outcome = await controller.postToVerify(await controller.open(), body);
          expect(outcome, `M1 with ${length} bytes of PublicKey`).to.be.allowed();
        }
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/frame-header',
      'Short and oversize inputs do not stop the accessory',
      {
        ...uninvited,
        costs: { verifies: 1 },
        allow: [outcomes.badRequest(), outcomes.closed(), outcomes.silence()],
      },
      async ({ controller, expect, random }) => {
        const bystander = await controller.session();
        const link = await controller.open();
        link.said('FF FF and 64 bytes, on a connection without a session');
        link.send(hap.concat(Uint8Array.of(0xff, 0xff), random.bytes(64)));
        expect(await link.outcome(controller.judgedWait)).to.be.allowed();
        expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
      },
    ),
    check(
      'SEC-09/long-method',
      'Short and oversize inputs do not stop the accessory',
      {
        ...uninvited,
        costs: { verifies: 1 },
        allow: [outcomes.badRequest(), outcomes.closed(), outcomes.silence()],
      },
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
      'Short and oversize inputs do not stop the accessory',
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
