/**
 * Requests to /pairings that ask for little or for nothing: an unknown identifier, a wrong State or Method.
 * What is wrong is refused and changes nothing; who is gone already is gone.
 * Identifiers come back byte for byte, whatever they are made of.
 */
import { type Cell, type CheckSpec, chapter, edits, hap, outcomes } from '../../harness/suite.js';
import * as shared from './shared.js';

const oddRequests: Record<string, (items: readonly hap.TlvItem[]) => readonly hap.TlvItem[]> = {
  'state-missing': edits.drop('State'),
  ...Object.fromEntries([0, 2, 3, 5].map((state) => [`state-${state}`, edits.replace('State', state)])),
  'method-missing': edits.drop('Method'),
  ...Object.fromEntries(
    [0, 1, 2, 6, 9, 255].map((method) => [`method-${method}`, edits.replace('Method', method)]),
  ),
  'method-0-bytes': edits.resize('Method', 0),
  'method-2-bytes': edits.resize('Method', 2),
};

/** Those of them whose List may be carried out. */
const lenient = /^state|^method-2-bytes$/;

/** Cells of the grid these fill. */
const oddCells: Record<string, Cell[1]> = {
  'method-missing': 'item-missing',
  'state-missing': 'state-missing',
  'state-0': 'state-wrong',
};

export default chapter(
  'pairings.changes',
  ({ check }) => [
    ...(['unknown', 'twice'] as const).map((name) =>
      check(
        `PAIRINGS-14/${name}`,
        'Remove with an unknown identifier',
        {
          ...shared.paired,
          needs: [...shared.paired.needs, 'PAIRINGS-12'],
          // The controller wants it gone, and gone it is (seed 002 §7.2 has no error): one that is told otherwise asks for ever.
          allow: [shared.removed],
          forbid: [outcomes.anyRefusal(), outcomes.silence()],
        },
        async ({ controller, expect }) => {
          const session = await controller.session();
          const user = controller.newIdentity();
          if (name === 'twice') {
            await session.add(user, hap.Permission.User);
            await session.sendRemove(user.id);
          }
          const before = await shared.lines(session);
          expect(await session.sendRemove(user.id)).to.be.allowed();
          expect(await shared.lines(session), 'the list').to.deep.equal(before);
        },
      ),
    ),
    ...Object.entries({
      'without-identifier': edits.drop('Identifier'),
      'identifier-0-bytes': edits.resize('Identifier', 0),
    }).map(([name, edit]) =>
      check(
        `PAIRINGS-14/${name}`,
        'Remove with an unknown identifier',
        {
          ...shared.paired,
          ...(name === 'without-identifier' && { grid: ['remove', 'item-missing'] as const }),
          // Nobody has an empty identifier: to say that he is gone is as right as to refuse.
          allow: [
            outcomes.tlvError(2),
            outcomes.badRequest(),
            ...(name === 'identifier-0-bytes' ? [shared.removed] : []),
          ],
          tolerate: [outcomes.anyRefusal()],
          forbid: [outcomes.silence(), ...(name === 'identifier-0-bytes' ? [] : [shared.removed])],
        },
        async ({ controller, expect }) => {
          const session = await controller.session();
          const before = await shared.lines(session);
          expect(await session.sendPairings(edit(hap.removePairing(hap.utf8('nobody'))))).to.be.allowed();
          const after = (await session.link.stillOpen(50)) ? session : await controller.session();
          expect(await shared.lines(after), 'the list').to.deep.equal(before);
        },
      ),
    ),
    ...Object.entries(oddRequests).map(([name, edit]) => {
      const spec: CheckSpec = {
        ...shared.paired,
        ...(name in oddCells && { grid: ['list', oddCells[name]!] as const }),
        allow: [outcomes.tlvError(2), outcomes.badRequest()],
        // A State that nobody looks at does no harm here, nor a Method with a zero byte behind it (TLV-11).
        tolerate: [outcomes.anyRefusal(), ...(lenient.test(name) ? [shared.listed] : [])],
        forbid: [outcomes.silence(), ...(lenient.test(name) ? [] : [shared.listed])],
      };
      return check(
        `PAIRINGS-17/${name}`,
        'State and Method of /pairings requests',
        spec,
        async ({ controller, expect }) => {
          const session = await controller.session();
          const before = await shared.lines(session);
          expect(await session.sendPairings(edit(hap.listPairings()))).to.be.allowed();
          if (await session.link.stillOpen(50))
            expect(await shared.lines(session), 'the list').to.deep.equal(before);
        },
      );
    }),
    check(
      'PAIRINGS-23',
      'Identifiers come back byte-exact',
      {
        ...shared.paired,
        costs: { verifies: 3 },
        allow: [shared.added],
        // Two identifiers that differ in case may count as one, as long as one does not take the other's place.
        tolerate: [outcomes.tlvError(2)],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect, warn, violate }) => {
        const session = await controller.session();
        const base = hap.text(controller.newIdentity().id);
        const ids = [base.toLowerCase(), base.toUpperCase()].map(hap.utf8);
        const taken: hap.Identity[] = [];
        for (const id of ids) {
          const user = controller.newIdentity(id);
          const outcome = await session.sendAdd(user, hap.Permission.User);
          expect(outcome, `Add of ${hap.text(id)}`).to.be.allowed(
            taken.length === 0 ? { allow: [shared.added] } : undefined,
          );
          if (shared.added.matches(outcome)) taken.push(user);
        }
        if (taken.length < ids.length) warn('identifiers that differ in case alone count as one');
        const now = (await session.list()).entries.map(({ id, ltpk }) => shared.line({ id, ltpk }, 0));
        for (const user of taken) {
          if (!now.includes(shared.line(user, 0)))
            violate(`${hap.text(user.id)} was added and is not in the list byte for byte`);
          await (await controller.pairVerify({ as: user })).m3();
        }
        await shared.empty(session, taken);
      },
    ),
  ],
  'removals',
);
