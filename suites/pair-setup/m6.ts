/**
 * M6 and what is there behind it: its sub-TLVs, the accessory's identity in it, the pairing it confirms.
 * The watches read every M6 of the run; the checks repeat M5, send it in other forms, and verify on the same connection.
 * A setup that failed or was left leaves nothing behind.
 */
import { type Controller, type Link, chapter, edits, hap, outcomes } from '../../harness/suite.js';
import { refused } from './refused.js';

/** Identifiers beside the upper-case UUID of the ordinary flow, for 36 bytes or fewer, or more, or none. */
const identifiers: Record<string, (uuid: string, random: hap.Random) => hap.Bytes> = {
  'not-a-uuid': () => hap.utf8('not-a-uuid'),
  '1-byte': () => hap.utf8('x'),
  '35-bytes': (uuid) => hap.utf8(uuid.slice(0, 35)),
  '37-bytes': (uuid) => hap.utf8(`${uuid}x`),
  '64-bytes': (uuid) => hap.utf8(uuid.repeat(2).slice(0, 64)),
  '65-bytes': (uuid) => hap.utf8(uuid.repeat(2).slice(0, 65)),
  '255-bytes': (uuid) => hap.utf8(uuid.repeat(8).slice(0, 255)),
  empty: () => new Uint8Array(0),
  '00-and-ff-inside': (uuid, random) =>
    hap.concat(hap.utf8(uuid.slice(0, 17)), Uint8Array.of(0x00, 0xff), random.bytes(17)),
};
/** Those the accessory of this project takes: what its controller does afterwards is part of the price. */
const usual = ['not-a-uuid', '1-byte', '35-bytes', '37-bytes', '64-bytes', '00-and-ff-inside'];

/** The list knows the identifier byte for byte, as an admin's, and Pair Verify works with it. */
async function isKnown(controller: Controller, as: hap.Identity): Promise<boolean> {
  const verify = await controller.pairVerify({ as });
  if (!outcomes.success('verify-m4').matches(await verify.sendM3())) return false;
  const session = verify.secure();
  // Where nobody is listed, that Pair Verify finds it under its own is all there is to see.
  if (await session.lacks(hap.Method.ListPairings)) return true;
  const list = await session.sendPairings(hap.listPairings());
  if (!outcomes.success('pairings-list').matches(list)) return false;
  const { entries } = session.pairingsIn(list);
  return entries.length === 1 && hap.equal(entries[0]!.id, as.id);
}

/** M1 on a new connection after a setup that came to nothing. Busy may last for a while where a close goes unnoticed. */
const freeAgain = {
  allow: [outcomes.success('setup-m2')],
  tolerate: [outcomes.tlvError(2, 'Busy')],
  forbid: [outcomes.tlvError(2, 'Unavailable')],
};

/** M1 on a connection of its own. */
async function begin(controller: Controller): Promise<{ link: Link; m2: outcomes.Outcome }> {
  const setup = await controller.setup();
  return { link: setup.link, m2: await setup.sendM1() };
}

export default chapter(
  'pair-setup.m5-m6',
  ({ check, watch }) => [
    check(
      'PS-M5-03',
      'Pair Verify on the connection that did Pair Setup',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01', 'PV-M3-01'],
        risky: true,
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
        allow: [outcomes.answered(200)],
      },
      async ({ controller, expect, warn, violate }) => {
        const served = async (link?: Link): Promise<outcomes.Outcome> => {
          const verify = await controller.verify(link && { link });
          const m2 = await verify.sendM1();
          if (!outcomes.success('verify-m2').matches(m2) || verify.m2?.items === undefined) return m2;
          const m4 = await verify.sendM3();
          return outcomes.success('verify-m4').matches(m4) ? verify.secure().get('/accessories') : m4;
        };
        const { link } = await controller.pair();
        const here = await served(link);
        if (outcomes.answered(200).matches(here)) return void expect(here).to.be.allowed();
        warn(`on the connection of Pair Setup: ${outcomes.describeOutcome(here)}`);
        const elsewhere = await served();
        if (!outcomes.answered(200).matches(elsewhere))
          violate(
            `Pair Verify works neither there nor on a new connection: ${outcomes.describeOutcome(elsewhere)}`,
          );
      },
    ),
    // Upper case is what the ordinary flow pairs with: the run's own pairing tells.
    check(
      'PS-M5-10/uuid-upper',
      'Controller identifier forms',
      {
        from: 'paired',
        needs: ['PV-M3-01', 'PAIRINGS-01'],
        costs: { verifies: 1 },
        allow: [outcomes.success('pairings-list')],
      },
      async ({ controller, bench, expect, violate }) => {
        const { id } = bench.admin!;
        const session = await controller.session();
        const list = await session.sendPairings(hap.listPairings());
        expect(list).to.be.allowed();
        const { entries } = session.pairingsIn(list);
        if (!entries.some((entry) => hap.equal(entry.id, id)))
          violate(
            `paired as ${hap.text(id)}, listed as ${entries.map((entry) => hap.text(entry.id)).join(', ')}`,
          );
      },
    ),
    check(
      'PS-M5-10/uuid-lower',
      'Controller identifier forms',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01', 'PV-M3-01', 'PAIRINGS-01'],
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
        allow: [outcomes.success('setup-m6')],
      },
      async ({ controller, expect, violate }) => {
        const id = hap.utf8(hap.text(controller.newIdentity().id).toLowerCase());
        const setup = await controller.pairSetup({ identity: controller.newIdentity(id) });
        await setup.m3();
        const outcome = await setup.sendM5();
        if (!setup.accepted(outcome))
          violate(`an identifier of 36 lower-case characters: ${outcomes.describeOutcome(outcome)}`);
        expect(outcome).to.be.allowed();
        if (!(await isKnown(controller, setup.identity)))
          violate('the list does not return the identifier as it was sent');
      },
    ),
    // An identifier that is cut or changed on the way in could not be verified with, and so not be removed.
    ...Object.entries(identifiers).map(([name, identifier]) =>
      check(
        `PS-M5-10/${name}`,
        'Controller identifier forms',
        {
          from: 'unpaired',
          ...(usual.includes(name) && { leaves: 'paired' as const }),
          needs: ['PS-M5-01', 'PV-M3-01', 'PAIRINGS-01'],
          risky: true,
          ifAccepted: 'reset',
          costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
          allow: [outcomes.success('setup-m6'), ...outcomes.reject('setup-m6').allow],
          tolerate: [outcomes.anyRefusal()],
        },
        async ({ controller, expect, random, observe, violate }) => {
          const id = identifier(hap.text(controller.newIdentity().id), random);
          const setup = await controller.pairSetup({ identity: controller.newIdentity(id) });
          await setup.m3();
          const outcome = await setup.sendM5();
          expect(outcome).to.be.allowed();
          const accepted = setup.accepted(outcome);
          observe('such an identifier', accepted ? 'is accepted' : 'is refused');
          const known = accepted ? await isKnown(controller, setup.identity) : undefined;
          if (known === false)
            violate('it is accepted, and afterwards unknown to the list or to Pair Verify, byte for byte');
          if (!accepted && (await controller.isStored(setup.identity))) violate('it is refused and stored');
        },
      ),
    ),
    check(
      'PS-M5-14',
      'Replay of M5 after success',
      {
        grid: ['setup-m5', 'replayed'],
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01', 'PV-M3-01', 'PAIRINGS-01'],
        costs: { m2: 1, m4: 1, m6: 3, verifies: 1 },
        allow: [
          outcomes.tlvError(6),
          outcomes.tlvError(2, 'Unavailable'),
          outcomes.tlvError(4, 'Unavailable'),
          outcomes.badRequest(),
        ],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.success('setup-m6')],
      },
      async ({ controller, expect }) => {
        const setup = await controller.pair();
        expect(await setup.repeatM5(), 'on the same connection').to.be.allowed();
        const { link, ...again } = await begin(controller);
        expect(again.m2, 'M1 on a new connection').to.be.allowed({
          allow: [outcomes.tlvError(2, 'Unavailable')],
          tolerate: [outcomes.anyRefusal()],
          forbid: [outcomes.success('setup-m2')],
        });
        if (await link.stillOpen(50))
          expect(await setup.repeatM5(link), 'on a new connection').to.be.allowed();
        const { entries } = await (await controller.session()).list();
        expect(entries.length, 'pairings afterwards').to.equal(1);
      },
    ),
    check(
      'PS-M5-15',
      'Correct M5 after a failed M5',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01'],
        costs: { m2: 2, m4: 2, m6: 3 },
        allow: [outcomes.success('setup-m6'), ...outcomes.reject('setup-m6').allow],
        tolerate: [outcomes.anyRefusal()],
      },
      async ({ controller, expect, observe, violate }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5({}, edits.flip('EncryptedData', -3)), 'damaged').to.be.allowed(refused);
        const open = await setup.link.stillOpen(50);
        const right = open ? await setup.sendM5() : undefined;
        if (right !== undefined) expect(right, 'the right M5 behind it').to.be.allowed();
        const accepted = right !== undefined && setup.accepted(right);
        observe(
          'a right M5 behind a refused one',
          accepted ? 'accepted' : open ? 'refused' : 'connection closed',
        );
        if (accepted) return;
        const link = (await setup.link.stillOpen(50)) ? setup.link : undefined;
        const next = await controller.setup(link && { link });
        const outcome = await next.asGuest().sendAll();
        if (!outcomes.success('setup-m6').matches(outcome))
          violate(
            `a new Pair Setup after the refused M5 is answered by ${outcomes.describeOutcome(outcome)}`,
          );
      },
    ),
    check(
      'PS-M5-16',
      'Unknown sub-TLVs and sub-TLV order',
      {
        from: 'unpaired',
        leaves: 'paired',
        needs: ['PS-M5-01'],
        risky: true,
        costs: { m2: 1, m4: 1, m6: 1 },
        allow: [outcomes.success('setup-m6')],
        tolerate: [outcomes.anyRefusal()],
      },
      async ({ controller, expect, observe }) => {
        const unknown = edits.insert(hap.tlv(0x7f, 'more'), -1);
        const both = edits.all(edits.reorder('Signature', 'PublicKey', 'Identifier'), unknown);
        const setup = await controller.pairSetup();
        await setup.m3();
        const outcome = await setup.sendM5({ sub: both });
        expect(outcome, 'Signature, PublicKey, Identifier, and an unknown item').to.be.allowed();
        if (setup.accepted(outcome)) return;
        // Which of the two it was.
        const again = await controller.pairSetup();
        await again.m3();
        const second = await again.sendM5({ sub: unknown });
        observe('refused for', again.accepted(second) ? 'the order' : 'the unknown item');
      },
    ),
    check(
      'PS-M5-17/closed-after-m4',
      'A failed or abandoned setup leaves nothing behind',
      { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 2, m4: 1 }, ...freeAgain },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        await setup.link.close();
        expect((await begin(controller)).m2, 'M1 on a new connection').to.be.allowed();
      },
    ),
    check(
      'PS-M5-17/after-refused-m5',
      'A failed or abandoned setup leaves nothing behind',
      { from: 'unpaired', needs: ['PS-M5-01'], costs: { m2: 2, m4: 1, m6: 1, verifies: 1 }, ...freeAgain },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5({ sub: edits.flip('Signature', 7) }), 'M5').to.be.allowed(refused);
        await setup.link.close();
        expect((await begin(controller)).m2, 'M1 on a new connection').to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
    // A Pair Verify is where a controller meets the id again: another spelling of it is another accessory.
    watch(
      'PS-M6-02',
      'The M6 identifier is the advertised device id',
      'verify-m2',
      ({ m2: { items } }, { expect, bench }) => {
        const id = items?.get(hap.TlvType.Identifier);
        if (id === undefined || bench.accessory === undefined) return;
        expect(hap.text(id), 'Identifier in Pair Verify M2, beside that of M6').to.equal(
          hap.text(bench.accessory.id),
        );
        expect(hap.hex(id), 'bytes of the Identifier').to.equal(hap.hex(bench.accessory.id));
      },
    ),
    watch(
      'PS-M6-01',
      'M6 sub-TLVs are complete and correctly signed',
      'setup-m6',
      ({ m6: { items, accessory, findings } }, { expect, bench }) => {
        if (items === undefined) return;
        const defect = findings.find(({ requirement }) => requirement === 'PS-M6-01');
        expect(defect?.what, 'the identity in M6').to.equal(undefined);
        expect(hap.text(accessory!.id), 'Identifier').to.match(bench.profile.identifier);
      },
    ),
  ],
  'm6',
);
