import { chapter, hap, outcomes, ownPairings } from '../../harness/suite.js';
import { cloneOf, enter, isNotIn, notLetIn, own, sessionOf } from './shared.js';

const letIn = { allow: [outcomes.success('verify-m4')] };
const listed = outcomes.success('pairings-list');
const notForUsers = {
  allow: [outcomes.tlvError(2, 'Authentication'), outcomes.clientError()],
  tolerate: [outcomes.anyRefusal()],
  forbid: [listed, outcomes.success('pairings-add')],
};

/** The smallest table the sources allow. */
const LEAST = 16;

/** An entry of the list as a set is compared. */
function line(id: Uint8Array, ltpk: Uint8Array, admin: boolean): string {
  return `${JSON.stringify(hap.text(id))} ${hap.hex(ltpk)} ${admin ? 'admin' : 'user'}`;
}

export default chapter('clone.controllers', ({ check }) => [
  check(
    'CLONE-03',
    'Every controller is let in without pairing',
    { from: 'any', clone: { key: 'anybody' }, costs: { verifies: LEAST }, ...letIn },
    async (context) => {
      const { controller, observe, violate } = context;
      const { controllers } = cloneOf(context);
      const known = ownPairings(cloneOf(context));
      for (const one of known) {
        const session = await sessionOf(context, one);
        const answer = await session.get(controller.profile.resource);
        if (answer.kind !== 'reply' || !answer.sealed)
          violate(`a request in the session of ${hap.text(one.id)}: ${outcomes.describeOutcome(answer)}`);
        await session.link.close();
      }
      observe('controllers that were tried', `${known.length} of ${controllers.length}`);
    },
  ),

  check(
    'CLONE-04',
    'Rights are what they were',
    { from: 'any', clone: { key: 'admin' }, needs: ['CLONE-03'], costs: { verifies: 1 }, allow: [listed] },
    async (context) => {
      for (const admin of ownPairings(cloneOf(context), 'admin')) {
        const session = await sessionOf(context, admin);
        context
          .expect(await session.sendPairings(hap.listPairings()), `List by ${hap.text(admin.id)}`)
          .to.be.allowed();
        await session.link.close();
      }
    },
  ),
  ...(['list', 'add', 'remove'] as const).map((method) =>
    check(
      `CLONE-04/user-${method}`,
      'Rights are what they were',
      { from: 'any', clone: { key: 'user' }, needs: ['CLONE-03'], costs: { verifies: 2 }, ...notForUsers },
      async (context) => {
        const { controller, expect } = context;
        const session = await sessionOf(context, own(context, 'user'));
        const guest = controller.newIdentity();
        const outcome =
          method === 'list'
            ? await session.sendPairings(hap.listPairings())
            : method === 'add'
              ? await session.sendAdd(guest, hap.Permission.User)
              : // Nobody of that name is in there: nothing would be lost.
                await session.sendRemove(guest.id);
        // What must not have been stored has to go, and who could store it can take it out.
        if (outcomes.success('pairings-add').matches(outcome)) await session.sendRemove(guest.id);
        expect(outcome, `${method} by a plain user`).to.be.allowed();
        if (method === 'add') await isNotIn(context, guest, 'whoever a plain user adds');
      },
    ),
  ),

  check(
    'CLONE-05',
    'The list is what it was',
    {
      from: 'any',
      clone: { key: 'admin' },
      needs: ['CLONE-04'],
      costs: { verifies: 1 },
      allow: [listed],
    },
    async (context) => {
      const { violate, expect } = context;
      const session = await sessionOf(context, own(context, 'admin'));
      const outcome = await session.sendPairings(hap.listPairings());
      expect(outcome, 'List').to.be.allowed();
      const { entries } = session.pairingsIn(outcome);
      const due = new Set(cloneOf(context).controllers.map(({ id, ltpk, admin }) => line(id, ltpk, admin)));
      const found = entries.map(({ id, ltpk, permissions }) =>
        line(id, ltpk ?? new Uint8Array(0), permissions === hap.Permission.Admin),
      );
      const missing = [...due].filter((entry) => !found.includes(entry));
      const more = found.filter((entry) => !due.has(entry));
      if (missing.length + more.length > 0 || found.length !== due.size)
        violate(
          [
            `the list of the clone is not that of the old device`,
            ...missing.map((entry) => `missing: ${entry}`),
            ...more.map((entry) => `not in the snapshot: ${entry}`),
          ].join('; '),
        );
    },
  ),

  check(
    'CLONE-07/unknown',
    'Nobody else is let in',
    { from: 'any', clone: {}, costs: { verifies: 1 }, ...notLetIn },
    async (context) => {
      const { outcome } = await enter(context, context.controller.newIdentity());
      context.expect(outcome, 'Pair Verify of somebody nobody knows').to.be.allowed();
    },
  ),
  check(
    'CLONE-07/wrong-key',
    'Nobody else is let in',
    { from: 'any', clone: {}, costs: { verifies: LEAST }, ...notLetIn },
    async (context) => {
      for (const { id } of cloneOf(context).controllers) {
        const impostor: hap.Identity = context.controller.newIdentity(id);
        const { outcome } = await enter(context, impostor);
        context.expect(outcome, `Pair Verify as ${hap.text(id)} with another key`).to.be.allowed();
      }
    },
  ),

  check(
    'CLONE-08',
    'The table has the size it had',
    {
      from: 'any',
      clone: { key: 'admin' },
      needs: ['CLONE-04'],
      costs: { verifies: 2 },
      allow: [outcomes.tlvError(2, 'MaxPeers')],
      tolerate: [outcomes.anyRefusal()],
    },
    async (context) => {
      const { controller, bench, expect, observe, violate } = context;
      const { controllers } = cloneOf(context);
      const session = await sessionOf(context, own(context, 'admin'));
      const guests: hap.Identity[] = [];
      let [refusal, refused]: [outcomes.Outcome?, hap.Identity?] = [];
      while (refusal === undefined && controllers.length + guests.length <= LEAST) {
        const guest = controller.newIdentity();
        const outcome = await session.sendAdd(guest, hap.Permission.User);
        if (outcomes.success('pairings-add').matches(outcome)) guests.push(guest);
        else {
          refusal = outcome;
          refused = guest;
        }
      }
      for (const guest of guests)
        if (outcomes.success('pairings-remove').matches(await session.sendRemove(guest.id)))
          bench.keyring.forget(guest);
      const total = controllers.length + guests.length;
      if (total < LEAST)
        violate(
          `${total} controllers are kept, ${controllers.length} of them taken over: ${LEAST} are due; the next Add: ${refusal === undefined ? 'not asked' : outcomes.describeOutcome(refusal)}`,
        );
      observe('controllers kept', refusal === undefined ? `more than ${LEAST}` : String(total));
      if (refusal !== undefined) expect(refusal, `Add number ${total + 1}`).to.be.allowed();
      else expect(total, 'controllers kept').to.be.greaterThan(LEAST);
      if (refused !== undefined) await isNotIn(context, refused, 'whoever there was no room for');
    },
  ),
]);
