/**
 * The administration of pairings as a controller first meets it: the list with one pairing, Remove of another controller,
 * and /pairings without a verified session.
 * Only a verified admin administers; what the others are refused is in the chapters beside this one.
 */
import { chapter, hap, outcomes } from '../../harness/suite.js';

/** /pairings must not be served without a verified session. */
const refused = {
  allow: [outcomes.unauthorised(), outcomes.tlvError(2, 'Authentication'), outcomes.closed()],
  tolerate: [outcomes.serverError()],
  forbid: [outcomes.success('pairings-list')],
};

const requests = ['list', 'add', 'remove'] as const;
const moments = ['on-a-fresh-connection', 'after-verify-m2', 'after-a-failed-verify'] as const;

export default chapter('pairings.administration', ({ check }) => [
  check(
    'PAIRINGS-01',
    'List with one pairing',
    { from: 'paired', costs: { verifies: 1 }, allow: [outcomes.success('pairings-list')] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const outcome = await session.sendPairings(hap.listPairings());
      expect(outcome).to.be.allowed();
      const { entries, findings } = session.pairingsIn(outcome);
      expect(findings.map(({ what }) => what)).to.deep.equal([]);
      expect(entries.length, 'entries').to.equal(1);
      expect(hap.text(entries[0]!.id), 'Identifier').to.equal(hap.text(session.identity.id));
      expect(hap.hex(entries[0]!.ltpk), 'PublicKey').to.equal(hap.hex(session.identity.ltpk));
      expect(entries[0]!.permissions, 'Permissions').to.equal(hap.Permission.Admin);
    },
  ),

  check(
    'PAIRINGS-12',
    'Remove another controller',
    { from: 'paired', costs: { verifies: 2 }, allow: [outcomes.success('pairings-remove')] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const user = controller.newGuest();
      await session.add(user, hap.Permission.User);
      const outcome = await session.sendRemove(user.id);
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply')
        expect(outcome.tlv!.typeNames(), 'items of the reply').to.deep.equal(['State']);
      const { entries } = await session.list();
      expect(
        entries.map(({ id }) => hap.text(id)),
        'identifiers afterwards',
      ).to.not.include(hap.text(user.id));
      const verify = await controller.pairVerify({ as: user });
      expect(await verify.sendM3(), 'Pair Verify of the removed controller').to.be.allowed({
        allow: [outcomes.tlvError(4, 'Authentication')],
        tolerate: [outcomes.misplacedError(4, 'Authentication')],
        forbid: [outcomes.success('verify-m4')],
      });
    },
  ),

  ...requests.flatMap((request) =>
    moments.map((moment) =>
      check(
        `PAIRINGS-16/${request}-${moment}`,
        '/pairings without a verified session',
        {
          ...(moment !== 'after-a-failed-verify' && {
            grid: [request, moment === 'after-verify-m2' ? 'out-of-order' : 'other-connection'] as const,
          }),
          from: 'paired',
          keyless: request === 'list',
          costs: { verifies: 2 },
          ...refused,
        },
        async ({ controller, bench, expect }) => {
          const stranger = controller.newIdentity();
          let link = await controller.open();
          if (moment !== 'on-a-fresh-connection') {
            const verify = await controller.pairVerify({ as: controller.newIdentity(), link });
            if (moment === 'after-a-failed-verify') await verify.sendM3();
            if (!(await link.stillOpen(50))) link = await controller.open();
          }
          if (request === 'add') bench.remember(stranger, 'add-pairing');
          const items = {
            list: hap.listPairings(),
            add: hap.addPairing(stranger.id, stranger.ltpk, hap.Permission.Admin),
            remove: hap.removePairing((bench.admin ?? stranger).id),
          }[request];
          expect(await controller.post(link, controller.profile.paths.pairings, items)).to.be.allowed();
          const { admin } = bench;
          if (admin === undefined) return;
          const session = await controller.session();
          const { entries } = await session.list();
          const ids = entries.map(({ id }) => hap.text(id));
          expect(ids, 'identifiers afterwards').to.include(hap.text(admin.id));
          expect(ids, 'identifiers afterwards').to.not.include(hap.text(stranger.id));
        },
      ),
    ),
  ),

  ...(['list', 'add'] as const).map((request) =>
    check(
      `PAIRINGS-16/${request}-when-unpaired`,
      '/pairings without a verified session',
      { from: 'unpaired', costs: { m2: 1 }, ...refused },
      async ({ controller, bench, expect }) => {
        const stranger = controller.newIdentity();
        const link = await controller.open();
        if (request === 'add') bench.remember(stranger, 'add-pairing');
        const items =
          request === 'list'
            ? hap.listPairings()
            : hap.addPairing(stranger.id, stranger.ltpk, hap.Permission.Admin);
        expect(await controller.post(link, controller.profile.paths.pairings, items)).to.be.allowed();
        expect(await controller.isUnpaired(), 'nothing was stored').to.equal(true);
      },
    ),
  ),
]);
